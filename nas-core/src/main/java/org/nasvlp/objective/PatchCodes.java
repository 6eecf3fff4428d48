package org.nasvlp.objective;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.internal.Torch;

/** The codes of a batch's patch tokens, copied to the host at most once. Not thread-safe. */
public final class PatchCodes {
  private final Tensor tensor;
  private int @Nullable [] host;

  /** Of B x N int32 codes. */
  public PatchCodes(Tensor tensor) {
    this.tensor = tensor;
  }

  /** B x N int32, on the run's device. */
  public Tensor tensor() {
    return tensor;
  }

  /** B·N codes row by row, for reading only; on a CUDA device the first call waits for them. */
  public int[] host() {
    if (host == null) {
      host = Torch.toInts(tensor);
    }
    return host;
  }
}
