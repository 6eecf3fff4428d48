package org.nasvlp.internal;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.Precision;

/**
 * A stretch of a thread's forward pass in which LibTorch computes matrix products in a given
 * precision. Backward passes belong outside of it.
 */
public final class Autocast implements AutoCloseable {
  private final torch.@Nullable DeviceType type;
  private final boolean enabledBefore;
  private final torch.@Nullable ScalarType dtypeBefore;

  private Autocast(torch.@Nullable DeviceType type) {
    this.type = type;
    if (type == null) {
      enabledBefore = false;
      dtypeBefore = null;
      return;
    }
    enabledBefore = torch.is_autocast_enabled(type);
    dtypeBefore = torch.get_autocast_dtype(type);
    torch.set_autocast_enabled(type, true);
    torch.set_autocast_dtype(type, torch.ScalarType.BFloat16);
    torch.increment_nesting();
  }

  /** Begins the stretch, for work on that tensor's device; with float32 nothing changes. */
  public static Autocast begin(Precision precision, Tensor where) {
    return new Autocast(precision == Precision.BFLOAT16 ? TorchDevice.of(where).type() : null);
  }

  @Override
  public void close() {
    if (type == null) {
      return;
    }
    if (torch.decrement_nesting() == 0) {
      torch.clear_cache();
    }
    torch.set_autocast_enabled(type, enabledBefore);
    torch.set_autocast_dtype(type, dtypeBefore);
  }
}
