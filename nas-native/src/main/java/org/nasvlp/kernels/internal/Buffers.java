package org.nasvlp.kernels.internal;

import java.lang.foreign.MemorySegment;

/**
 * The buffers of one call: each is checked by itself as it is named, and then all outputs against
 * all others. Kept for each thread, so that a call allocates only to complain.
 */
public final class Buffers {
  private static final int MOST = 16;
  private static final ThreadLocal<Buffers> OWN = ThreadLocal.withInitial(Buffers::new);

  private final String[] names = new String[MOST];
  private final long[] begin = new long[MOST];
  private final long[] end = new long[MOST];
  private final boolean[] written = new boolean[MOST];
  private int count;

  private Buffers() {}

  /** The calling thread's, empty. */
  public static Buffers begin() {
    Buffers own = OWN.get();
    own.count = 0;
    return own;
  }

  /** A buffer that is read; it must not be null. */
  public Buffers input(String name, MemorySegment segment, long bytes, long alignment) {
    Segments.input(name, segment, bytes, alignment);
    return add(name, segment, bytes, false);
  }

  /** A buffer that is written; it must not be null. */
  public Buffers output(String name, MemorySegment segment, long bytes, long alignment) {
    Segments.output(name, segment, bytes, alignment);
    return add(name, segment, bytes, true);
  }

  /** A buffer that is written, or null. */
  public Buffers outputOrNull(String name, MemorySegment segment, long bytes, long alignment) {
    return segment == null ? this : output(name, segment, bytes, alignment);
  }

  private Buffers add(String name, MemorySegment segment, long bytes, boolean output) {
    names[count] = name;
    begin[count] = segment.address();
    end[count] = segment.address() + bytes;
    written[count] = output;
    count++;
    return this;
  }

  /** Refuses an output that shares a byte with another buffer. */
  public void requireDisjoint() {
    requireDisjoint(null, null);
  }

  /** The same, but an output may start where an input does. */
  public void requireDisjoint(String output, String input) {
    for (int i = 0; i < count; i++) {
      for (int k = 0; written[i] && k < count; k++) {
        boolean later = written[k] && k > i; // its own turn comes
        boolean inPlace = names[i].equals(output) && names[k].equals(input) && begin[i] == begin[k];
        if (k != i && !later && !inPlace && share(i, k)) {
          throw new IllegalArgumentException(
              names[i] + " overlaps " + names[k] + "; give them separate memory");
        }
      }
    }
  }

  private boolean share(int i, int k) {
    return begin[i] < end[i] && begin[k] < end[k] && begin[i] < end[k] && begin[k] < end[i];
  }
}
