package org.nasvlp.negatives;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.Batch;
import org.nasvlp.data.ImageCaption;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.text.CaptionTokenizer;

/** A data set of captions whose pictures must not be asked for; a null caption cannot be read. */
public record Captions(List<ImageCaption> rows) implements ImageTextDataset {
  public static Captions of(String... captions) {
    return new Captions(
        IntStream.range(0, captions.length)
            .mapToObj(i -> captions[i] == null ? null : new ImageCaption(i, captions[i]))
            .collect(java.util.stream.Collectors.toList()));
  }

  @Override
  public long size() {
    return rows.size();
  }

  @Override
  public ImageTextPair get(long index) {
    throw new AssertionError("no picture is needed for captions");
  }

  @Override
  public ImageCaption caption(long index) throws BadSampleException {
    ImageCaption row = rows.get((int) index);
    if (row == null) {
      throw new BadSampleException("row " + index, "the caption is not valid UTF-8");
    }
    return row;
  }

  @Override
  public String name() {
    return "captions";
  }

  /** A batch of some of the rows, as a loader makes it but without pictures. */
  public Batch batch(long step, CaptionTokenizer tokenizer, int... indices) {
    String[] captions =
        Arrays.stream(indices)
            .mapToObj(i -> CaptionTokenizer.normalize(rows.get(i).caption()))
            .toArray(String[]::new);
    return new Batch(
        step,
        captions,
        Arrays.stream(indices).asLongStream().toArray(),
        Arrays.stream(indices).mapToLong(i -> rows.get(i).imageId()).toArray(),
        captions,
        new float[0],
        tokenizer.encode(List.of(captions)));
  }
}
