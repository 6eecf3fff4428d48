package org.nasvlp.internal;

import static org.assertj.core.api.Assertions.assertThat;

import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

class TorchTest {
  /** It says so in every call where it does not know the processor. */
  @Test
  void convolutionsAreNotNnpacks() {
    Torch.ensureLoaded();
    assertThat(torch.globalContext().userEnabledNNPACK()).isFalse();
  }
}
