package org.nasvlp.kernels;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.nasvlp.kernels.internal.Libraries;
import org.nasvlp.kernels.internal.Memory;

/**
 * What an enqueued call finds out about its input when its turn comes on the stream, in memory of
 * the backend: made by {@link Codebook#verdict()}, given to a call such as {@link
 * Codebook#enqueueLookup}, asked by {@link #check()}.
 *
 * <p>No bad input goes unnoticed: a verdict that has not been asked is not taken by another call,
 * and {@link #close()} asks it. A call captured in a CUDA graph can be replayed, and asked after
 * each replay; its verdict must stay open as long as the graph.
 *
 * <p>Not safe for use by several threads at the same time.
 */
public final class Verdict implements AutoCloseable {
  static final long BYTES = 2 * Long.BYTES;
  private static final int OK = 0;
  private static final int NON_FINITE = 2;

  private final Backend backend;
  private final Memory memory;
  private MemorySegment segment;
  private String call;
  private long stream;
  private boolean pending;

  Verdict(Backend backend) {
    this.backend = backend;
    this.memory = Libraries.require(backend).memory();
    this.segment = memory.allocate(BYTES);
  }

  /** Where a call writes its verdict. */
  MemorySegment take(Backend of) {
    requireOpen();
    if (of != backend) {
      throw new IllegalArgumentException(
          "the verdict is of a " + backend + " codebook, this codebook is on " + of);
    }
    if (pending) {
      throw new IllegalStateException(
          "the verdict on the last " + call + " has not been asked; call check() first");
    }
    return segment;
  }

  /** Notes that a call was enqueued. */
  void enqueued(String what, long on) {
    call = what;
    stream = on;
    pending = true;
  }

  /** Whether a call was enqueued since the last {@link #check()}. */
  public boolean isPending() {
    return pending;
  }

  /**
   * Waits for the call's stream, and does nothing if the call found its input fine.
   *
   * @throws NonFiniteInputException as the call that waits does, with the lowest bad row or image
   * @throws IllegalArgumentException if a code, a neighbour or a row of evidence is out of range
   * @throws IllegalStateException if no call was enqueued
   */
  public void check() {
    requireOpen();
    if (call == null) {
      throw new IllegalStateException("no call was enqueued with this verdict");
    }
    memory.synchronize(stream);
    long status;
    long badRow;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(BYTES, Long.BYTES);
      memory.copyOut(segment, host);
      status = host.getAtIndex(JAVA_LONG, 0);
      badRow = host.getAtIndex(JAVA_LONG, 1);
    }
    pending = false;
    if (status == NON_FINITE) {
      throw new NonFiniteInputException(
          badRow,
          badRow < 0
              ? "enqueued " + call + ": a codeword would not be finite"
              : "enqueued " + call + ": row " + badRow + " of the input holds NaN or infinity");
    }
    if (status != OK) {
      throw new IllegalArgumentException(
          "enqueued "
              + call
              + ": a code, a neighbour or a row of evidence is out of range"
              + (badRow < 0 ? "" : " in row " + badRow));
    }
  }

  private void requireOpen() {
    if (segment == null) {
      throw new IllegalStateException("the verdict is closed");
    }
  }

  /** Asks a verdict that has not been asked, and frees it. Calls after the first do nothing. */
  @Override
  public void close() {
    if (segment == null) {
      return;
    }
    try {
      if (pending) {
        check();
      }
    } finally {
      MemorySegment freed = segment;
      segment = null;
      memory.free(freed);
    }
  }
}
