package org.nasvlp.train;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.config.OptimizerConfig;
import org.nasvlp.internal.Excerpt;
import org.nasvlp.model.Parameters;

/**
 * Which parameters a run trains, and how fast.
 *
 * @param ranges of the flat vectors, in their order; neighbours of one rate are one range
 * @param frozen names of those that are not trained
 */
record TrainedParameters(List<Range> ranges, Set<String> frozen) {
  /** How many names a message about a pattern without a match suggests. */
  private static final int SUGGESTED = 3;

  /**
   * A part of the flat vectors.
   *
   * @param begin its first element
   * @param count its elements, 1 or more
   * @param rate what the learning rate is multiplied by
   */
  record Range(long begin, long count, double rate) {
    long end() {
      return begin + count;
    }
  }

  /**
   * As a configuration has it.
   *
   * @throws TrainingException if a pattern of {@code optimizer.freeze} matches no parameter, naming
   *     what is near to it, or if nothing is left to train
   */
  static TrainedParameters of(OptimizerConfig config, Parameters parameters) {
    Map<String, Tensor> all = parameters.byName();
    Set<String> frozen = frozen(config.freeze(), all.keySet());
    if (frozen.size() == all.size()) {
      throw new TrainingException(
          "optimizer.freeze %s leaves no parameter to train".formatted(config.freeze()));
    }
    LayerRates rates = new LayerRates(config.layerDecay(), all.keySet());
    List<Range> ranges = new ArrayList<>();
    long at = 0;
    for (var parameter : all.entrySet()) {
      long count = parameter.getValue().numel();
      if (!frozen.contains(parameter.getKey())) {
        append(ranges, new Range(at, count, rates.of(parameter.getKey())));
      }
      at += count;
    }
    return new TrainedParameters(List.copyOf(ranges), frozen);
  }

  private static void append(List<Range> ranges, Range next) {
    Range last = ranges.isEmpty() ? null : ranges.getLast();
    if (last != null && last.end() == next.begin && last.rate == next.rate) {
      ranges.set(ranges.size() - 1, new Range(last.begin, last.count + next.count, last.rate));
    } else {
      ranges.add(next);
    }
  }

  /** How many elements are trained. */
  long count() {
    return ranges.stream().mapToLong(Range::count).sum();
  }

  /** What lies between the ranges, of vectors of that many elements. */
  List<Range> gaps(long all) {
    List<Range> gaps = new ArrayList<>();
    long at = 0;
    for (Range range : ranges) {
      if (range.begin > at) {
        gaps.add(new Range(at, range.begin - at, 0));
      }
      at = range.end();
    }
    if (all > at) {
      gaps.add(new Range(at, all - at, 0));
    }
    return gaps;
  }

  /**
   * The ranges that hold some of the trained elements, cut to these.
   *
   * @param from number of the first one, counting trained elements alone
   * @param count how many
   */
  List<Range> of(long from, long count) {
    List<Range> parts = new ArrayList<>();
    long at = 0;
    for (Range range : ranges) {
      long begin = Math.max(from, at);
      long end = Math.min(from + count, at + range.count);
      if (begin < end) {
        parts.add(new Range(range.begin + begin - at, end - begin, range.rate));
      }
      at += range.count;
    }
    return parts;
  }

  private static Set<String> frozen(List<String> patterns, Set<String> names) {
    Set<String> frozen = new LinkedHashSet<>();
    for (String glob : patterns) {
      Pattern pattern = pattern(glob);
      List<String> matched =
          names.stream().filter(name -> pattern.matcher(name).matches()).toList();
      if (matched.isEmpty()) {
        throw new TrainingException(
            "optimizer.freeze has '%s', which matches no parameter; near to it are %s"
                .formatted(Excerpt.of(glob), String.join(", ", near(glob, names))));
      }
      frozen.addAll(matched);
    }
    return frozen;
  }

  /** {@code *} stands for any characters, {@code ?} for one. */
  private static Pattern pattern(String glob) {
    String regex =
        glob.chars()
            .mapToObj(
                c ->
                    switch (c) {
                      case '*' -> ".*";
                      case '?' -> ".";
                      default -> Pattern.quote(Character.toString(c));
                    })
            .collect(Collectors.joining());
    return Pattern.compile(regex);
  }

  /** Names, and patterns of all names that begin alike, by how few characters are otherwise. */
  private static List<String> near(String glob, Set<String> names) {
    return names.stream()
        .flatMap(
            name ->
                Stream.concat(
                    Stream.of(name),
                    Pattern.compile("\\.")
                        .matcher(name)
                        .results()
                        .map(dot -> name.substring(0, dot.end()) + "*")))
        .distinct()
        .sorted(
            Comparator.comparingInt((String name) -> distance(glob, name))
                .thenComparing(Comparator.naturalOrder()))
        .limit(SUGGESTED)
        .toList();
  }

  /** Characters to change, add or leave out (Levenshtein, 1966). */
  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int change = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(change, Math.min(row[j], row[j - 1]) + 1);
      }
    }
    return row[b.length()];
  }
}
