package org.nasvlp.objective;

import java.util.List;
import java.util.Objects;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A part of a loss: the mean over some items of the rank's share of a batch. The parts of all ranks
 * make up the mean over the whole batch's items.
 *
 * @param mean a scalar with gradient; null exactly if there are no items
 * @param items how many it is the mean of
 */
public record LossPart(@Nullable Tensor mean, int items) {
  /** A part without items. */
  public static final LossPart NONE = new LossPart(null, 0);

  /** Checks that a mean has items. */
  public LossPart {
    if (items < 0 || (mean == null) != (items == 0)) {
      throw new IllegalArgumentException("a part of a loss has " + items + " items");
    }
  }

  /** The mean of the parts that have items, as of a process that trains alone; null if none has. */
  static @Nullable Tensor mean(List<LossPart> parts) {
    Tensor[] means =
        parts.stream().map(LossPart::mean).filter(Objects::nonNull).toArray(Tensor[]::new);
    return means.length == 0 ? null : PairLoss.mean(means);
  }
}
