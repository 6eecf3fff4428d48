package org.nasvlp.internal;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

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

  /** Begins the stretch, in bfloat16 on that tensor's device; without it nothing changes. */
  public static Autocast begin(boolean bfloat16, Tensor where) {
    return new Autocast(bfloat16 ? TorchDevice.of(where).type() : null);
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
