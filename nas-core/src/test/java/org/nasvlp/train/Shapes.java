package org.nasvlp.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.nasvlp.config.DataConfig;
import org.nasvlp.config.DictionaryConfig;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.config.ObjectiveConfig;
import org.nasvlp.config.OptimizerConfig;
import org.nasvlp.config.Precision;
import org.nasvlp.config.TrainingConfig;
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

  /** A word-level tokenizer for the captions. */
  public static CaptionTokenizer tokenizer(Path folder, int maxTokens) {
    StringBuilder vocabulary = new StringBuilder();
    List<String> words = new ArrayList<>(List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"));
    words.addAll(List.of(COLOURS));
    words.addAll(List.of(FORMS));
    words.addAll(List.of(PLACES));
    for (int i = 0; i < words.size(); i++) {
      vocabulary.append(i == 0 ? "" : ",").append("\"" + words.get(i) + "\":" + i);
    }
    String json =
        """
        {"version":"1.0","truncation":null,"padding":null,
         "added_tokens":[
          {"id":0,"content":"[PAD]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
          {"id":1,"content":"[UNK]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
          {"id":2,"content":"[CLS]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
          {"id":3,"content":"[SEP]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
          {"id":4,"content":"[MASK]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
         "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
         "pre_tokenizer":{"type":"BertPreTokenizer"},
         "post_processor":{"type":"TemplateProcessing",
          "single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}],
          "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
          "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[2],"tokens":["[CLS]"]},"[SEP]":{"id":"[SEP]","ids":[3],"tokens":["[SEP]"]}}},
         "decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
         "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{VOCABULARY}}}
        """
            .replace("VOCABULARY", vocabulary);
    try {
      Path file = Files.writeString(folder.resolve("tokenizer.json"), json);
      return CaptionTokenizer.load(file, maxTokens);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A model that takes milliseconds a step. */
  public static NasConfig config(int steps) {
    return new NasConfig(
        new ModelConfig(
            SIZE,
            4,
            ModelConfig.Stem.PATCH,
            32,
            2,
            1,
            1,
            1,
            16,
            8,
            1e-6,
            1e-12,
            ModelConfig.FusionInput.RESIDUAL),
        new DictionaryConfig(24, 0.9, 1e-5, 0.05, 10, 0, 0.05, 3),
        new NvaConfig(
            true,
            0.2,
            4,
            0.5,
            NvaConfig.Similarity.PROJECTED,
            NvaConfig.Substitute.NEIGHBOUR,
            NvaConfig.Donor.CODEWORD,
            NvaConfig.Control.NONE,
            0.5,
            0,
            0,
            HardNegativeLoss.BALANCED),
        NtaConfig.none(),
        new ObjectiveConfig(1, 1, 1, 0, 0.07, 0.001, 0.5, 32, 0.9, 0.2, 0, 0.3),
        new OptimizerConfig(2e-3, 1e-4, 0.1, 0, 0.02, 0.9, 0.999, 1e-8, 1, 1),
        new DataConfig(8, 0.8, true, 0.1, 0xFFFFFF, 2, 0.01),
        new TrainingConfig(3, steps, 0, 0, 0, 3, false, false, "cpu", Precision.FLOAT32));
  }
}
