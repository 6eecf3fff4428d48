package org.nasvlp.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The host backends: plain Java, and every instruction tier of the native library. */
class HostKernelsTest extends KernelContract {
  @Override
  Stream<Target> targets() {
    List<Target> targets = new ArrayList<>();
    targets.add(new Target(Backend.JAVA, CpuTier.SCALAR, 1, true));
    targets.add(new Target(Backend.JAVA, CpuTier.SCALAR, 3, true));
    if (Kernels.isAvailable(Backend.CPU)) {
      for (CpuTier tier : Kernels.tiers()) {
        targets.add(new Target(Backend.CPU, tier, 1, true));
        targets.add(new Target(Backend.CPU, tier, 2, false));
        targets.add(new Target(Backend.CPU, tier, 3, true));
      }
    }
    return targets.stream();
  }

  @Override
  TestMemory memory(Target target) {
    return new GuardedMemory(target.guardEnd());
  }

  @Test
  void nativeLibraryIsAmongTheTargets() {
    assumeFalse(
        Boolean.getBoolean("nas.native.skip"), "built with -Dnas.native.skip=true: Java only");
    assertThat(Kernels.unavailableReason(Backend.CPU)).isEmpty();
  }
}
