package org.nasvlp.negatives;

import java.util.Arrays;

/**
 * Longs by long keys, open addressing; 16 bytes for each of up to half its slots. Not thread-safe.
 */
final class LongTable {
  static final long ABSENT = Long.MIN_VALUE;

  private long[] keys = new long[1024];
  private long[] values = filled(1024);
  private int size;

  private static long[] filled(int length) {
    long[] values = new long[length];
    Arrays.fill(values, ABSENT);
    return values;
  }

  /** The value of a key, or {@link #ABSENT}. */
  long get(long key) {
    return values[slot(key)];
  }

  /**
   * Sets a key's value unless it has one.
   *
   * @param value anything but {@link #ABSENT}
   * @return whether it had none
   */
  boolean putIfAbsent(long key, long value) {
    int slot = slot(key);
    if (values[slot] != ABSENT) {
      return false;
    }
    keys[slot] = key;
    values[slot] = value;
    size++;
    if (size > keys.length / 2) {
      grow();
    }
    return true;
  }

  int size() {
    return size;
  }

  private int slot(long key) {
    int mask = keys.length - 1;
    int slot = Long.hashCode(key * 0x9E3779B97F4A7C15L) & mask;
    while (values[slot] != ABSENT && keys[slot] != key) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private void grow() {
    long[] oldKeys = keys;
    long[] oldValues = values;
    int length = Math.multiplyExact(oldKeys.length, 2);
    keys = new long[length];
    values = filled(length);
    for (int i = 0; i < oldKeys.length; i++) {
      if (oldValues[i] != ABSENT) {
        int slot = slot(oldKeys[i]);
        keys[slot] = oldKeys[i];
        values[slot] = oldValues[i];
      }
    }
  }
}
