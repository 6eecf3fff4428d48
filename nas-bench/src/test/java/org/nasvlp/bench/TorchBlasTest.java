package org.nasvlp.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class TorchBlasTest {
  @Test
  void namesTheLibraryThatDoesTheProducts() {
    assertThat(TorchBlas.use(1)).contains("OpenBLAS").contains("/libopenblas");
  }

  @Test
  void doesNotClaimALibraryThatIsNotUsed() {
    assertThatThrownBy(() -> TorchBlas.use(1, "mkl"))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("load=mkl was asked for")
        .hasMessageContaining("libopenblas")
        .hasMessageContaining("-Pmkl");
  }
}
