package org.nasvlp.data.image;

import java.util.Arrays;

/** Counts the pixels of a GIF image's data without decoding them. */
final class GifPixels {
  private static final int MOST_CODES = 1 << 12;

  private final byte[] encoded;

  /** Place of the next byte, and how many are left before the next block's length. */
  private int at;

  private int left;
  private int bits;
  private int held;

  private GifPixels(byte[] encoded, int at) {
    this.encoded = encoded;
    this.at = at;
  }

  /**
   * How many pixels the codes stand for (GIF89a, appendix F), up to the one that ends them, the end
   * of the blocks or a code that cannot be.
   *
   * @param at place of the first block's length; behind the codes' least size, and the last block
   *     of length 0 is there
   */
  static long count(byte[] encoded, int at) {
    int least = encoded[at - 1];
    if (least < 1 || least > 8) {
      return 0;
    }
    GifPixels codes = new GifPixels(encoded, at);
    int clear = 1 << least;
    int[] lengths = new int[MOST_CODES];
    Arrays.fill(lengths, 0, clear, 1);
    long pixels = 0;
    int next = clear + 2;
    int size = least + 1;
    int before = clear;
    while (true) {
      int code = codes.next(size);
      if (code == clear) {
        next = clear + 2;
        size = least + 1;
      } else if (code < 0
          || code == clear + 1
          || code > next
          || (code == next && before == clear)) {
        return pixels;
      } else {
        if (before != clear && next < MOST_CODES) {
          // The code before, and the first pixel of this one.
          lengths[next++] = lengths[before] + 1;
          if (next == 1 << size && size < 12) {
            size++;
          }
        }
        pixels += lengths[code];
      }
      before = code;
    }
  }

  /** The next code of that many bits; -1 if there is none. */
  private int next(int size) {
    while (held < size) {
      if (left == 0) {
        left = encoded[at++] & 0xFF;
        if (left == 0) {
          at--;
          return -1;
        }
      }
      bits |= (encoded[at++] & 0xFF) << held;
      held += 8;
      left--;
    }
    int code = bits & ((1 << size) - 1);
    bits >>>= size;
    held -= size;
    return code;
  }
}
