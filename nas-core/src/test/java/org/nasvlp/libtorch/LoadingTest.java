package org.nasvlp.libtorch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Fixtures;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.model.NasModel;

/** Starts of a JVM with caches, libraries and class loaders of all kinds. */
class LoadingTest {
  @TempDir Path folder;

  /** Loads a model, as a program that only scores does, and tells what it found. */
  static final class Scores {
    private Scores() {}

    public static void main(String[] args) throws Throwable {
      try (NasModel model = NasModel.load(Path.of(args[0]))) {
        RgbImage image = new RgbImage(16, 16, new byte[3 * 256]);
        System.out.println("score " + model.score(image, List.of("a red dog"))[0]);
      }
      System.out.println("OMP_WAIT_POLICY " + environment("OMP_WAIT_POLICY"));
      System.out.println("OPENBLAS_THREAD_TIMEOUT " + environment("OPENBLAS_THREAD_TIMEOUT"));
      System.out.println("threads " + LibTorch.threads());
      for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
        if (line.contains("libtorch_cpu.so") || line.contains("libc10.so")) {
          System.out.println("mapped " + line.substring(line.indexOf('/')));
        }
      }
    }

    /** Of the process, which the JVM's own copy does not follow. */
    private static String environment(String name) throws Throwable {
      Linker linker = Linker.nativeLinker();
      MethodHandle getenv =
          linker.downcallHandle(
              linker.defaultLookup().findOrThrow("getenv"),
              FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS));
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment value = (MemorySegment) getenv.invokeExact(arena.allocateFrom(name));
        return value.address() == 0
            ? "unset"
            : value.reinterpret(Long.MAX_VALUE).getString(0, StandardCharsets.UTF_8);
      }
    }
  }

  /** Does the same in two class loaders, one after the other, as a redeployed program does. */
  static final class Twice {
    private Twice() {}

    public static void main(String[] args) throws Throwable {
      List<URL> urls = new ArrayList<>();
      for (String part : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
        urls.add(Path.of(part).toUri().toURL());
      }
      for (int i = 0; i < 2; i++) {
        ClassLoader platform = ClassLoader.getPlatformClassLoader();
        try (URLClassLoader loader = new URLClassLoader(urls.toArray(URL[]::new), platform)) {
          Thread.currentThread().setContextClassLoader(loader);
          Method main =
              loader.loadClass(Scores.class.getName()).getDeclaredMethod("main", String[].class);
          main.setAccessible(true);
          main.invoke(null, (Object) args);
        }
      }
    }
  }

  private Path checkpoint() throws IOException {
    Path checkpoint = Files.createDirectories(folder.resolve("checkpoint"));
    NasConfig config =
        NasConfig.fromJson(
            """
            {"model":{"imageSize":16,"patchSize":4,"width":16,"heads":2,"imageLayers":1,
            "textLayers":1,"fusionLayers":1,"projection":8,"textTokens":8},
            "dictionary":{"codewords":40},"objective":{"queue":0}}
            """,
            "test");
    try (CaptionTokenizer tokenizer = Fixtures.tokenizer();
        NasModel model = NasModel.create(config, tokenizer)) {
      float[] tokens = new float[50 * 16];
      for (int i = 0; i < tokens.length; i++) {
        tokens[i] = (float) Math.sin(0.7 * i);
      }
      model.startDictionary(tokens);
      model.write(checkpoint);
    }
    return checkpoint;
  }

  private static Process start(
      Class<?> main, Map<String, String> environment, Path checkpoint, String... flags)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:-CreateCoredumpOnCrash"));
    command.add("-XX:ErrorFile=/dev/null");
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED"));
    command.addAll(List.of(flags));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    command.add(checkpoint.toString());
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().remove("OMP_WAIT_POLICY");
    builder.environment().remove("OPENBLAS_THREAD_TIMEOUT");
    builder.environment().putAll(environment);
    return builder.start();
  }

  private static String output(Process process) throws Exception {
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    return output;
  }

  private static Path copyOf(Path cache, String library) throws IOException {
    try (Stream<Path> files = Files.walk(cache)) {
      return files
          .filter(file -> file.getFileName().toString().equals(library))
          .findFirst()
          .orElseThrow();
    }
  }

  @Test
  void aProgramThatOnlyScoresHasTheSettingsOfOneThatTrains() throws Exception {
    // Told when the library starts: what is set later is in the environment, and does nothing.
    Map<String, String> telling = Map.of("OMP_DISPLAY_ENV", "VERBOSE");
    assertThat(output(start(Scores.class, telling, checkpoint())))
        .contains("score 0.", "OMP_WAIT_POLICY PASSIVE", "OPENBLAS_THREAD_TIMEOUT 4")
        .contains("GOMP_SPINCOUNT = '0'");
  }

  @Test
  void theClassPathsLibTorchIsLoadedWhateverElseThereIs() throws Exception {
    // Libraries under LibTorch's names, as another release or the system has them.
    Path others = Files.createDirectory(folder.resolve("others"));
    Path any = copyOf(Path.of(System.getProperty("java.home")), "libnet.so");
    for (String name : List.of("libtorch_cpu.so", "libtorch.so", "libc10.so", "libgomp.so.1")) {
      Files.copy(any, others.resolve(name));
    }
    Path cache = folder.resolve("cache");
    Path checkpoint = checkpoint();
    String named = "-Dnas.native.cache=" + cache;
    Map<String, String> environment = Map.of("LD_LIBRARY_PATH", others.toString());

    // Two at once find an empty cache.
    Process first = start(Scores.class, environment, checkpoint, named);
    Process second = start(Scores.class, environment, checkpoint, named);
    for (Process process : List.of(first, second)) {
      assertThat(output(process))
          .contains("score 0.", "mapped " + cache)
          .doesNotContain("mapped " + others);
    }
    assertThat(cache.resolve("javacpp")).isNotEmptyDirectory();
    assertThat(cache.resolve("tokenizers")).isNotEmptyDirectory();
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(cache)))
        .isEqualTo("rwx------");

    // A start was killed while it copied.
    try (RandomAccessFile cut =
        new RandomAccessFile(copyOf(cache, "libtorch_cpu.so").toFile(), "rw")) {
      cut.setLength(cut.length() / 2);
    }
    Files.delete(copyOf(cache, "libtorch.so"));
    assertThat(output(start(Scores.class, environment, checkpoint, named))).contains("score 0.");

    // A program is deployed again: a second class loader in the same JVM.
    assertThat(output(start(Twice.class, environment, checkpoint, named)).split("score 0", -1))
        .hasSize(3);
  }

  @Test
  void withoutHomeNothingIsLoadedFromWhereOthersCanPutIt() throws Exception {
    Path temporary = Files.createDirectory(folder.resolve("temporary"));
    String user = System.getProperty("user.name");
    List<Path> foreseen =
        List.of(temporary.resolve(".javacpp-" + user), temporary.resolve(".djl.ai"));
    for (Path place : foreseen) {
      Files.createDirectory(place);
      Files.setPosixFilePermissions(place, PosixFilePermissions.fromString("rwxrwxrwx"));
    }
    String output =
        output(
            start(
                Scores.class,
                Map.of("XDG_CACHE_HOME", ""),
                checkpoint(),
                "-Duser.home=" + folder.resolve("no/home"),
                "-Djava.io.tmpdir=" + temporary));
    assertThat(output).contains("score 0.", "mapped " + temporary.resolve("nas-native-" + user));
    for (Path place : foreseen) {
      assertThat(place).isEmptyDirectory();
    }
    assertThat(Kernels.describe()).isNotEmpty();
  }
}
