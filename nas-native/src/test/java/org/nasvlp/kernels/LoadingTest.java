package org.nasvlp.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How the backend is chosen and the library found, each in a JVM of its own. */
class LoadingTest {
  @TempDir Path folder;

  /** Says what a process runs on. */
  static final class Probe {
    private Probe() {}

    public static void main(String[] args) {
      try {
        System.out.println("backend " + Kernels.backend());
        System.out.println("describe " + Kernels.describe());
        System.out.println("cuda " + Kernels.unavailableReason(Backend.CUDA));
        System.out.println("cpu " + Kernels.unavailableReason(Backend.CPU));
        try (Codebook codebook = Codebook.create(new float[] {1, 2, 3, 4}, 2, 2)) {
          System.out.println("found " + codebook.lookup(new float[] {3, 3})[0]);
        }
      } catch (RuntimeException e) {
        System.out.println("thrown " + e);
      }
    }
  }

  @BeforeEach
  void needsTheLibrary() {
    assumeTrue(Kernels.isAvailable(Backend.CPU), () -> Kernels.unavailableReason(Backend.CPU));
  }

  private static Path classes() {
    try {
      return Path.of(Kernels.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  private String probe(String... flags) throws IOException, InterruptedException {
    Path classes = classes();
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-XX:TieredStopAtLevel=1");
    command.add("-Xshare:auto");
    if (Stream.of(flags).noneMatch(flag -> flag.startsWith("--"))) {
      command.add("--enable-native-access=ALL-UNNAMED");
    }
    if (Stream.of(flags).noneMatch(flag -> flag.startsWith("-Dnas.native.cache="))) {
      command.add("-Dnas.native.cache=" + folder.resolve("cache"));
    }
    command.addAll(List.of(flags));
    command.add("-cp");
    command.add(classes + ":" + classes.resolveSibling("test-classes"));
    command.add(Probe.class.getName());
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    return output;
  }

  private Path library() throws IOException {
    try (Stream<Path> files = Files.walk(folder.resolve("cache"))) {
      return files.filter(Files::isRegularFile).findFirst().orElseThrow();
    }
  }

  @Test
  void theShippedLibraryIsCopiedOnceIntoTheCache() throws Exception {
    String first = probe();
    assertThat(first)
        .contains("backend cpu\n", "describe cpu ", "(libnas_kernels ABI 6)", "found 1\n")
        .doesNotContain("WARNING");
    Path copy = library();
    assertThat(copy.getParent().getFileName().toString()).matches("[0-9a-f]{64}");
    Object identity = Files.getAttribute(copy, "unix:ino");
    assertThat(probe()).contains("backend cpu\n");
    assertThat(Files.getAttribute(library(), "unix:ino")).isEqualTo(identity);
  }

  @Test
  void aDamagedCopyIsReplaced() throws Exception {
    probe();
    Path copy = library();
    byte[] content = Files.readAllBytes(copy);
    Files.write(copy, new byte[] {1, 2, 3});
    assertThat(probe()).contains("backend cpu\n", "found 1\n");
    assertThat(library()).hasBinaryContent(content);
  }

  @Test
  void anUnusableCacheIsSurvived() throws Exception {
    Path file = Files.writeString(folder.resolve("file"), "in the way");
    Path temporary = Files.createDirectory(folder.resolve("temporary"));
    String output = probe("-Dnas.native.cache=" + file + "/cache", "-Djava.io.tmpdir=" + temporary);
    assertThat(output).contains("backend cpu\n", "found 1\n");
    assertThat(temporary).isNotEmptyDirectory();
  }

  @Test
  void withoutAnyPlaceItGoesOnInJavaAndNamesThemAll() throws Exception {
    Path file = Files.writeString(folder.resolve("file"), "in the way");
    String output =
        probe("-Dnas.native.cache=" + file + "/cache", "-Djava.io.tmpdir=" + file + "/temporary");
    assertThat(output)
        .contains("backend java\n", "found 1\n", "native library not loaded")
        .contains("plain Java", file + "/cache", file + "/temporary", "-Dnas.native.cache");
    assertThat(output.split("The kernels run in plain Java", -1)).as("one warning").hasSize(2);
  }

  @Test
  void lessCanBeAskedFor() throws Exception {
    String java = probe("-Dnas.backend=java", "-Dnas.threads=3");
    assertThat(java)
        .contains("backend java\n", "describe java, 3 threads", "cpu switched off", "found 1\n")
        .doesNotContain("WARNING");
    assertThat(folder.resolve("cache")).as("nothing was loaded").doesNotExist();
    assertThat(probe("-Dnas.backend=cpu", "-Dnas.tier=scalar", "-Dnas.threads=5"))
        .contains("describe cpu scalar, 5 threads", "cuda switched off by -Dnas.backend=cpu");
  }

  @Test
  void moreThanThereIsIsAnError() throws Exception {
    assumeTrue(!Kernels.isAvailable(Backend.CUDA), "this machine has a CUDA device");
    assertThat(probe("-Dnas.backend=cuda"))
        .contains("thrown", "NasNativeException", "-Dnas.backend=cuda", "not available", "cuda.so");
  }

  @Test
  void unknownValuesAreErrors() throws Exception {
    assertThat(probe("-Dnas.backend=gpu")).contains("-Dnas.backend=gpu", "cuda, cpu, java");
    assertThat(probe("-Dnas.tier=sse9"))
        .contains("-Dnas.tier=sse9", "scalar, avx2, avx_vnni, avx512");
    assertThat(probe("-Dnas.threads=0")).contains("-Dnas.threads=0", "1..1024");
    assertThat(probe("-Dnas.threads=many")).contains("-Dnas.threads=many", "1..1024");
  }

  @Test
  void anExplicitPathIsTakenOrRefusedLoudly() throws Exception {
    probe();
    Path shared = library();
    assertThat(probe("-Dnas.native.path=" + shared)).contains("backend cpu\n");
    assertThat(probe("-Dnas.native.path=" + shared.getParent())).contains("backend cpu\n");

    Path missing = folder.resolve("missing.so");
    assertThat(probe("-Dnas.native.path=" + missing))
        .contains("thrown", "NasNativeException", missing + " does not exist");
    assertThat(probe("-Dnas.native.path=" + folder))
        .contains("thrown", "NasNativeException", "holds no libnas_kernels.so");
    Path junk = Files.writeString(folder.resolve("libnas_kernels.so"), "not a library");
    assertThat(probe("-Dnas.native.path=" + junk))
        .contains("thrown", "NasNativeException", junk.toString(), "file too short");
  }

  @Test
  void aCudaLibraryWithoutADeviceIsPassedOver() throws Exception {
    assumeTrue(!Kernels.isAvailable(Backend.CUDA), "this machine has a CUDA device");
    Path built = classes().resolveSibling("cmake").resolve("lib");
    assumeTrue(
        Files.exists(built.resolve("libnas_kernels_cuda.so")), "built without the CUDA library");
    String output = probe("-Dnas.native.path=" + built);
    assertThat(output).contains("backend cpu\n", "found 1\n").containsPattern("cuda .*CUDA");
    assertThat(probe("-Dnas.native.path=" + built, "-Dnas.backend=cuda"))
        .contains("thrown", "NasNativeException", "-Dnas.backend=cuda", "not available", "CUDA");
  }

  @Test
  void anotherAbiIsRefusedNamingBothVersions() throws Exception {
    Path source =
        Files.writeString(folder.resolve("stub.c"), "int nas_abi_version(void) { return 99; }\n");
    Path stub = folder.resolve("stub.so");
    try {
      Process compiler =
          new ProcessBuilder("cc", "-shared", "-fPIC", "-o", stub.toString(), source.toString())
              .inheritIO()
              .start();
      assertThat(compiler.waitFor()).isZero();
    } catch (IOException e) {
      assumeTrue(false, "no C compiler for the stub: " + e.getMessage());
    }
    assertThat(probe("-Dnas.native.path=" + stub))
        .contains("thrown", "NasNativeException", "ABI version 99", "needs 6");
  }

  @Test
  void deniedNativeAccessNamesTheFlag() throws Exception {
    String output = probe("--illegal-native-access=deny");
    assertThat(output)
        .contains("backend java\n", "found 1\n", "--enable-native-access=ALL-UNNAMED");
  }
}
