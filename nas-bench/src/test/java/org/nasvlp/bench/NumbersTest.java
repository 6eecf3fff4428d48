package org.nasvlp.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.NasModel;

class NumbersTest {
  private static final Path EMOJI = Path.of("../data/noto-emoji");

  /** A model that is made in no time, with 40 codewords of width 16. */
  static NasConfig small() {
    return NasConfig.preset("tiny").toBuilder()
        .model(
            model ->
                model
                    .patchSize(16)
                    .width(16)
                    .heads(2)
                    .imageLayers(1)
                    .textLayers(1)
                    .fusionLayers(1)
                    .projection(8))
        .dictionary(dictionary -> dictionary.codewords(40))
        .build();
  }

  @Test
  void trainedTokensAreTheEncodersAndTheCodewordsTheDictionarys(@TempDir Path folder)
      throws Exception {
    NasConfig config = small();
    ModelConfig m = config.model();
    float[] features = new float[60 * 16];
    Random random = new Random(5);
    for (int i = 0; i < features.length; i++) {
      features[i] = (float) random.nextGaussian();
    }
    Path pictures = EMOJI.resolve("train.tar");
    try (CaptionTokenizer tokenizer =
            CaptionTokenizer.load(EMOJI.resolve("tokenizer.json"), m.textTokens());
        NasModel model = NasModel.create(config, tokenizer);
        ImageTextDataset dataset = ImageTextDataset.open(pictures, config.data().background())) {
      model.startDictionary(features);
      model.write(folder);
      Numbers numbers = Numbers.trained(folder, pictures);
      int patches = config.model().patchTokens();
      assertThat(numbers.rows()).isEqualTo(Math.ceilDiv(6272, patches) * patches);
      assertThat(numbers.size()).isEqualTo(40);
      assertThat(numbers.width()).isEqualTo(16);
      assertThat(numbers.codewords()).isEqualTo(model.dictionary().state().codebook().codewords());
      int count = numbers.rows() / patches;
      for (int picture : new int[] {0, 33, count - 1}) {
        float[] pixels = new float[3 * m.imageSize() * m.imageSize()];
        ImageTransform.evaluation(m.imageSize())
            .apply(dataset.get(picture * dataset.size() / count).image(), "", 0, 0, 0, pixels, 0);
        try (PointerScope scope = new PointerScope();
            AutoGradMode off = new AutoGradMode(false)) {
          float[] encoded =
              Tensors.toFloats(
                  model
                      .network()
                      .encodeImage(Tensors.floats(pixels, 1, 3, m.imageSize(), m.imageSize())));
          // Row 0 is the class token. A batch may sum in another order than a single picture.
          float[] expected = Arrays.copyOfRange(encoded, 16, encoded.length);
          float[] found =
              Arrays.copyOfRange(
                  numbers.tokens(), picture * patches * 16, (picture + 1) * patches * 16);
          for (int i = 0; i < expected.length; i++) {
            assertThat(found[i]).isCloseTo(expected[i], org.assertj.core.data.Offset.offset(1e-4f));
          }
        }
      }
    }
  }

  @Test
  void saysWhatIsMissing() {
    assertThatThrownBy(() -> Numbers.create("checkpoint", "trained"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("-Dcheckpoint=DIR");
    assertThatThrownBy(() -> Numbers.create("8x4x2", "trained"))
        .hasMessageContaining("data=trained")
        .hasMessageContaining("shape=8x4x2");
    assertThatThrownBy(() -> Numbers.create("checkpoint", "gaussian"))
        .hasMessageContaining("data=gaussian");
    assertThatThrownBy(() -> Numbers.create("8x4x2", "uniform"))
        .hasMessageContaining("gaussian, clustered or trained");
  }
}
