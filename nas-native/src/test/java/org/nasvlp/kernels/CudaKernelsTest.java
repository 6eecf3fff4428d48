package org.nasvlp.kernels;

import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The CUDA backend on device memory and a stream of its own. */
@Tag("gpu")
class CudaKernelsTest extends KernelContract {
  private static final Target TARGET = new Target(Backend.CUDA, CpuTier.SCALAR, 1, true);

  @BeforeEach
  void needsADevice() {
    assumeTrue(Kernels.isAvailable(Backend.CUDA), () -> Kernels.unavailableReason(Backend.CUDA));
  }

  @Override
  Stream<Target> targets() {
    return Stream.of(TARGET);
  }

  @Override
  TestMemory memory(Target target) {
    return new DeviceMemory();
  }

  @Test
  void hostMemoryIsRefused() {
    try (TestMemory memory = new DeviceMemory();
        Codebook codebook = Codebook.create(Backend.CUDA, memory.floats(1, 2), 2, 1);
        Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(8, 8);
      MemorySegment indices = memory.allocate(8);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> codebook.lookup(Rows.of(host, 2, 1), indices, null, 0))
          .withMessageContaining("not device memory");
    }
  }
}
