package org.nasvlp.cli;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code nas data emoji}: drives {@code tools/make-emoji-data}. */
@Command(
    name = "emoji",
    description = {
      "Makes pictures of emoji with their names: train.tar, test.tar, pairs.json and"
          + " tokenizer.json, with the licences' notices beside them, for --data of demo, train and"
          + " ablate.",
      "Downloads the npm package emoji-datasource-google, emoji-datasource-twitter 16.0.0 (60 to"
          + " 75 MB) or @lobehub/fluent-emoji-3d 1.1.0 (16 MB) through npm and the names,"
          + " net.fellbaum:jemoji 2.0.0 (1 MB), through Maven, unless both are given. Needs Python"
          + " 3.9 or later and, for fluent, dwebp (apt install webp). Takes a few minutes."
    })
final class EmojiCommand implements Callable<Integer> {
  /** Whose pictures. */
  enum Style {
    /** Noto emoji, Apache License 2.0. */
    GOOGLE("noto-emoji"),
    /** Twemoji, CC-BY 4.0. */
    TWITTER("twemoji"),
    /** Microsoft's Fluent 3D emoji, MIT License. */
    FLUENT("fluent-emoji");

    private final String folder;

    Style(String folder) {
      this.folder = folder;
    }

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private final Shell shell;

  @Option(
      names = "--style",
      required = true,
      paramLabel = "STYLE",
      description =
          "Whose pictures: google (Noto emoji, Apache License 2.0; the program comes with them),"
              + " twitter (Twemoji, CC-BY 4.0) or fluent (Microsoft's Fluent 3D emoji, MIT"
              + " License).")
  private Style style;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description =
          "Folder to make; it must not exist or be empty (default: runs/data/noto-emoji,"
              + " runs/data/twemoji or runs/data/fluent-emoji).")
  private @Nullable Path out;

  @Option(
      names = "--images",
      paramLabel = "TGZ",
      description = "The npm package, already downloaded (npm pack).")
  private @Nullable Path images;

  @Option(
      names = "--names",
      paramLabel = "JAR",
      description = "The names, already downloaded (mvn dependency:copy).")
  private @Nullable Path names;

  EmojiCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Path folder = out == null ? Path.of("runs", "data", style.folder) : out;
    checkEmpty(folder);
    Path home = shell.home() == null ? Path.of("") : shell.home();
    Path script = home.resolve("tools").resolve("make-emoji-data");
    if (!Files.isRegularFile(script)) {
      throw new CommandFailure(
          script + ": no such file; set NAS_HOME to the folder this program was built in");
    }
    List<String> command = new ArrayList<>();
    command.add(program("python3", "Python 3.9 or later (for example: apt install python3)"));
    command.addAll(List.of(script.toString(), "--style", style.toString()));
    command.addAll(List.of("--out", folder.toAbsolutePath().toString()));
    if (style == Style.FLUENT) {
      program("dwebp", "libwebp's programs (for example: apt install webp)");
    }
    if (images == null) {
      program("npm", "npm (for example: apt install npm), or give the package with --images TGZ");
    } else {
      command.addAll(List.of("--images", images.toAbsolutePath().toString()));
    }
    if (names == null) {
      program("mvn", "Maven (for example: apt install maven), or give the names with --names JAR");
    } else {
      command.addAll(List.of("--names", names.toAbsolutePath().toString()));
    }
    int status = run(command);
    if (status != 0) {
      return shell.interruption().requested() ? Nas.INTERRUPTED : Nas.FAILURE;
    }
    shell.err().println("made " + folder + "; train on it with --data " + folder);
    return 0;
  }

  private static void checkEmpty(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    boolean empty = false;
    if (Files.isDirectory(folder)) {
      try (Stream<Path> children = Files.list(folder)) {
        empty = children.findAny().isEmpty();
      }
    }
    if (!empty) {
      throw new CommandFailure(
          folder + ": exists and is not empty; remove it or choose another --out DIR");
    }
  }

  /** The path of an installed program. */
  private String program(String name, String remedy) {
    String path = shell.environment().getOrDefault("PATH", "");
    return Stream.of(path.split(File.pathSeparator, -1))
        .filter(folder -> !folder.isEmpty())
        .map(folder -> Path.of(folder).resolve(name))
        .filter(Files::isExecutable)
        .map(Path::toString)
        .findFirst()
        .orElseThrow(
            () -> new CommandFailure(name + " is needed and not on the PATH: install " + remedy));
  }

  /** Runs the script; its report goes to stdout, its failures to stderr. */
  private int run(List<String> command) throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().clear();
    builder.environment().putAll(shell.environment());
    Process process = builder.start();
    try (Interruption.Guard guard =
        shell.interruption().during("stopping ...", process.toHandle()::destroy)) {
      Thread errors =
          Thread.ofVirtual().start(() -> copy(process.errorReader(StandardCharsets.UTF_8), true));
      copy(process.inputReader(StandardCharsets.UTF_8), false);
      errors.join();
      return process.waitFor();
    }
  }

  private void copy(BufferedReader lines, boolean errors) {
    try (Stream<String> all = lines.lines()) {
      all.forEach(errors ? shell.err()::println : shell.out()::println);
    }
  }
}
