package org.nasvlp.onnx;

import ai.onnxruntime.OrtException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;

/**
 * Times pairs scored by ONNX Runtime beside LibTorch, in turns, from decoded pictures and captions
 * on, one thread each. Arguments: a checkpoint, the folder of its graphs, a data set.
 */
final class OnnxSpeed {
  private static final int PAIRS = 32;
  private static final int ROUNDS = 15;

  private OnnxSpeed() {}

  static void main(String[] args) throws IOException, OrtException, BadSampleException {
    Torch.setThreads(1);
    List<RgbImage> images = new ArrayList<>();
    List<String> captions = new ArrayList<>();
    try (ImageTextDataset data = ImageTextDataset.open(Path.of(args[2]), 0xFFFFFF)) {
      for (int i = 0; i < PAIRS; i++) {
        images.add(data.get(i).image());
        captions.add(data.get(i).caption());
      }
    }
    int[] index = new int[PAIRS];
    Arrays.setAll(index, i -> i);
    try (NasModel model = NasModel.load(Path.of(args[0]));
        Exported onnx = new Exported(Path.of(args[1]), 1)) {
      double worst = 0;
      double[] ratios = new double[ROUNDS];
      double[] torch = new double[ROUNDS];
      for (int round = -3; round < ROUNDS; round++) {
        long start = System.nanoTime();
        double[] expected = model.itmScorer().score(images, captions, index, index);
        long between = System.nanoTime();
        float[] actual = score(model, onnx, images, captions);
        long end = System.nanoTime();
        for (int i = 0; i < PAIRS; i++) {
          worst = Math.max(worst, Math.abs(expected[i] - actual[i]));
        }
        if (round >= 0) {
          ratios[round] = (double) (between - start) / (end - between);
          torch[round] = (between - start) / 1e6;
        }
      }
      Arrays.sort(ratios);
      Arrays.sort(torch);
      System.out.printf(
          "%d pairs: LibTorch %.1f ms, ONNX Runtime %.2f times as fast (%.2f to %.2f); logits"
              + " differ by %.2g at most%n",
          PAIRS, torch[ROUNDS / 2], ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1], worst);
    }
  }

  private static float[] score(
      NasModel model, Exported onnx, List<RgbImage> images, List<String> captions)
      throws OrtException {
    int size = model.config().model().imageSize();
    float[] pixels = new float[PAIRS * 3 * size * size];
    for (int i = 0; i < PAIRS; i++) {
      ImageTransform.evaluation(size)
          .apply(images.get(i), "", 0, 0, 0, pixels, i * 3 * size * size);
    }
    TokenizedCaptions tokens = model.tokenizer().encode(captions);
    return onnx.match(
            onnx.image(pixels, PAIRS, size).get("image_tokens"),
            onnx.text(tokens).get("text_states"),
            tokens)
        .get("logit")
        .values();
  }
}
