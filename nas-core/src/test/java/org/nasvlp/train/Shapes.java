package org.nasvlp.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;

/** Coloured shapes with captions, drawn in memory: a data set small enough for a training test. */
public final class Shapes implements ImageTextDataset {
  public static final int SIZE = 16;
  private static final String[] COLOURS = {"red", "green", "blue", "yellow"};
  private static final int[] RGB = {0xD02020, 0x20B020, 0x2030D0, 0xE0D020};
  private static final String[] FORMS = {"square", "bar", "cross", "frame"};
  private static final String[] PLACES = {"left", "right"};

  private final List<ImageTextPair> pairs = new ArrayList<>();
  private int broken = -1;

  /** All 32 combinations. */
  public Shapes() {
    for (int c = 0; c < COLOURS.length; c++) {
      for (int f = 0; f < FORMS.length; f++) {
        for (int p = 0; p < PLACES.length; p++) {
          String caption = COLOURS[c] + " " + FORMS[f] + " " + PLACES[p];
          long id = pairs.size();
          pairs.add(new ImageTextPair(caption.replace(' ', '-'), id, draw(RGB[c], f, p), caption));
        }
      }
    }
  }

  /** With one sample that cannot be read. */
  public static Shapes withBroken(int index) {
    Shapes shapes = new Shapes();
    shapes.broken = index;
    return shapes;
  }

  private static RgbImage draw(int colour, int form, int place) {
    byte[] rgb = new byte[SIZE * SIZE * 3];
    java.util.Arrays.fill(rgb, (byte) 255);
    int left = place == 0 ? 1 : 9;
    for (int y = 0; y < 6; y++) {
      for (int x = 0; x < 6; x++) {
        boolean on =
            switch (form) {
              case 0 -> true;
              case 1 -> y / 2 == 1;
              case 2 -> x / 2 == 1 || y / 2 == 1;
              default -> x == 0 || y == 0 || x == 5 || y == 5;
            };
        if (on) {
          int at = ((y + 5) * SIZE + x + left) * 3;
          rgb[at] = (byte) (colour >> 16);
          rgb[at + 1] = (byte) (colour >> 8);
          rgb[at + 2] = (byte) colour;
        }
      }
    }
    return new RgbImage(SIZE, SIZE, rgb);
  }

  @Override
  public long size() {
    return pairs.size();
  }

  @Override
  public ImageTextPair get(long index) throws BadSampleException {
    if (index == broken) {
      throw new BadSampleException("shape " + index, "made unreadable by the test");
    }
    return pairs.get((int) index);
  }

  @Override
  public String name() {
    return "shapes";
  }

  /** A tokenizer of the captions' words; it is also written to the folder's tokenizer.json. */
  public static CaptionTokenizer tokenizer(Path folder, int maxTokens) {
    List<String> words = new ArrayList<>(List.of(COLOURS));
    words.addAll(List.of(FORMS));
    words.addAll(List.of(PLACES));
    try {
      CaptionTokenizer tokenizer = CaptionTokenizer.ofWords(words, maxTokens);
      Files.writeString(folder.resolve("tokenizer.json"), tokenizer.json());
      return tokenizer;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A model that takes milliseconds a step. */
  public static NasConfig config(int steps) {
    return NasConfig.preset("tiny").toBuilder()
        .model(
            model ->
                model
                    .imageSize(SIZE)
                    .patchSize(4)
                    .width(32)
                    .heads(2)
                    .imageLayers(1)
                    .textLayers(1)
                    .fusionLayers(1)
                    .projection(16)
                    .textTokens(8))
        .dictionary(
            dictionary ->
                dictionary
                    .codewords(24)
                    .momentum(0.9)
                    .deadThreshold(0.05)
                    .deadSteps(10)
                    .collapseShare(0.05)
                    .neighbourRefreshSteps(3))
        .nva(
            nva ->
                nva.ratio(0.2)
                    .neighbours(4)
                    .choose(NvaConfig.Choose.RELEVANCE)
                    .substitute(NvaConfig.Substitute.DRAW)
                    .control(NvaConfig.Control.NONE)
                    .weight(0.5)
                    .startShare(0)
                    .rampShare(0)
                    .loss(HardNegativeLoss.BALANCED))
        .nta(nta -> nta.enabled(false))
        .objective(
            objective ->
                objective
                    .queue(32)
                    .encoderMomentum(0.9)
                    .softTargets(0.2)
                    .softTargetRamp(0)
                    .maskRatio(0.3))
        .optimizer(
            optimizer -> optimizer.learningRate(2e-3).finalLearningRate(1e-4).warmupShare(0.1))
        .data(data -> data.batchSize(8).minCropScale(0.8).colorJitter(0.1))
        .training(
            training ->
                training
                    .seed(3)
                    .steps(steps)
                    .evaluateEvery(0)
                    .checkpointEvery(0)
                    .keepCheckpoints(3)
                    .keepBest(false))
        .build();
  }
}
