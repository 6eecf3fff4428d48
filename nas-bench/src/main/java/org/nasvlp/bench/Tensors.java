package org.nasvlp.bench;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.libtorch.LibTorch;

/** Tensors on the host and their memory. They are made in the caller's {@code PointerScope}. */
final class Tensors {
  static {
    // Loads LibTorch with the library's settings, before another class loads it with its own.
    int _ = LibTorch.threads();
  }

  private Tensors() {}

  /** An uninitialised tensor. */
  static Tensor empty(torch.ScalarType type, long... shape) {
    return torch.empty(shape, new TensorOptions(type), new MemoryFormatOptional());
  }

  /** A float32 tensor of zeros. */
  static Tensor zeros(long... shape) {
    return torch.zeros(shape, new TensorOptions(torch.ScalarType.Float));
  }

  /** A float32 tensor with a copy of the values, row-major. */
  static Tensor floats(float[] values, long... shape) {
    Tensor tensor = empty(torch.ScalarType.Float, shape);
    segment(tensor).copyFrom(MemorySegment.ofArray(values));
    return tensor;
  }

  /** An int64 tensor with a copy of the values, row-major. */
  static Tensor longs(long[] values, long... shape) {
    Tensor tensor = empty(torch.ScalarType.Long, shape);
    segment(tensor).copyFrom(MemorySegment.ofArray(values));
    return tensor;
  }

  /** A copy of a float32 tensor's values, row-major. */
  static float[] toFloats(Tensor tensor) {
    Tensor values = tensor.contiguous();
    try {
      return segment(values).toArray(ValueLayout.JAVA_FLOAT);
    } finally {
      Reference.reachabilityFence(values); // frees its memory once it is unreachable
    }
  }

  /** A copy of an int32 tensor's values, row-major. */
  static int[] toInts(Tensor tensor) {
    Tensor values = tensor.contiguous();
    try {
      return segment(values).toArray(ValueLayout.JAVA_INT);
    } finally {
      Reference.reachabilityFence(values);
    }
  }

  /** Sum over one dimension, which is dropped. */
  static Tensor sum(Tensor x, long dim) {
    return x.sum(new long[] {dim}, false, new ScalarTypeOptional());
  }

  /** The memory of a contiguous tensor, valid while the tensor lives. */
  static MemorySegment segment(Tensor tensor) {
    if (tensor.is_cuda() || !tensor.is_contiguous()) {
      throw new IllegalArgumentException("the tensor must lie on the host and be contiguous");
    }
    return MemorySegment.ofAddress(tensor.data_ptr().address()).reinterpret(tensor.nbytes());
  }
}
