package org.nasvlp.objective;

import java.util.Arrays;
import java.util.BitSet;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;
import org.nasvlp.random.Draws;

/**
 * Captions masked for masked language modelling as in BERT (arXiv 1810.04805): of the chosen tokens
 * 80 % become [MASK], 10 % a random token, 10 % stay. Special tokens are never chosen.
 *
 * @param ids rows x length ids, masked
 * @param positions row * length + column of every chosen token
 * @param targets the chosen tokens' true ids
 */
public record MaskedCaptions(long[] ids, int[] positions, long[] targets) {

  /**
   * Masks captions: of some that have a hard negative the tokens that it changes, of the others a
   * share of all. The result depends on the ids, the seed, the step and the sample ids alone.
   *
   * @param ratio share of the tokens that are chosen
   * @param editShare share of the captions with a hard negative whose changed tokens become [MASK]
   * @param negatives B rows; null for none
   */
  public static MaskedCaptions mask(
      TokenizedCaptions captions,
      CaptionTokenizer tokenizer,
      double ratio,
      double editShare,
      @Nullable HardNegativeCaptions negatives,
      long seed,
      int step,
      long[] sampleIds) {
    long[] ids = captions.ids().clone();
    int length = captions.length();
    int[] positions = new int[ids.length];
    long[] targets = new long[ids.length];
    int count = 0;
    for (int row = 0; row < captions.rows(); row++) {
      long sample = sampleIds[row];
      BitSet changed =
          negatives != null
                  && negatives.isValid(row)
                  && Draws.unit(Draws.draw(seed, step, sample, -1)) < editShare
              ? changed(captions, negatives.tokens(), row)
              : null;
      for (int column = 0; column < length; column++) {
        int at = row * length + column;
        if (captions.mask()[at] == 0 || tokenizer.isSpecial(ids[at])) {
          continue;
        }
        if (changed == null
            ? Draws.unit(Draws.draw(seed, step, sample, 3 * column)) >= ratio
            : !changed.get(column)) {
          continue;
        }
        positions[count] = at;
        targets[count] = ids[at];
        count++;
        double kind =
            changed != null ? 0 : Draws.unit(Draws.draw(seed, step, sample, 3 * column + 1));
        if (kind < 0.8) {
          ids[at] = tokenizer.maskId();
        } else if (kind < 0.9) {
          ids[at] =
              Draws.uniform(
                  Draws.draw(seed, step, sample, 3 * column + 2), tokenizer.vocabularySize());
        }
      }
    }
    return new MaskedCaptions(ids, Arrays.copyOf(positions, count), Arrays.copyOf(targets, count));
  }

  /** The columns of a caption between what it has in common with another at both ends. */
  private static BitSet changed(TokenizedCaptions captions, TokenizedCaptions others, int row) {
    long[] one = tokens(captions, row);
    long[] two = tokens(others, row);
    int front = Math.max(0, Arrays.mismatch(one, two));
    int back = 0;
    while (back < Math.min(one.length, two.length) - front
        && one[one.length - 1 - back] == two[two.length - 1 - back]) {
      back++;
    }
    BitSet changed = new BitSet(one.length);
    for (int i = front; i < one.length - back; i++) {
      changed.set(i, one.length != two.length || one[i] != two[i]);
    }
    return changed;
  }

  private static long[] tokens(TokenizedCaptions captions, int row) {
    int from = row * captions.length();
    int count = 0;
    while (count < captions.length() && captions.mask()[from + count] != 0) {
      count++;
    }
    return Arrays.copyOfRange(captions.ids(), from, from + count);
  }

  /**
   * The same with its rows padded to a greater length.
   *
   * @param rows how many there are
   * @param padId id of [PAD]
   */
  public MaskedCaptions padTo(int rows, int newLength, long padId) {
    int length = ids.length / rows;
    long[] newIds = new long[rows * newLength];
    Arrays.fill(newIds, padId);
    for (int row = 0; row < rows; row++) {
      System.arraycopy(ids, row * length, newIds, row * newLength, length);
    }
    int[] newPositions =
        Arrays.stream(positions).map(at -> at / length * newLength + at % length).toArray();
    return new MaskedCaptions(newIds, newPositions, targets);
  }
}
