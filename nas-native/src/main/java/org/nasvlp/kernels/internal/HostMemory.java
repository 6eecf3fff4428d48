package org.nasvlp.kernels.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Host memory. */
final class HostMemory implements Memory {
  private static final long ALIGNMENT = 64;

  private record HostScope(Arena arena) implements Scope {
    @Override
    public MemorySegment allocate(long bytes) {
      return arena.allocate(bytes, ALIGNMENT);
    }

    @Override
    public MemorySegment copyOf(MemorySegment host) {
      return allocate(host.byteSize()).copyFrom(host);
    }

    @Override
    public void close() {
      arena.close();
    }
  }

  @Override
  @SuppressWarnings("MustBeClosedChecker") // the scope owns the arena and closes it
  public Scope open() {
    return new HostScope(Arena.ofConfined());
  }

  @Override
  public MemorySegment allocate(long bytes) {
    return Arena.ofAuto().allocate(bytes, ALIGNMENT);
  }

  @Override
  public void free(MemorySegment segment) {
    // The garbage collector does.
  }

  @Override
  public void copyOut(MemorySegment from, MemorySegment host) {
    host.copyFrom(from);
  }

  @Override
  public void synchronize() {
    // Host calls are done when they return.
  }

  @Override
  public void synchronize(long stream) {
    // Likewise.
  }
}
