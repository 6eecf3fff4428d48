package org.nasvlp.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.PartOfSpeechTagger;
import org.nasvlp.random.Draws;

/**
 * Captions whose words stand in another order, in the four ways of ARO's order tasks (arXiv
 * 2210.01936, section 2.2). The draws depend on the item alone, so that everyone meets the same
 * captions.
 */
final class WordOrders {
  private static final Set<String> NOUNS_AND_ADJECTIVES = Set.of("NOUN", "PROPN", "ADJ");
  private static final long SEED = 2210_01936L;
  private static final int TRIES = 64;
  private static final int WORDS = 30;

  private final PartOfSpeechTagger tagger = PartOfSpeechTagger.of("en");

  /**
   * The caption, normalised as in training and cut after 30 words, then the same with its nouns and
   * adjectives exchanged, with all other words exchanged, with the words of each group of three
   * exchanged, and with the groups of three exchanged. Empty if one of the four cannot differ from
   * the caption.
   */
  List<String> of(String caption, int item) {
    String[] all = CaptionTokenizer.normalize(caption).split(" ", -1);
    String[] words = Arrays.copyOf(all, Math.min(WORDS, all.length));
    String[] tags = tagger.tag(words);
    boolean[] content = new boolean[words.length];
    for (int i = 0; i < words.length; i++) {
      content[i] = NOUNS_AND_ADJECTIVES.contains(tags[i]);
    }
    List<String> captions = new ArrayList<>();
    captions.add(String.join(" ", words));
    for (int way = 0; way < 4; way++) {
      String shuffled = shuffled(words, content, way, item);
      if (shuffled == null) {
        return List.of();
      }
      captions.add(shuffled);
    }
    return captions;
  }

  private static String shuffled(String[] words, boolean[] content, int way, int item) {
    String caption = String.join(" ", words);
    for (int attempt = 0; attempt < TRIES; attempt++) {
      Shuffle shuffle = new Shuffle(item, 4 * attempt + way);
      String other =
          switch (way) {
            case 0 -> some(words, content, true, shuffle);
            case 1 -> some(words, content, false, shuffle);
            case 2 -> withinThrees(words, shuffle);
            default -> threes(words, shuffle);
          };
      if (!other.equals(caption)) {
        return other;
      }
    }
    return null;
  }

  private static String some(String[] words, boolean[] content, boolean chosen, Shuffle shuffle) {
    int[] places = IntStream.range(0, words.length).filter(i -> content[i] == chosen).toArray();
    int[] order = shuffle.order(places.length);
    String[] out = words.clone();
    for (int i = 0; i < places.length; i++) {
      out[places[i]] = words[places[order[i]]];
    }
    return String.join(" ", out);
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
