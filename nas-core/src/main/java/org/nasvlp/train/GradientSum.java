package org.nasvlp.train;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.Precision;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.Parameters;

/**
 * Sums gradients over the ranks. The image encoder's are made last: while a rank makes them, those
 * of all other parameters are on their way.
 */
final class GradientSum {
  private static final String LAST = "image_encoder.";

  private final Ranks ranks;
  private final Tensor gradients;
  private final boolean rounded;
  private final List<Range> early = new ArrayList<>();
  private final List<Range> late = new ArrayList<>();
  private final List<Ranks.Pending> pending = new ArrayList<>();
  private boolean begun;

  /** Neighbours in the flat vector that are complete at the same time. */
  private record Range(long begin, long end) {}

  /**
   * Of the gradients of a step's last batch.
   *
   * @param precision what they are sent as
   */
  GradientSum(Parameters parameters, Ranks ranks, Precision precision) {
    this.rounded = precision == Precision.BFLOAT16;
    this.ranks = ranks;
    this.gradients = parameters.gradients();
    long[] at = {0};
    parameters
        .byName()
        .forEach(
            (name, value) -> {
              long end = at[0] + value.numel();
              add(name.startsWith(LAST) ? late : early, at[0], end);
              at[0] = end;
            });
  }

  private static void add(List<Range> ranges, long begin, long end) {
    boolean follows = !ranges.isEmpty() && ranges.getLast().end == begin;
    long from = follows ? ranges.removeLast().begin : begin;
    ranges.add(new Range(from, end));
  }

  /**
   * Begins, once the gradients of all but the image encoder's parameters are complete. Within the
   * caller's scope. A collective.
   */
  void begin() {
    begun = true;
    begin(early);
  }

  /** Ends, once all gradients are complete. A collective. */
  void finish() {
    if (!begun) {
      begin(early);
    }
    begin(late);
    try (AutoGradMode off = Torch.withoutGradient()) {
      pending.forEach(Ranks.Pending::await);
    }
    pending.clear();
    begun = false;
  }

  private void begin(List<Range> ranges) {
    try (AutoGradMode off = Torch.withoutGradient()) {
      for (Range range : ranges) {
        Tensor own = gradients.narrow(0, range.begin, range.end - range.begin);
        if (rounded) {
          Tensor sent = own.to(torch.ScalarType.BFloat16);
          Ranks.Pending sum = ranks.beginSum(sent);
          pending.add(
              () -> {
                sum.await();
                own.copy_(sent);
              });
        } else {
          pending.add(ranks.beginSum(own));
        }
      }
    }
  }
}
