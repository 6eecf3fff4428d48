package org.nasvlp.report;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.nasvlp.data.image.RgbImage;

/** Patches of a codeword in a row, each framed within what is half a patch around it. */
final class PatchStrip {
  private static final byte GAP = (byte) 0x88;
  private static final byte[] FRAME = {(byte) 0xE1, 0x1D, (byte) 0x8F};

  private PatchStrip() {}

  /**
   * A strip.
   *
   * @param most pixels of a side of a patch with its surroundings, which is made smaller by a whole
   *     factor where it has more
   */
  static RgbImage of(LearnedDictionary dictionary, List<LearnedDictionary.Place> places, int most) {
    int patch = dictionary.pictures().getFirst().width() / dictionary.side();
    int factor = Math.max(1, Math.ceilDiv(2 * patch, most));
    int cell = 2 * patch / factor;
    int margin = patch / 2;
    int width = places.size() * (cell + 1) - 1;
    byte[] rgb = new byte[3 * width * cell];
    Arrays.fill(rgb, GAP);
    for (int i = 0; i < places.size(); i++) {
      LearnedDictionary.Place place = places.get(i);
      RgbImage picture = dictionary.pictures().get(place.picture());
      int left = place.position() % dictionary.side() * patch - margin;
      int top = place.position() / dictionary.side() * patch - margin;
      for (int y = 0; y < cell; y++) {
        for (int x = 0; x < cell; x++) {
          int to = 3 * (y * width + i * (cell + 1) + x);
          if (framed(x, y, margin / factor, patch / factor)) {
            System.arraycopy(FRAME, 0, rgb, to, 3);
          } else {
            mean(picture, left + x * factor, top + y * factor, factor, rgb, to);
          }
        }
      }
    }
    return new RgbImage(width, cell, rgb);
  }

  /** On the line just around the patch. */
  private static boolean framed(int x, int y, int margin, int patch) {
    int from = margin - 1;
    int to = margin + patch;
    return x >= from
        && x <= to
        && y >= from
        && y <= to
        && (x == from || x == to || y == from || y == to);
  }

  /** The mean of a square of pixels; left alone where it lies outside of the picture. */
  private static void mean(RgbImage picture, int left, int top, int side, byte[] rgb, int to) {
    int count = 0;
    int[] sums = new int[3];
    for (int y = Math.max(0, top); y < Math.min(picture.height(), top + side); y++) {
      for (int x = Math.max(0, left); x < Math.min(picture.width(), left + side); x++) {
        sums[0] += picture.red(x, y);
        sums[1] += picture.green(x, y);
        sums[2] += picture.blue(x, y);
        count++;
      }
    }
    if (count > 0) {
      for (int channel = 0; channel < 3; channel++) {
        rgb[to + channel] = (byte) ((sums[channel] + count / 2) / count);
      }
    }
  }

  /** The mean colour of patches, as {@code #rrggbb}. */
  static String color(LearnedDictionary dictionary, List<LearnedDictionary.Place> places) {
    int patch = dictionary.pictures().getFirst().width() / dictionary.side();
    int[] sums = new int[3];
    byte[] one = new byte[3];
    for (LearnedDictionary.Place place : places) {
      mean(
          dictionary.pictures().get(place.picture()),
          place.position() % dictionary.side() * patch,
          place.position() / dictionary.side() * patch,
          patch,
          one,
          0);
      for (int channel = 0; channel < 3; channel++) {
        sums[channel] += one[channel] & 0xFF;
      }
    }
    int count = places.size();
    return String.format(
        Locale.ROOT, "#%02x%02x%02x", sums[0] / count, sums[1] / count, sums[2] / count);
  }
}
