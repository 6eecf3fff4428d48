package org.nasvlp.objective;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One term of the training loss, which is the sum of weight times loss over all objectives.
 *
 * <p>For every batch the trainer calls, on the thread that trains: {@link #captions}, {@link
 * #plan}, {@link #loss}, and {@link #update} once the batch's gradient is taken. What an objective
 * plans it may keep in fields until then, so an object belongs to one run. An objective has no
 * parameters of its own and no part in checkpoints: what it keeps from batch to batch starts anew
 * when a run is resumed.
 *
 * <p>Tensors are LibTorch's, float32 unless said otherwise, on the run's device. They live until
 * the end of the batch, as do those that an objective makes; what is kept longer needs {@code
 * retainReference}. An exception ends the run.
 */
public interface Objective {
  /** How many parts a loss can have. */
  int MOST_PARTS = 3;

  /**
   * What the loss is called in reports and in the log: lower-case letters, digits, '-' and '_'. The
   * library's own are itc, itm, nva, mirror, nta, mlm, mvm, commitment and distill.
   */
  String name();

  /**
   * The loss's weight at a step, finite and not negative. With weight 0 the loss is still asked for
   * and reported, but nothing is learned from it.
   *
   * @param step 0-based
   * @param steps planned length of the run
   */
  double weight(long step, long steps);

  /** Asks for captions besides the batch's own, before captions are encoded. */
  default void captions(CaptionPlan plan) {}

  /** Asks for image-caption pairs to be fused, once images and captions are encoded. */
  default void plan(FusionPlan plan) {}

  /**
   * The loss of a batch, with its gradient's graph.
   *
   * @return a scalar (a tensor of one element), or null where the batch has none
   */
  @Nullable Tensor loss(Forward forward);

  /**
   * How the loss is put together from the shares of several ranks; asked for in place of {@link
   * #loss} where there are any. It is the mean of its parts, of those that have items on some rank,
   * and a part the mean over the items of all ranks.
   *
   * @return at most {@value #MOST_PARTS}, of one kind at one place on every rank; unless overridden
   *     the loss itself, as a mean over the rank's pairs
   */
  default List<LossPart> parts(Forward forward) {
    Tensor loss = loss(forward);
    return List.of(loss == null ? LossPart.NONE : new LossPart(loss, forward.features().size()));
  }

  /**
   * Moves on what the objective keeps from batch to batch. Called after the batch's backward pass
   * (and, for the last batch of a step, after the parameters were updated), without gradient; not
   * called where loss or gradient is not finite, which ends the run.
   */
  default void update(Features features) {}
}
