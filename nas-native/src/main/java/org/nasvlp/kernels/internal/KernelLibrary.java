package org.nasvlp.kernels.internal;

import java.lang.foreign.MemorySegment;

/** The kernels of one backend. */
public interface KernelLibrary {
  /** One line about this backend. */
  String describe();

  /** The memory it works in. */
  Memory memory();

  /** Creates a codebook from codewords on the heap. */
  KernelCodebook create(float[] codewords, int size, int width);

  /** Creates a codebook from codewords in memory of the backend. */
  KernelCodebook create(MemorySegment codewords, int size, int width);
}
