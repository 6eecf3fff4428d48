package org.nasvlp.eval;

import java.util.List;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;

/** Pairs held in memory; a null pair stands for an unreadable sample. */
record MemoryDataset(List<ImageTextPair> pairs) implements ImageTextDataset {
  /** A 1 x 1 picture whose red value is its number, by which a test scorer knows it. */
  static ImageTextPair pair(String key, int number, String caption) {
    return new ImageTextPair(
        key, number, new RgbImage(1, 1, new byte[] {(byte) number, 0, 0}), caption);
  }

  static int number(RgbImage image) {
    return image.rgb()[0] & 0xFF;
  }

  @Override
  public long size() {
    return pairs.size();
  }

  @Override
  public ImageTextPair get(long index) throws BadSampleException {
    ImageTextPair pair = pairs.get((int) index);
    if (pair == null) {
      throw new BadSampleException("sample " + index, "truncated image");
    }
    return pair;
  }

  @Override
  public String name() {
    return "memory";
  }
}
