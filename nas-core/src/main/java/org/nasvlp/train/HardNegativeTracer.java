package org.nasvlp.train;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.internal.Torch;
import org.nasvlp.negatives.NegativeVisualAugmentation.HardNegativeImages;
import org.nasvlp.negatives.NvaTrace;
import org.nasvlp.objective.Features;
import org.nasvlp.objective.HardNegativeObserver;

/** Traces the first hard negative image that it is told of. */
final class HardNegativeTracer implements HardNegativeObserver {
  private @Nullable NvaTrace trace;

  /** The trace; null if there was no hard negative image. */
  @Nullable NvaTrace trace() {
    return trace;
  }

  @Override
  public void onHardNegatives(Observed observed) {
    if (trace != null) {
      return;
    }
    trace = trace(observed, 0);
  }

  /** Of one of the hard negative images, by its place among them. */
  static NvaTrace trace(Observed observed, int place) {
    Features features = observed.features();
    HardNegativeImages negatives = observed.images().negatives();
    int row = observed.images().rows()[place];
    double[] scores = Torch.toDoubles(negatives.scores().select(0, row));
    int[] positions = Torch.toInts(negatives.positions().select(0, row));
    int[] substitutes = Torch.toInts(negatives.substitutes().select(0, row));
    int[] codes = features.codes().host();
    List<NvaTrace.Swap> swaps = new ArrayList<>();
    for (int m = 0; m < positions.length; m++) {
      if (substitutes[m] >= 0) {
        int code = codes[row * scores.length + positions[m]];
        swaps.add(new NvaTrace.Swap(positions[m], code, substitutes[m]));
      }
    }
    return new NvaTrace(
        features.batch().keys()[row],
        features.batch().captions()[row],
        scores,
        swaps,
        match(observed.positiveLogits(), row),
        match(observed.negativeLogits(), place));
  }

  private static double match(Tensor logits, int row) {
    return torch.softmax(logits.select(0, row), 0).select(0, 1).item_double();
  }
}
