package org.nasvlp.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.nasvlp.data.text.PartOfSpeechTagger;
import org.nasvlp.random.Draws;

/**
 * Captions whose words stand in another order, in the four ways of ARO's order tasks (arXiv
 * 2210.01936, section 2.2), as its authors' code makes them. The draws depend on the item alone, so
 * that everyone meets the same captions.
 */
final class WordOrders {
  private static final Set<String> NOUNS = Set.of("NOUN", "PROPN");
  private static final long SEED = 2210_01936L;
  private static final int WORDS = 30;

  /** A word, with its apostrophes, or one other character that is not blank. */
  private static final Pattern TOKEN = Pattern.compile("[\\p{L}\\p{N}]+(?:['’]\\p{L}+)*|\\S");

  private static final Pattern DROPPED = Pattern.compile("[.!\"()*#:;~]");
  private static final Pattern BLANKS = Pattern.compile("\\s+");

  private final PartOfSpeechTagger tagger = PartOfSpeechTagger.of("en");

  /**
   * The caption, then the same with its nouns exchanged and its adjectives exchanged, with all
   * other tokens exchanged, with the tokens of each group of three exchanged, and with the groups
   * of three exchanged. Tokens are those of the raw caption, punctuation among them; afterwards
   * each of the five is put in lower case, freed of some punctuation and cut after 30 words. An
   * order may be that of the caption. Empty if nothing is left of the caption.
   */
  List<String> of(String caption, int item) {
    String[] tokens =
        TOKEN.matcher(caption).results().map(MatchResult::group).toArray(String[]::new);
    String plain = cleaned(caption);
    if (plain.isEmpty()) {
      return List.of();
    }
    String[] tags = tagger.tag(tokens);
    int[] nouns = places(tokens.length, i -> NOUNS.contains(tags[i]));
    int[] adjectives = places(tokens.length, i -> tags[i].equals("ADJ"));
    int[] others = places(tokens.length, i -> !NOUNS.contains(tags[i]) && !tags[i].equals("ADJ"));
    Shuffle content = new Shuffle(item, 0);
    String[] exchanged = exchanged(exchanged(tokens, nouns, content), adjectives, content);
    return List.of(
        plain,
        cleaned(String.join(" ", exchanged)),
        cleaned(String.join(" ", exchanged(tokens, others, new Shuffle(item, 1)))),
        cleaned(withinThrees(tokens, new Shuffle(item, 2))),
        cleaned(threes(tokens, new Shuffle(item, 3))));
  }

  private static String cleaned(String caption) {
    String plain = DROPPED.matcher(caption.toLowerCase(Locale.ROOT)).replaceAll(" ");
    String[] words = BLANKS.matcher(plain).replaceAll(" ").strip().split(" ", -1);
    return String.join(" ", Arrays.copyOf(words, Math.min(WORDS, words.length)));
  }

  private static int[] places(int tokens, IntPredicate chosen) {
    return IntStream.range(0, tokens).filter(chosen).toArray();
  }

  private static String[] exchanged(String[] tokens, int[] places, Shuffle shuffle) {
    int[] order = shuffle.order(places.length);
    String[] out = tokens.clone();
    for (int i = 0; i < places.length; i++) {
      out[places[i]] = tokens[places[order[i]]];
    }
    return out;
  }

  private static String withinThrees(String[] words, Shuffle shuffle) {
    String[] out = new String[words.length];
    for (int from = 0; from < words.length; from += 3) {
      int[] order = shuffle.order(Math.min(3, words.length - from));
      for (int i = 0; i < order.length; i++) {
        out[from + i] = words[from + order[i]];
      }
    }
    return String.join(" ", out);
  }

  private static String threes(String[] words, Shuffle shuffle) {
    List<String> out = new ArrayList<>();
    for (int group : shuffle.order(Math.ceilDiv(words.length, 3))) {
      out.addAll(Arrays.asList(words).subList(3 * group, Math.min(words.length, 3 * group + 3)));
    }
    return String.join(" ", out);
  }

  /** One sequence of draws. */
  private static final class Shuffle {
    private final int item;
    private final int stream;
    private int next;

    Shuffle(int item, int stream) {
      this.item = item;
      this.stream = stream;
    }

    /** A permutation of 0..n−1 (Fisher and Yates). */
    int[] order(int n) {
      int[] order = IntStream.range(0, n).toArray();
      for (int i = n - 1; i > 0; i--) {
        int j = Draws.uniform(Draws.draw(SEED, stream, item, next++), i + 1);
        int swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
      }
      return order;
    }
  }
}
