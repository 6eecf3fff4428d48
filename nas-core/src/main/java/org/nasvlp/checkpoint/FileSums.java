package org.nasvlp.checkpoint;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The list of a checkpoint's files, {@code SHA256SUMS}: a line a file with its SHA-256, as the
 * program {@code sha256sum} writes and checks it.
 */
public final class FileSums {
  /** Name of the list in its folder. */
  public static final String NAME = "SHA256SUMS";

  private static final Pattern LINE = Pattern.compile("([0-9a-f]{64}) [ *](.+)");
  private static final int CHUNK = 1 << 20;

  private FileSums() {}

  /** Adds files of a folder to its list, which is made if absent. */
  public static void add(Path directory, List<String> names) throws IOException {
    Path list = directory.resolve(NAME);
    Map<String, String> sums = Files.exists(list) ? read(list) : new TreeMap<>();
    for (String name : names) {
      sums.put(name, sum(directory.resolve(name)));
    }
    StringBuilder lines = new StringBuilder();
    sums.forEach((name, sum) -> lines.append(sum).append("  ").append(name).append('\n'));
    Files.writeString(list, lines);
  }

  /**
   * Checks that files of a folder are as they were when they came into its list.
   *
   * @throws NoSuchFileException if one is missing
   * @throws IOException naming file and remedy, if one was changed or is not in the list, or if
   *     there is no list
   */
  public static void check(Path directory, List<String> names) throws IOException {
    Path list = directory.resolve(NAME);
    if (Files.isDirectory(directory) && !Files.exists(list)) {
      throw new IOException(
          ("%s has no %s, the list that tells whether its files are damaged: an earlier version"
               + " wrote it, or a part of it is lost; if you trust its files, make the list (%s)")
              .formatted(directory, NAME, remedy(directory)));
    }
    Map<String, String> sums = read(list);
    for (String name : names) {
      Path file = directory.resolve(name);
      String sum = sum(file);
      String listed = sums.get(name);
      if (listed == null) {
        throw new IOException(
            "%s is damaged: it does not have %s; remove this checkpoint and use an earlier one"
                .formatted(list, name));
      }
      if (!sum.equals(listed)) {
        throw new IOException(
            ("%s is damaged: its SHA-256 is not the one in %s; remove this checkpoint and use an"
                    + " earlier one, or, if you changed the file, make the list anew (%s)")
                .formatted(file, NAME, remedy(directory)));
      }
    }
  }

  /** A line for a shell. */
  private static String remedy(Path directory) {
    String quoted = directory.toAbsolutePath().toString().replace("'", "'\\''");
    return "cd '" + quoted + "' && sha256sum *.json *.safetensors > " + NAME;
  }

  private static Map<String, String> read(Path list) throws IOException {
    Map<String, String> sums = new TreeMap<>();
    for (String line : Files.readAllLines(list)) {
      Matcher parts = LINE.matcher(line);
      if (!parts.matches()) {
        throw new IOException(
            ("%s is damaged: '%s' is no sum and file name; remove this checkpoint and use an"
                    + " earlier one")
                .formatted(list, line));
      }
      sums.put(parts.group(2), parts.group(1));
    }
    return sums;
  }

  private static String sum(Path file) throws IOException {
    MessageDigest digest;
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
    byte[] chunk = new byte[CHUNK];
    try (InputStream in = Files.newInputStream(file)) {
      for (int read = in.read(chunk); read >= 0; read = in.read(chunk)) {
        digest.update(chunk, 0, read);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }
}
