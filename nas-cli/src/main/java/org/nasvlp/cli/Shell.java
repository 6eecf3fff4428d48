package org.nasvlp.cli;

import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What the commands see of the world around them.
 *
 * @param out results
 * @param err progress, logs and failures
 * @param columns width of the terminal behind {@code err}; 0 where there is none
 * @param environment environment variables
 * @param interruption Ctrl-C
 * @param trainings makes trainings
 */
record Shell(
    PrintStream out,
    PrintStream err,
    int columns,
    Map<String, String> environment,
    Interruption interruption,
    TrainingJob.Factory trainings) {

  private static final int USUAL_COLUMNS = 80;

  /** What no shell takes for anything but itself. */
  private static final Pattern PLAIN_WORD = Pattern.compile("[A-Za-z0-9_./:=@%+,-]+");

  static Shell ofProcess() {
    return new Shell(
        System.out,
        System.err,
        terminalColumns(System.getenv("TERM")),
        System.getenv(),
        new Interruption(),
        TrainingJob.Factory::trainer);
  }

  /** Where the repository's own files are, if the launcher or the user says so. */
  @Nullable Path home() {
    String home = environment.get("NAS_HOME");
    return home == null || home.isBlank() ? null : Path.of(home);
  }

  /** A command of this program as it can be pasted into the shell that this one was typed in. */
  String command(String... arguments) {
    StringBuilder line = new StringBuilder(quoted(environment.getOrDefault("NAS_COMMAND", "nas")));
    for (String argument : arguments) {
      line.append(' ').append(quoted(argument));
    }
    return line.toString();
  }

  private static String quoted(String word) {
    return PLAIN_WORD.matcher(word).matches() ? word : "'" + word.replace("'", "'\\''") + "'";
  }

  /** Tells someone at a terminal what to try next; programs are told nothing. */
  void suggest(String... arguments) {
    if (columns > 0) {
      err.println("next: " + command(arguments));
    }
  }

  private static int terminalColumns(@Nullable String term) {
    if (term == null || term.equals("dumb") || !errIsTerminal()) {
      return 0;
    }
    try {
      Process stty =
          new ProcessBuilder("stty", "size")
              .redirectInput(new File("/dev/tty"))
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      String size = new String(stty.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
      if (!stty.waitFor(2, TimeUnit.SECONDS)) {
        return USUAL_COLUMNS;
      }
      String[] parts = size.strip().split(" ", -1);
      int columns = parts.length == 2 ? Integer.parseInt(parts[1]) : 0;
      return columns > 0 ? columns : USUAL_COLUMNS;
    } catch (IOException | NumberFormatException e) {
      return USUAL_COLUMNS;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return USUAL_COLUMNS;
    }
  }

  private static boolean errIsTerminal() {
    Path stderr = Path.of("/proc/self/fd/2");
    try {
      String target = Files.readSymbolicLink(stderr).toString();
      return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty");
    } catch (IOException | UnsupportedOperationException e) {
      return System.console().isTerminal();
    }
  }
}
