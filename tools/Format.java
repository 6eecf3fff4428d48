import com.google.googlejavaformat.java.Main;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Checks or rewrites the formatting of every Java source below the current folder with
 * google-java-format: {@code mvn validate} checks, {@code mvn validate -Dformat=fix} rewrites,
 * {@code -Dformat=skip} does neither.
 */
final class Format {
  public static void main(String[] args) throws Exception {
    if (args.length > 0 && args[0].equals("skip")) {
      return;
    }
    boolean fix = args.length > 0 && args[0].equals("fix");
    List<String> command = new ArrayList<>();
    if (fix) {
      command.add("--replace");
    } else {
      command.add("--dry-run");
      command.add("--set-exit-if-changed");
    }
    int options = command.size();
    try (Stream<Path> files = sources()) {
      files.map(Path::toString).forEach(command::add);
    }
    PrintWriter out = new PrintWriter(System.out, true);
    PrintWriter err = new PrintWriter(System.err, true);
    int status = new Main(out, err, System.in).format(command.toArray(String[]::new));
    out.flush();
    if (status != 0) {
      System.err.println(
          fix
              ? "google-java-format could not read the files above"
              : "the files above are not formatted; run: mvn validate -Dformat=fix");
      System.exit(1);
    }
    System.out.println(
        (command.size() - options) + " Java files " + (fix ? "rewritten" : "are well formatted"));
  }

  private static Stream<Path> sources() throws IOException {
    return Files.walk(Path.of("."))
        .filter(path -> path.toString().endsWith(".java"))
        .filter(path -> !path.toString().contains("/target/"))
        .filter(path -> !path.toString().contains("/build"))
        .sorted();
  }
}
