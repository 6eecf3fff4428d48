package org.nasvlp.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TorchDeviceTest {
  @Test
  void theHostIsThereEverywhere() {
    assertThat(TorchDevice.of("cpu")).isSameAs(TorchDevice.CPU).hasToString("cpu");
    try (PointerScope scope = new PointerScope()) {
      Tensor values = Torch.floats(new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
      assertThat(TorchDevice.of(values)).isSameAs(TorchDevice.CPU);
      assertThat(TorchDevice.CPU.put(values)).isSameAs(values);
      assertThat(TorchDevice.CPU.memory(values).address())
          .isEqualTo(Torch.segment(values).address());
      assertThatThrownBy(() -> TorchDevice.CPU.memory(values.t()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("must be contiguous");
      assertThat(Torch.toFloats(TorchDevice.CPU.zeros(2))).containsExactly(0, 0);
      assertThat(Torch.shape(TorchDevice.CPU.empty(torch.ScalarType.Int, 3, 4)))
          .containsExactly(3, 4);
    }
    try (TorchDevice.Use use = TorchDevice.CPU.use()) {
      assertThat(use.stream()).isZero();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gpu", "cuda:", "cuda:-1", "cuda:1000", "CPU", ""})
  void aNameThatIsNoDeviceIsRefused(String name) {
    assertThatThrownBy(() -> TorchDevice.of(name))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the device is '" + name + "'; it can be cpu, cuda, cuda:N or auto");
  }

  @Test
  void onlyAutoFallsBackToTheHost() {
    String reason = TorchDevice.unavailableReason(0);
    assertThat(TorchDevice.of("auto").isCuda()).isEqualTo(reason.isEmpty());
    if (!reason.isEmpty()) {
      assertThatThrownBy(() -> TorchDevice.of("cuda"))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("device cuda cannot be used: " + reason);
    }
    assertThatThrownBy(() -> TorchDevice.of("cuda:99")).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void copiesGoIntoTensorsOfEveryType() {
    try (PointerScope scope = new PointerScope()) {
      Tensor longs = Torch.longs(new long[2], 2);
      Torch.copyInto(longs, java.lang.foreign.MemorySegment.ofArray(new long[] {7, -8}));
      assertThat(Torch.toLongs(longs)).containsExactly(7, -8);
      assertThat(Torch.toInts(longs)).containsExactly(7, -8);
      assertThat(Torch.toFloats(longs)).containsExactly(7, -8);
    }
  }

  @Test
  void freedMemoryGoesBackToTheSystem() throws IOException {
    int count = 4000;
    int each = 16_384; // floats; too little for the C library to give back by itself
    try (PointerScope kept = new PointerScope()) {
      try (PointerScope freed = new PointerScope()) {
        for (int i = 0; i < count; i++) {
          Tensor block = Torch.zeros(each).fill_(new Scalar(1));
          if (i % 20 == 0) {
            kept.attach(block);
          }
        }
      }
      long before = residentKibibytes();
      Torch.releaseFreedMemory();
      long blocks = (long) count * each * Float.BYTES / 1024;
      assertThat(before - residentKibibytes()).isGreaterThan(blocks / 2);
    }
  }

  private static long residentKibibytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("RssAnon:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", ""));
      }
    }
    throw new IOException("/proc/self/status has no RssAnon");
  }

  @Test
  void twoBuildsOfLibTorchAreRefusedBeforeTheyLoad(@TempDir Path folder) throws IOException {
    for (String extension : new String[] {"", "-gpu"}) {
      Path file = folder.resolve(Torch.library(extension, "libtorch_cpu.so"));
      Files.createDirectories(file.getParent());
      Files.createFile(file);
    }
    try (var both = new URLClassLoader(new URL[] {folder.toUri().toURL()}, null)) {
      assertThatThrownBy(() -> Torch.refuseTwoBuilds(both))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("for the CPU and for GPUs")
          .hasMessageContaining("leave one of them out");
    }
    assertThatCode(() -> Torch.refuseTwoBuilds(Torch.class.getClassLoader()))
        .doesNotThrowAnyException();
  }
}
