package org.nasvlp.report;

import java.util.ArrayList;
import java.util.List;
import org.nasvlp.config.EditType;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.eval.RetrievalExample;
import org.nasvlp.eval.RetrievalExamples;
import org.nasvlp.eval.ScoredPair;
import org.nasvlp.kernels.CodebookState;
import org.nasvlp.model.WordRelevance;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Mirror;
import org.nasvlp.negatives.NvaTrace;
import org.nasvlp.train.HardNegativeExample;

/** Made-up pictures, and what a model does with them. */
final class Samples {
  /** Pixels of a side; patches are of 4. */
  static final int SIZE = 16;

  private Samples() {}

  /** A plain picture. */
  static RgbImage picture(int red, int green, int blue) {
    byte[] rgb = new byte[3 * SIZE * SIZE];
    for (int i = 0; i < rgb.length; i += 3) {
      rgb[i] = (byte) red;
      rgb[i + 1] = (byte) green;
      rgb[i + 2] = (byte) blue;
    }
    return new RgbImage(SIZE, SIZE, rgb);
  }

  /** Codewords on a line, each with its two neighbours. */
  static VisualDictionary.Saved codewords(int count) {
    float[] rows = new float[3 * count];
    int[] neighbours = new int[2 * count];
    for (int i = 0; i < count; i++) {
      rows[3 * i] = i;
      neighbours[2 * i] = i + 1 < count ? i + 1 : i - 1;
      neighbours[2 * i + 1] = i == 0 || i + 1 == count ? -1 : i - 1;
    }
    CodebookState state =
        new CodebookState(rows, new double[count], new float[3 * count], new int[count]);
    return new VisualDictionary.Saved(state, neighbours, 2, 0, new long[count]);
  }

  /** Two kinds of pictures, "red" of even codes and a caption's own word of odd ones. */
  static LearnedDictionary dictionary(int codewords, String word) {
    List<RgbImage> pictures = new ArrayList<>();
    List<String> captions = new ArrayList<>();
    int[][] codes = new int[40][16];
    for (int i = 0; i < codes.length; i++) {
      boolean even = i % 2 == 0;
      pictures.add(even ? picture(255, 0, 0) : picture(0, 0, 255));
      captions.add(even ? "a red cup" : "a " + word + " cup");
      for (int j = 0; j < 16; j++) {
        codes[i][j] = (i % 2 + 2 * (i / 2 * 16 + j)) % codewords;
      }
    }
    return LearnedDictionary.of(codewords(codewords), pictures, captions, codes, 8);
  }

  static ScoredPair pair(String attribute, String one, String other) {
    return new ScoredPair(
        attribute,
        picture(255, 0, 0),
        one,
        picture(0, 255, 0),
        other,
        new ScoredPair.Scores(0.5, 0.4, 0.2, 0.6),
        new ScoredPair.Scores(2, -2, 3, 1));
  }

  static HardNegativeExample hardNegative(String caption, String changed, EditType type) {
    return new HardNegativeExample(
        new ImageTextPair("key", 1, picture(255, 255, 0), caption),
        0.9,
        new CaptionEdit(CaptionTokenizer.normalize(changed), type, "red", "blue"),
        0.2,
        new NvaTrace(
            "key",
            caption,
            new double[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, Double.NaN},
            List.of(new NvaTrace.Swap(14, 2, 3), new NvaTrace.Swap(13, 2, 3)),
            0.9,
            0.3),
        new HardNegativeExample.Mirrored(Mirror.TOP_BOTTOM, 4, 0.15, 0.85));
  }

  /** "red" looks at patch 5 and half as much at patch 6, "cup" at patch 0, "a" at none. */
  static LookedAt look(String attribute) {
    float[][] patches = new float[3][16];
    patches[1][5] = 0.02f;
    patches[1][6] = 0.01f;
    patches[2][0] = 0.01f;
    return new LookedAt(
        attribute,
        picture(255, 0, 0),
        "a blue cup",
        new WordRelevance(List.of("a", "red", "cup"), patches, 0.8));
  }

  /**
   * A caption whose picture is found second and first, a picture whose caption is third of three.
   */
  static RetrievalExamples retrieval(String text) {
    RgbImage red = picture(255, 0, 0);
    RgbImage blue = picture(0, 0, 255);
    var wrong = new RetrievalExample.Candidate<>(blue, false, 0.5, 0.1);
    var right = new RetrievalExample.Candidate<>(red, true, 0.25, 0.9);
    var caption = new RetrievalExample.Candidate<>("not " + text, false, 0.75, 0.5);
    return new RetrievalExamples(
        List.of(
            new RetrievalExample<>(
                RetrievalExample.Place.MEDIAN,
                "a " + text,
                1234,
                red,
                2,
                1,
                List.of(wrong, right),
                List.of(right, wrong))),
        List.of(
            new RetrievalExample<>(
                RetrievalExample.Place.WORST,
                blue,
                3,
                "the " + text,
                3,
                3,
                List.of(caption),
                List.of(caption))));
  }

  static Learned learned(int codewords, String text) {
    return new Learned(
        SIZE,
        List.of(pair(text, "a red " + text, "a blue " + text)),
        List.of(look(text)),
        retrieval(text),
        List.of(hardNegative("a red " + text, "a blue " + text, EditType.COLOR)),
        dictionary(codewords, "blue"));
  }
}
