package org.nasvlp.kernels.internal;

import java.lang.foreign.MemorySegment;

/** The memory a library works in: the host's or a device's. */
public sealed interface Memory permits HostMemory, CudaMemory {
  /** Allocations that are freed together. */
  interface Scope extends AutoCloseable {
    /** Uninitialised memory of the library, aligned for every element type. */
    MemorySegment allocate(long bytes);

    /** A copy of host memory (heap or not) in memory of the library. */
    MemorySegment copyOf(MemorySegment host);

    @Override
    void close();
  }

  /** Allocations for the calling thread, within one call. */
  Scope open();

  /** Zeroed memory for any thread, until {@link #free}. */
  MemorySegment allocate(long bytes);

  /** Frees what {@link #allocate} gave. */
  void free(MemorySegment segment);

  /** Copies memory of the library to host memory (heap or not) of the same size. */
  void copyOut(MemorySegment from, MemorySegment host);

  /** Waits for all work on the memory. */
  void synchronize();

  /** Waits for the work of a stream. */
  void synchronize(long stream);
}
