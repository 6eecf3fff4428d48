package org.nasvlp.kernels.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.ValueLayout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.nasvlp.kernels.Backend;

class LayoutsTest {
  @ParameterizedTest
  @EnumSource(names = "JAVA", mode = EnumSource.Mode.EXCLUDE)
  void structsAreThoseOfTheLibrary(Backend backend) {
    String reason = Libraries.unavailableReason(backend);
    assumeTrue(reason.isEmpty(), reason);
    NativeLibrary library = (NativeLibrary) Libraries.require(backend);
    assertThat(library.layouts()).isEqualTo(Layouts.describe());
    assertThat(ValueLayout.ADDRESS.byteSize()).isEqualTo(8);
  }
}
