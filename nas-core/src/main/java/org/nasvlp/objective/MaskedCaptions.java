package org.nasvlp.objective;

import java.util.Arrays;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
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

  /** Masks captions; the result depends on the ids, the seed, the step and the sample ids alone. */
  public static MaskedCaptions mask(
      TokenizedCaptions captions,
      CaptionTokenizer tokenizer,
      double ratio,
      long seed,
      int step,
      long[] sampleIds) {
    long[] ids = captions.ids().clone();
    int[] positions = new int[ids.length];
    long[] targets = new long[ids.length];
    int count = 0;
    for (int i = 0; i < ids.length; i++) {
      if (captions.mask()[i] == 0 || tokenizer.isSpecial(ids[i])) {
        continue;
      }
      int row = i / captions.length();
      int column = i % captions.length();
      long sample = sampleIds[row];
      if (Draws.unit(Draws.draw(seed, step, sample, 3 * column)) >= ratio) {
        continue;
      }
      positions[count] = i;
      targets[count] = ids[i];
      count++;
      double kind = Draws.unit(Draws.draw(seed, step, sample, 3 * column + 1));
      if (kind < 0.8) {
        ids[i] = tokenizer.maskId();
      } else if (kind < 0.9) {
        ids[i] =
            Draws.uniform(
                Draws.draw(seed, step, sample, 3 * column + 2), tokenizer.vocabularySize());
      }
    }
    return new MaskedCaptions(ids, Arrays.copyOf(positions, count), Arrays.copyOf(targets, count));
  }
}
