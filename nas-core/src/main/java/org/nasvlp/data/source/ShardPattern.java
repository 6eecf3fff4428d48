package org.nasvlp.data.source;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Names of shards in braces, as WebDataset has them: {@code {000..331}} or {@code {a,b}}. */
final class ShardPattern {
  private static final Pattern BRACES = Pattern.compile("\\{([^{}]*)}");
  private static final Pattern RANGE = Pattern.compile("(\\d{1,9})\\.\\.(\\d{1,9})");
  private static final int MOST = 100_000;
  private static final int SHOWN = 10;

  private ShardPattern() {}

  static boolean isPattern(Path path) {
    Matcher braces = BRACES.matcher(path.toString());
    return braces.find() && TarShard.isShard(path);
  }

  /**
   * The shards of a pattern, in its order.
   *
   * @throws IOException naming what is wrong with the pattern, or the shards that do not exist
   */
  static List<Path> expand(Path pattern) throws IOException {
    List<String> names = List.of(pattern.toString());
    while (BRACES.matcher(names.getFirst()).find()) {
      List<String> longer = new ArrayList<>();
      for (String name : names) {
        Matcher braces = BRACES.matcher(name);
        if (!braces.find()) {
          throw new IOException(pattern + ": braces within braces are not understood");
        }
        for (String part : parts(pattern, braces.group(1))) {
          longer.add(name.substring(0, braces.start()) + part + name.substring(braces.end()));
        }
        if (longer.size() > MOST) {
          throw new IOException(pattern + ": stands for more than " + MOST + " shards");
        }
      }
      names = longer;
    }
    List<Path> shards = names.stream().map(Path::of).toList();
    List<Path> missing = shards.stream().filter(shard -> !Files.isRegularFile(shard)).toList();
    if (!missing.isEmpty()) {
      StringBuilder text =
          new StringBuilder(
              "%s: %d of %d shards do not exist".formatted(pattern, missing.size(), shards.size()));
      missing.stream().limit(SHOWN).forEach(shard -> text.append("\n  ").append(shard));
      throw new IOException(text.toString());
    }
    return shards;
  }

  private static List<String> parts(Path pattern, String inside) throws IOException {
    Matcher range = RANGE.matcher(inside);
    if (!range.matches()) {
      if (inside.contains("..") || !inside.contains(",")) {
        throw new IOException(
            pattern + ": {" + inside + "} is neither a range {000..331} nor a list {a,b}");
      }
      return List.of(inside.split(",", -1));
    }
    int first = Integer.parseInt(range.group(1));
    int last = Integer.parseInt(range.group(2));
    if (last < first || last - first >= MOST) {
      throw new IOException(
          pattern + ": {" + inside + "} must rise, by fewer than " + MOST + " shards");
    }
    int digits = range.group(1).length();
    List<String> parts = new ArrayList<>();
    for (int number = first; number <= last; number++) {
      parts.add(("%0" + digits + "d").formatted(number));
    }
    return parts;
  }
}
