package org.nasvlp.dictionary;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * How often codes occur in images whose captions have a word: the Visual Dictionary as the bridge
 * between patches and words. A "word" may be several, such as "medium light", and of words that
 * overlap the longest at a place counts.
 *
 * <p>P(z | w) is the share of the images with word w that hold code z at any position, smoothed
 * towards the share of all images (an m-estimate of {@value #PRIOR} images). Older images weigh
 * less, since codes move while the encoder learns: an image's weight halves every {@value
 * #HALF_LIFE} steps.
 *
 * <p>Not thread-safe.
 */
public final class WordCodes {
  /** Images that the smoothing counts for. */
  public static final double PRIOR = 8;

  /** Steps after which an image weighs half. */
  public static final double HALF_LIFE = 300;

  private static final double GROWTH = Math.pow(2, 1 / HALF_LIFE);
  private static final double LARGEST = 1e9;

  private final Map<String, Integer> rows = new HashMap<>();
  private final int longest;
  private final int codes;
  // Row 0 is all images; column `codes` is the weight of the images themselves.
  private final double[] counts;
  private double weight = 1;

  /**
   * Nothing counted yet.
   *
   * @param words the words that are looked at, normalised as captions are; each takes 8·K bytes
   * @param codes K
   */
  public WordCodes(Collection<String> words, int codes) {
    this.codes = codes;
    int most = 1;
    for (String word : new TreeSet<>(words)) {
      rows.put(word, rows.size() + 1);
      most = Math.max(most, word.split(" ", -1).length);
    }
    longest = most;
    counts = new double[Math.multiplyExact(rows.size() + 1, codes + 1)];
  }

  /**
   * Counts the images of a step.
   *
   * @param captions B captions, normalised
   * @param imageCodes B x N codes of 0..K-1, row-major
   */
  public void add(String[] captions, int[] imageCodes) {
    int tokens = imageCodes.length / captions.length;
    weight *= GROWTH;
    if (weight > LARGEST) {
      for (int i = 0; i < counts.length; i++) {
        counts[i] /= weight;
      }
      weight = 1;
    }
    for (int b = 0; b < captions.length; b++) {
      BitSet present = new BitSet(codes);
      for (int i = 0; i < tokens; i++) {
        present.set(imageCodes[b * tokens + i]);
      }
      present.set(codes);
      addTo(0, present);
      for (int row : rowsOf(captions[b])) {
        addTo(row, present);
      }
    }
  }

  private Set<Integer> rowsOf(String caption) {
    Set<Integer> found = new TreeSet<>();
    String[] parts = caption.split(" ", -1);
    int at = 0;
    while (at < parts.length) {
      int length = Math.min(longest, parts.length - at);
      Integer row = null;
      while (length > 0 && row == null) {
        row = rows.get(String.join(" ", Arrays.asList(parts).subList(at, at + length)));
        length--;
      }
      if (row != null) {
        found.add(row);
      }
      at += row == null ? 1 : length + 1;
    }
    return found;
  }

  private void addTo(int row, BitSet present) {
    int base = row * (codes + 1);
    present.stream().forEach(z -> counts[base + z] += weight);
  }

  /** Whether the word is looked at and was seen. */
  public boolean knows(String word) {
    Integer row = rows.get(word);
    return row != null && counts[row * (codes + 1) + codes] > 0;
  }

  /**
   * log P(z | to) - log P(z | from) for all codes z: how much a code speaks for one word against
   * another.
   *
   * @throws IllegalArgumentException for a word that is not known
   */
  public double[] evidence(String from, String to) {
    double[] evidence = new double[codes];
    int a = row(from);
    int b = row(to);
    double images = counts[codes];
    for (int z = 0; z < codes; z++) {
      double prior = (counts[z] + 0.5 * weight) / (images + weight);
      evidence[z] = Math.log(share(b, z, prior) / share(a, z, prior));
    }
    return evidence;
  }

  /**
   * log P(z | word) - log P(z) for all codes z: how much a code speaks for a word, against any.
   *
   * @throws IllegalArgumentException for a word that is not known
   */
  public double[] evidence(String word) {
    double[] evidence = new double[codes];
    int row = row(word);
    double images = counts[codes];
    for (int z = 0; z < codes; z++) {
      double prior = (counts[z] + 0.5 * weight) / (images + weight);
      evidence[z] = Math.log(share(row, z, prior) / prior);
    }
    return evidence;
  }

  /**
   * What a batch of word changes has for evidence.
   *
   * @param values E x K float64, row-major: a row of {@link WordCodes#evidence(String, String)} for
   *     every different change
   * @param rows E
   * @param of B: the row of each image's change, or -1 where it has none that is known
   */
  public record Evidence(double[] values, int rows, int[] of) {}

  /**
   * The evidence of B changes of one word for another.
   *
   * @param from the words taken out; null where an image has no change
   * @param to the words put in; null where an image has no change
   */
  public Evidence evidence(@Nullable String[] from, @Nullable String[] to) {
    Map<List<String>, Integer> found = new HashMap<>();
    List<double[]> all = new ArrayList<>();
    int[] of = new int[from.length];
    for (int b = 0; b < of.length; b++) {
      String a = from[b];
      String z = to[b];
      if (a == null || z == null || !knows(a) || !knows(z)) {
        of[b] = -1;
        continue;
      }
      of[b] =
          found.computeIfAbsent(
              List.of(a, z),
              change -> {
                all.add(evidence(a, z));
                return all.size() - 1;
              });
    }
    double[] values = new double[all.size() * codes];
    for (int e = 0; e < all.size(); e++) {
      System.arraycopy(all.get(e), 0, values, e * codes, codes);
    }
    return new Evidence(values, all.size(), of);
  }

  private int row(String word) {
    if (!knows(word)) {
      throw new IllegalArgumentException("no image was counted for the word '" + word + "'");
    }
    return rows.get(word) * (codes + 1);
  }

  private double share(int base, int z, double prior) {
    return (counts[base + z] + PRIOR * weight * prior) / (counts[base + codes] + PRIOR * weight);
  }

  /** All counts, for a checkpoint: (words + 1) x (K + 1), and at the end the current weight. */
  public double[] state() {
    double[] state = Arrays.copyOf(counts, counts.length + 1);
    state[counts.length] = weight;
    return state;
  }

  /**
   * Restores what {@link #state} gave for the same words.
   *
   * @throws IllegalArgumentException if the size is another
   */
  public void restore(double[] state) {
    if (state.length != counts.length + 1) {
      throw new IllegalArgumentException(
          "word counts of " + state.length + " numbers, expected " + (counts.length + 1));
    }
    System.arraycopy(state, 0, counts, 0, counts.length);
    weight = state[counts.length];
  }

  /** How many numbers {@link #state} has. */
  public int stateSize() {
    return counts.length + 1;
  }
}
