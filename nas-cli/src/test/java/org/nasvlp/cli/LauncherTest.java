package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The launcher {@code nas} in a folder of its own, with a Maven that only tells what it is asked.
 */
class LauncherTest {
  /** The program that the launcher starts. */
  static final class Program {
    private Program() {}

    public static void main(String[] arguments) {
      IO.println("ran " + String.join(" ", arguments));
    }
  }

  @TempDir private Path folder;

  /** With a space, as folders have them. */
  private Path home;

  @BeforeEach
  void layOut() throws IOException {
    home = Files.createDirectories(folder.resolve("a checkout"));
    Files.copy(TestShell.home().resolve("nas"), home.resolve("nas"));
    for (String source : List.of("include", "common", "cpu", "cuda", "nas-core", "nas-bench")) {
      write(source + "/pom.xml", "");
    }
    write("pom.xml", "");
    Path maven = write("bin/mvn", "#!/bin/sh\necho \"mvn NAS_CUDA=$NAS_CUDA $*\"\n");
    assertThat(maven.toFile().setExecutable(true)).isTrue();
  }

  @Test
  void firstUseBuildsForTheCpu() throws Exception {
    assertThat(launch(Map.of())).contains("mvn NAS_CUDA=OFF ").doesNotContain("-Pgpu");
  }

  @Test
  void whatIsUpToDateIsNotBuilt() throws Exception {
    build("");
    change("nas-bench/pom.xml");
    change("cuda/pom.xml");
    assertThat(launch(Map.of())).isEqualTo("ran a b\n");
  }

  @Test
  void changedSourcesAreBuiltForTheCpu() throws Exception {
    build("");
    change("nas-core/pom.xml");
    assertThat(launch(Map.of())).contains("mvn NAS_CUDA=OFF ").endsWith("ran a b\n");
  }

  @Test
  void anEarlierCudaLibraryIsBuiltAgain() throws Exception {
    build("");
    Files.createDirectories(home.resolve("nas-native/target/native-cuda"));
    change("cuda/pom.xml");
    assertThat(launch(Map.of())).contains("mvn NAS_CUDA=ON ").doesNotContain("-Pgpu");
    change("cuda/pom.xml");
    assertThat(launch(Map.of("NAS_CUDA", "OFF"))).contains("mvn NAS_CUDA=OFF ");
  }

  @Test
  void aProgramForTheGpuIsBuiltForItAgain() throws Exception {
    build("-gpu");
    change("nas-core/pom.xml");
    assertThat(launch(Map.of())).containsPattern("mvn NAS_CUDA=ON .*-Pgpu");
  }

  /** The JVM of this test counts its memory by its own code. */
  @Test
  void aQuarterOfTheMemoryIsForTheHeap() throws Exception {
    build("");
    long quarter = (ProcessMemory.availableBytes() >> 20) / 4;
    long heap = Math.max(256, Math.min(2048, quarter));
    assertThat(heap()).isEqualTo(heap);
    assertThat(launch(Map.of("NAS_JAVA_OPTS", "-XX:+PrintCommandLineFlags")))
        .contains("-XX:NewSize=" + (Math.min(256, heap / 4) << 20) + " ", "-XX:+UseSerialGC");
  }

  @ParameterizedTest
  @CsvSource({
    // /proc/self/cgroup, file with the limit, its text, heap in MiB
    "0::/, cgroup/memory.max, max, 2048",
    "0::/, cgroup/memory.max, 2147483648, 512",
    "0::/a/b, cgroup/a/b/memory.max, 4294967296, 1024",
    "0::/a/b, cgroup/a/memory.max, 4294967296, 1024",
    "4:memory:/a, cgroup/memory/a/memory.limit_in_bytes, 2147483648, 512",
    "4:cpu;memory:/gone, cgroup/memory/memory.limit_in_bytes, 2147483648, 512",
    "4:cpu:/, cgroup/memory/memory.limit_in_bytes, 2147483648, 2048",
    "0::/, cgroup/memory.max, 9223372036854771712, 2048",
    "0::/, cgroup/memory.max, 104857600, 256",
  })
  void aContainersLimitCounts(String groups, String file, String limit, long heap)
      throws Exception {
    build("");
    Path system = folder.resolve("system");
    Files.createDirectories(system.resolve("proc/self"));
    Files.writeString(system.resolve("proc/meminfo"), "MemTotal:       16777216 kB\n");
    Files.writeString(system.resolve("proc/self/cgroup"), groups.replace(';', ',') + "\n");
    Path set = system.resolve(file);
    Files.createDirectories(set.getParent());
    Files.writeString(set, limit + "\n");
    Path launcher = home.resolve("nas");
    Files.writeString(
        launcher,
        Files.readString(launcher)
            .replace("/proc/", system + "/proc/")
            .replace("/sys/fs/cgroup", system + "/cgroup"));
    assertThat(heap()).isEqualTo(heap);
  }

  @Test
  void whatTheUserAsksForCounts() throws Exception {
    build("");
    assertThat(launch(Map.of("NAS_JAVA_OPTS", "-Xmx300m -XX:+PrintCommandLineFlags")))
        .contains("-XX:MaxHeapSize=" + (300L << 20) + " ", "-XX:+UseSerialGC")
        .doesNotContain("NewSize");
    assertThat(launch(Map.of("NAS_JAVA_OPTS", "-XX:+UseG1GC -XX:+PrintCommandLineFlags")))
        .contains("-XX:+UseG1GC")
        .doesNotContain("NewSize", "UseSerialGC");
  }

  /** The limit that the JVM is started with, in MiB. */
  private long heap() throws Exception {
    String output = launch(Map.of("NAS_JAVA_OPTS", "-XX:+PrintCommandLineFlags"));
    Matcher matcher = Pattern.compile("-XX:MaxHeapSize=(\\d+)").matcher(output);
    assertThat(matcher.find()).as(output).isTrue();
    return Long.parseLong(matcher.group(1)) >> 20;
  }

  /** A program whose manifest names LibTorch as the build's does, in a line that is broken. */
  private void build(String platform) throws IOException {
    Manifest manifest = new Manifest();
    Attributes attributes = manifest.getMainAttributes();
    attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
    attributes.put(Attributes.Name.MAIN_CLASS, Program.class.getName());
    attributes.put(
        Attributes.Name.CLASS_PATH,
        "lib/"
            + "x".repeat(30)
            + ".jar lib/pytorch-2.10.0-1.5.13-linux-x86_64"
            + platform
            + ".jar");
    Path jar = Files.createDirectories(home.resolve("nas-cli/target")).resolve("nas.jar");
    String name = Program.class.getName().replace('.', '/') + ".class";
    try (OutputStream file = Files.newOutputStream(jar);
        JarOutputStream out = new JarOutputStream(file, manifest)) {
      out.putNextEntry(new JarEntry(name));
      out.write(Program.class.getResourceAsStream("/" + name).readAllBytes());
    }
    write("nas-cli/pom.xml", "");
    old("nas-cli/pom.xml");
  }

  private Path write(String name, String text) throws IOException {
    Path file = home.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
    old(name);
    return file;
  }

  private void old(String name) throws IOException {
    Files.setLastModifiedTime(home.resolve(name), FileTime.from(Instant.now().minusSeconds(1000)));
  }

  private void change(String name) throws IOException {
    Files.setLastModifiedTime(home.resolve(name), FileTime.from(Instant.now().plusSeconds(1000)));
  }

  private String launch(Map<String, String> environment) throws Exception {
    List<String> command = new ArrayList<>(List.of(home.resolve("nas").toString(), "a", "b"));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().remove("NAS_CUDA");
    builder.environment().putAll(environment);
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder
        .environment()
        .merge(
            "PATH", home.resolve("bin").toString(), (old, bin) -> bin + File.pathSeparator + old);
    Process process = builder.start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return output;
  }
}
