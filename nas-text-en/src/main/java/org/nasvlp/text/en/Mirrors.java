package org.nasvlp.text.en;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Mirror;

/**
 * Which mirror makes a hard negative caption true of the picture: of "a dog to the left of a cat"
 * and "a dog to the right of a cat", or "a cat to the left of a dog", that of left and right.
 */
final class Mirrors {
  private static final Map<String, String> LEFT_RIGHT =
      bothWays("left", "right", "leftmost", "rightmost", "leftward", "rightward");
  private static final Map<String, String> TOP_BOTTOM =
      bothWays("above", "below", "top", "bottom", "upper", "lower");

  /** Words that say the same of a place. */
  private static final Map<String, String> SYNONYMS =
      Map.of(
          "under", "below",
          "beneath", "below",
          "underneath", "below",
          "over", "above",
          "leftwards", "leftward",
          "rightwards", "rightward",
          "an", "a");

  /** Relations between two things that a mirror turns round; "right behind" is none. */
  private static final Map<Mirror, List<String>> RELATIONS =
      Map.of(
          Mirror.LEFT_RIGHT, List.of("left of", "right of"),
          Mirror.TOP_BOTTOM, List.of("above", "below", "under", "beneath", "underneath"));

  private Mirrors() {}

  /**
   * The mirror, if the captions differ in what is on which side and in nothing else.
   *
   * @param caption the true one
   * @param edit to the false one
   * @return null without one
   */
  static @Nullable Mirror of(String caption, CaptionEdit edit) {
    List<String> words = plain(caption);
    Set<String> known = new HashSet<>(words);
    boolean across = known.stream().anyMatch(LEFT_RIGHT::containsKey);
    boolean upright = known.stream().anyMatch(TOP_BOTTOM::containsKey);
    if (across == upright) {
      return null;
    }
    Mirror mirror = across ? Mirror.LEFT_RIGHT : Mirror.TOP_BOTTOM;
    return switch (edit.type()) {
      case DIRECTION, RELATION ->
          plain(edit.caption()).equals(mirrored(words, across ? LEFT_RIGHT : TOP_BOTTOM))
              ? mirror
              : null;
      // What changes places are whole noun phrases.
      case ROLE_SWAP -> relates(caption, edit, mirror) ? mirror : null;
      default -> null;
    };
  }

  private static boolean relates(String caption, CaptionEdit edit, Mirror mirror) {
    int from = caption.indexOf(edit.replaced());
    int to = from < 0 ? -1 : caption.indexOf(edit.replacement(), from + edit.replaced().length());
    if (to < 0) {
      return false;
    }
    String between = " " + caption.substring(from + edit.replaced().length(), to).strip() + " ";
    return RELATIONS.get(mirror).stream().anyMatch(words -> between.endsWith(" " + words + " "));
  }

  private static List<String> mirrored(List<String> words, Map<String, String> opposites) {
    return words.stream().map(word -> opposites.getOrDefault(word, word)).toList();
  }

  private static List<String> plain(String caption) {
    return Stream.of(caption.split(" ", -1))
        .map(word -> SYNONYMS.getOrDefault(word, word))
        .toList();
  }

  private static Map<String, String> bothWays(String... pairs) {
    return Stream.iterate(0, i -> i < pairs.length, i -> i + 1)
        .collect(Collectors.toUnmodifiableMap(i -> pairs[i], i -> pairs[i ^ 1]));
  }
}
