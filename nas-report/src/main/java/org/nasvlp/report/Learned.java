package org.nasvlp.report;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.eval.RetrievalExamples;
import org.nasvlp.eval.ScoredPair;
import org.nasvlp.negatives.NvaTrace;
import org.nasvlp.train.HardNegativeExample;

/**
 * What a run's model does with pictures, for a page on the run.
 *
 * @param imageSize pixels of a side of what the model sees; pictures are shown so
 * @param pairs test pairs that differ in one thing, scored; none to leave them out
 * @param looks where the model looks for words of captions; none to leave it out
 * @param retrieval what is found for captions and for pictures; null to leave it out
 * @param hardNegatives of training pairs; none to leave them out
 * @param dictionary what the codewords stand for; null to leave it out
 */
public record Learned(
    int imageSize,
    List<ScoredPair> pairs,
    List<LookedAt> looks,
    @Nullable RetrievalExamples retrieval,
    List<HardNegativeExample> hardNegatives,
    @Nullable LearnedDictionary dictionary) {
  /** Copies the lists. */
  public Learned {
    pairs = List.copyOf(pairs);
    looks = List.copyOf(looks);
    hardNegatives = List.copyOf(hardNegatives);
  }

  /**
   * Hard negative images of swapped tokens, drawn: each picture beside the same one with a patch of
   * the new codeword wherever a token was swapped.
   *
   * @param most pictures at most
   */
  public List<RgbImage> swaps(int most) {
    LearnedDictionary patches = dictionary;
    if (patches == null) {
      return List.of();
    }
    List<RgbImage> drawn = new ArrayList<>();
    for (HardNegativeExample example : hardNegatives) {
      NvaTrace swap = example.swap();
      if (swap != null && drawn.size() < most) {
        RgbImage image = seen(example.pair().image(), imageSize);
        drawn.add(Picture.beside(image, Picture.swapped(image, swap, patches)));
      }
    }
    return drawn;
  }

  /** A picture as a model of an image size sees it: its middle, a square of so many pixels. */
  public static RgbImage seen(RgbImage image, int size) {
    return Picture.seen(image, size);
  }
}
