package org.nasvlp.train;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.internal.TorchDevice;

/** Pairs of an image row and a caption row that go through one fusion pass, in groups. */
final class FusionPairs {
  private final List<int[]> pairs = new ArrayList<>();

  /** Consecutive pairs of a pass. */
  record Group(int from, int count) {
    /** These pairs' rows of what the pass gave. */
    Tensor of(Tensor fused) {
      return fused.narrow(0, from, count);
    }
  }

  /** Adds pairs (images[i], texts[i]). */
  Group add(int[] images, int[] texts) {
    int from = pairs.size();
    for (int i = 0; i < images.length; i++) {
      pairs.add(new int[] {images[i], texts[i]});
    }
    return new Group(from, images.length);
  }

  int size() {
    return pairs.size();
  }

  Tensor images(TorchDevice device) {
    return device.index(pairs.stream().mapToInt(pair -> pair[0]).toArray());
  }

  Tensor texts(TorchDevice device) {
    return device.index(pairs.stream().mapToInt(pair -> pair[1]).toArray());
  }
}
