package org.nasvlp.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;

/**
 * The numbers of a problem, row-major.
 *
 * @param rows N patch tokens
 * @param size K codewords
 * @param width d
 * @param tokens N x d
 * @param codewords K x d
 */
record Numbers(int rows, int size, int width, float[] tokens, float[] codewords) {
  /** The shape of trained numbers, which their checkpoint decides. */
  static final String CHECKPOINT = "checkpoint";

  /** Least patch tokens of trained numbers: those of 32 pictures of 224 x 224 in patches of 16. */
  private static final int TRAINED_ROWS = 6272;

  private static final int BATCH = 32;

  /**
   * Numbers of a kind.
   *
   * @param shape "NxKxd", or {@link #CHECKPOINT} for trained numbers
   * @param data "gaussian": independent standard normals; "clustered": tokens near codewords drawn
   *     like that; "trained": see {@link #trained}
   */
  static Numbers create(String shape, String data) {
    boolean trained = data.equals("trained");
    if (trained != shape.equals(CHECKPOINT)) {
      throw new IllegalArgumentException(
          "data=" + data + " does not go with shape=" + shape + ": run trained data on its own");
    }
    return switch (data) {
      case "gaussian" -> drawn(shape, false);
      case "clustered" -> drawn(shape, true);
      case "trained" ->
          trained(
              Path.of(property("checkpoint", null)),
              Path.of(property("pictures", "data/noto-emoji/train.tar")));
      default ->
          throw new IllegalArgumentException(
              "data is " + data + ": it must be gaussian, clustered or trained");
    };
  }

  private static String property(String name, String otherwise) {
    String value = System.getProperty(name, otherwise);
    if (value == null) {
      throw new IllegalArgumentException(
          "data=trained needs -D" + name + "=DIR before -jar: the output of nas train or nas demo");
    }
    return value;
  }

  private static Numbers drawn(String shape, boolean clustered) {
    String[] parts = shape.split("x", -1);
    int rows = Integer.parseInt(parts[0]);
    int size = Integer.parseInt(parts[1]);
    int width = Integer.parseInt(parts[2]);
    Random random = new Random(7);
    float[] codewords = normal(random, size * width);
    float[] tokens = normal(random, rows * width);
    if (clustered) {
      for (int i = 0; i < rows; i++) {
        int center = random.nextInt(size);
        for (int t = 0; t < width; t++) {
          tokens[i * width + t] = codewords[center * width + t] + 0.3f * tokens[i * width + t];
        }
      }
    }
    return new Numbers(rows, size, width, tokens, codewords);
  }

  private static float[] normal(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /**
   * A trained model's dictionary, and the patch tokens of pictures as its image encoder makes them:
   * those of enough pictures, evenly spread over the data set, for 6,272 tokens.
   */
  static Numbers trained(Path checkpoint, Path pictures) {
    try (NasModel model = NasModel.load(checkpoint);
        ImageTextDataset dataset =
            ImageTextDataset.open(pictures, model.config().data().background())) {
      int patches = model.config().model().patchTokens();
      int width = model.config().model().width();
      int size = model.config().model().imageSize();
      ImageTransform transform = ImageTransform.evaluation(size);
      int count = Math.ceilDiv(TRAINED_ROWS, patches);
      if (dataset.size() < count) {
        throw new IllegalArgumentException(
            pictures + " has " + dataset.size() + " pictures: " + count + " are needed");
      }
      float[] tokens = new float[count * patches * width];
      for (int from = 0; from < count; from += BATCH) {
        int batch = Math.min(BATCH, count - from);
        float[] pixels = new float[batch * 3 * size * size];
        for (int i = 0; i < batch; i++) {
          long index = (from + i) * dataset.size() / count;
          transform.apply(
              dataset.get(index).image(), "", 0, 0, 0, pixels, i * (pixels.length / batch));
        }
        try (PointerScope scope = new PointerScope();
            AutoGradMode off = new AutoGradMode(false)) {
          Tensor encoded = model.network().encodeImage(Torch.floats(pixels, batch, 3, size, size));
          float[] values = Torch.toFloats(encoded.narrow(1, 1, patches));
          System.arraycopy(values, 0, tokens, from * patches * width, values.length);
        }
      }
      float[] codewords = model.dictionary().state().codebook().codewords();
      System.out.printf(
          "# trained: %d tokens of %d pictures of %s, %d codewords, width %d, from %s%n",
          count * patches, count, pictures, codewords.length / width, width, checkpoint);
      return new Numbers(count * patches, codewords.length / width, width, tokens, codewords);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (BadSampleException e) {
      throw new IllegalArgumentException(e);
    }
  }
}
