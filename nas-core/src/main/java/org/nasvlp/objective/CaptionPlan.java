package org.nasvlp.objective;

import org.jspecify.annotations.Nullable;
import org.nasvlp.data.Batch;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;

/** The captions that objectives want encoded besides a batch's own. Belongs to one thread. */
public final class CaptionPlan {
  private final Batch batch;
  private final long step;
  private final long steps;
  private final int draw;
  private @Nullable Masking masking;
  private boolean hardNegatives;

  /**
   * Nothing asked for yet.
   *
   * @param step of the run, 0-based
   * @param steps planned length of the run
   * @param draw number of the batch in the run, which randomness depends on
   */
  public CaptionPlan(Batch batch, long step, long steps, int draw) {
    this.batch = batch;
    this.step = step;
    this.steps = steps;
    this.draw = draw;
  }

  /** The pairs. */
  public Batch batch() {
    return batch;
  }

  /** Step of the run, 0-based. */
  public long step() {
    return step;
  }

  /** Planned length of the run. */
  public long steps() {
    return steps;
  }

  /** Number of the batch in the run, which randomness depends on. */
  public int draw() {
    return draw;
  }

  /** Chooses what is masked, once the hard negative captions are drawn. */
  @FunctionalInterface
  public interface Masking {
    /**
     * The batch's captions in masked form; those without a position count as none.
     *
     * @param negatives the hard negative captions; null if no objective asked for any
     */
    MaskedCaptions mask(@Nullable HardNegativeCaptions negatives);
  }

  /**
   * Asks for the batch's captions in masked form; see {@link EncodedCaptions#masked}.
   *
   * @throws IllegalStateException if masked captions were asked for before
   */
  public void mask(Masking how) {
    if (masking != null) {
      throw new IllegalStateException("two objectives mask the captions: one of them can");
    }
    masking = how;
  }

  /**
   * Asks for hard negative captions, one for every caption that has any; see {@link
   * EncodedCaptions#negatives}. Asking twice gives the same ones.
   */
  public void requestHardNegatives() {
    hardNegatives = true;
  }

  /**
   * The masked captions asked for; null if none were, or no token is masked.
   *
   * @param negatives the hard negative captions that were drawn; null for none
   * @throws IllegalArgumentException if they are not as many tokens as the batch's captions
   */
  public @Nullable MaskedCaptions masked(@Nullable HardNegativeCaptions negatives) {
    if (masking == null) {
      return null;
    }
    MaskedCaptions captions = masking.mask(negatives);
    int tokens = batch.tokens().ids().length;
    if (captions.ids().length != tokens) {
      throw new IllegalArgumentException(
          "masked captions of %d tokens for a batch whose captions have %d: mask batch().tokens()"
              .formatted(captions.ids().length, tokens));
    }
    return captions.positions().length == 0 ? null : captions;
  }

  /** Whether hard negative captions were asked for. */
  public boolean wantsHardNegatives() {
    return hardNegatives;
  }
}
