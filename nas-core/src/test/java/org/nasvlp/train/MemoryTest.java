package org.nasvlp.train;

import static java.lang.foreign.MemoryLayout.PathElement.groupElement;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.data.text.CaptionTokenizer;

class MemoryTest {
  /** By then the hard negative images have set in, and the JVM has compiled what it will. */
  private static final int FROM = 1200;

  private static final int STEPS = 1800;

  @TempDir Path folder;

  /** The child process: a run with every loss, which prints the native KiB in use. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) {
      Path folder = Path.of(args[0]);
      NasConfig config =
          Shapes.config(STEPS).toBuilder()
              .nva(
                  NvaConfig.defaults().toBuilder()
                      .neighbours(8)
                      .donor(NvaConfig.Donor.TOKEN)
                      .build())
              .nta(nta -> nta.enabled(true).wordShare(0.5).exactLabels(true))
              .build();
      try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
        NasTrainer.builder()
            .config(config)
            .dataset(new Shapes())
            .tokenizer(tokenizer)
            .textEditor(ShapesEditor.factory())
            .output(folder.resolve("out"))
            .threads(1)
            .listener(
                new TrainingListener() {
                  @Override
                  public void onStep(StepReport report) {
                    if (report.step() == FROM || report.step() == STEPS) {
                      System.out.println(allocatedKiB());
                    }
                  }
                })
            .build()
            .run();
      }
    }
  }

  /** In a process of its own, where no other test allocates. */
  @Test
  void nativeMemoryStaysFlatOverHundredsOfSteps() throws Exception {
    assumeThat(Linker.nativeLinker().defaultLookup().find("mallinfo2"))
        .as("mallinfo2, of glibc 2.33 or later")
        .isPresent();
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1", // C2 allocates tens of MiB whenever it compiles
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName(),
                folder.toString())
            .redirectError(folder.resolve("err").toFile())
            .start();
    String printed;
    try {
      printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    } finally {
      process.destroyForcibly();
    }
    assertThat(process.waitFor()).as(Files.readString(folder.resolve("err"))).isZero();
    List<Long> allocated = printed.lines().map(Long::valueOf).toList();
    assertThat(allocated).hasSize(2);
    // A leaked tensor of a batch's patch tokens (8 x 16 x 32 float32) a step would be 9,600 KiB.
    assertThat(allocated.get(1) - allocated.get(0)).as("KiB, of %s", allocated).isLessThan(4_000);
  }

  /**
   * What native code has allocated and not freed, by glibc's own account, in KiB: resident memory
   * also has what was freed in between, which comes and goes by tens of MiB.
   */
  private static long allocatedKiB() {
    StructLayout mallinfo2 =
        MemoryLayout.structLayout(
            MemoryLayout.sequenceLayout(4, ValueLayout.JAVA_LONG),
            ValueLayout.JAVA_LONG.withName("hblkhd"), // in mappings of their own
            MemoryLayout.sequenceLayout(2, ValueLayout.JAVA_LONG),
            ValueLayout.JAVA_LONG.withName("uordblks"), // in the heaps
            MemoryLayout.sequenceLayout(2, ValueLayout.JAVA_LONG));
    Linker linker = Linker.nativeLinker();
    MethodHandle call =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("mallinfo2"), FunctionDescriptor.of(mallinfo2));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = (MemorySegment) call.invokeExact((SegmentAllocator) arena);
      long mapped = info.get(ValueLayout.JAVA_LONG, mallinfo2.byteOffset(groupElement("hblkhd")));
      long heaps = info.get(ValueLayout.JAVA_LONG, mallinfo2.byteOffset(groupElement("uordblks")));
      return (mapped + heaps) / 1024;
    } catch (Throwable e) {
      throw new IllegalStateException("mallinfo2 failed", e);
    }
  }
}
