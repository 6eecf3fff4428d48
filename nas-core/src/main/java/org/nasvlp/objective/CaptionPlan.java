package org.nasvlp.objective;

import org.jspecify.annotations.Nullable;
import org.nasvlp.data.Batch;

/** The captions that objectives want encoded besides a batch's own. Belongs to one thread. */
public final class CaptionPlan {
  private final Batch batch;
  private final long step;
  private final long steps;
  private final int draw;
  private @Nullable MaskedCaptions masked;
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

  /**
   * Asks for the batch's captions in masked form; see {@link EncodedCaptions#masked}.
   *
   * @param captions made of {@code batch().tokens()}
   * @throws IllegalStateException if masked captions were asked for before
   * @throws IllegalArgumentException if they are not as many tokens as the batch's captions
   */
  public void mask(MaskedCaptions captions) {
    int tokens = batch.tokens().ids().length;
    if (captions.ids().length != tokens) {
      throw new IllegalArgumentException(
          "masked captions of %d tokens for a batch whose captions have %d: mask batch().tokens()"
              .formatted(captions.ids().length, tokens));
    }
    if (masked != null) {
      throw new IllegalStateException("two objectives mask the captions: one of them can");
    }
    masked = captions;
  }

  /**
   * Asks for hard negative captions, one for every caption that has any; see {@link
   * EncodedCaptions#negatives}. Asking twice gives the same ones.
   */
  public void requestHardNegatives() {
    hardNegatives = true;
  }

  /** The masked captions asked for. */
  public @Nullable MaskedCaptions masked() {
    return masked;
  }

  /** Whether hard negative captions were asked for. */
  public boolean wantsHardNegatives() {
    return hardNegatives;
  }
}
