package org.nasvlp.kernels;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;

/** Memory of a backend, for the length of a test. */
interface TestMemory extends AutoCloseable {
  /** Memory of exactly this size, filled with bytes that no kernel should leave behind. */
  MemorySegment allocate(long bytes);

  /** Copies a heap segment in. */
  void write(MemorySegment segment, MemorySegment heap);

  /** Copies out to a heap segment. */
  void read(MemorySegment segment, MemorySegment heap);

  /** The stream to pass. */
  long stream();

  @Override
  void close();

  default MemorySegment put(MemorySegment heap) {
    MemorySegment segment = allocate(heap.byteSize());
    write(segment, heap);
    return segment;
  }

  default MemorySegment floats(float... values) {
    return put(MemorySegment.ofArray(values));
  }

  default MemorySegment doubles(double... values) {
    return put(MemorySegment.ofArray(values));
  }

  default MemorySegment ints(int... values) {
    return put(MemorySegment.ofArray(values));
  }

  default MemorySegment shorts(short... values) {
    return put(MemorySegment.ofArray(values));
  }

  default MemorySegment longs(long... values) {
    return put(MemorySegment.ofArray(values));
  }

  default MemorySegment bytes(byte... values) {
    return put(MemorySegment.ofArray(values));
  }

  default float[] toFloats(MemorySegment segment) {
    float[] values = new float[(int) (segment.byteSize() / JAVA_FLOAT.byteSize())];
    read(segment, MemorySegment.ofArray(values));
    return values;
  }

  default double[] toDoubles(MemorySegment segment) {
    double[] values = new double[(int) (segment.byteSize() / JAVA_DOUBLE.byteSize())];
    read(segment, MemorySegment.ofArray(values));
    return values;
  }

  default byte[] toBytes(MemorySegment segment) {
    byte[] values = new byte[(int) segment.byteSize()];
    read(segment, MemorySegment.ofArray(values));
    return values;
  }

  default int[] toInts(MemorySegment segment) {
    int[] values = new int[(int) (segment.byteSize() / JAVA_INT.byteSize())];
    read(segment, MemorySegment.ofArray(values));
    return values;
  }
}
