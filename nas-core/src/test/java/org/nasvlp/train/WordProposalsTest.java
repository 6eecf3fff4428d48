package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.Network;

class WordProposalsTest {
  @TempDir private Path folder;

  /** What the head says of one picture and caption by themselves, over the whole vocabulary. */
  private static List<String> alone(
      NasModel model, long[] ids, int at, Tensor cls, Tensor patches) {
    Network network = model.network();
    Tensor attentionMask = Torch.longs(new long[ids.length], 1, ids.length).eq(new Scalar(0));
    Tensor fused =
        network.fuse(
            network.imageContext(network.fusionInput(cls, patches)),
            Torch.index(new int[] {0}),
            network.captionContext(
                network.encodeText(Torch.longs(ids, 1, ids.length), attentionMask), attentionMask),
            Torch.index(new int[] {0}));
    float[] logits = Torch.toFloats(network.maskedLogits(fused.select(1, at)));
    return model.tokenizer().vocabulary().entrySet().stream()
        .filter(entry -> !entry.getKey().startsWith("["))
        .sorted(
            Comparator.comparingDouble(
                (Map.Entry<String, Integer> entry) -> -logits[entry.getValue()]))
        .map(Map.Entry::getKey)
        .toList();
  }

  @Test
  void proposalsAreTheHeadsWordsInOrder() {
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 4);
        NasModel model = NasModel.create(Shapes.config(10), tokenizer);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Random random = new Random(7);
      // An untrained head is nearly blind: give it weights that tell pictures and words apart.
      for (var parameter : model.parameters().byName().entrySet()) {
        if (!parameter.getKey().equals("log_temperature")) {
          Tensor value = parameter.getValue();
          float[] noise = new float[(int) value.numel()];
          for (int i = 0; i < noise.length; i++) {
            noise[i] = 0.2f * (float) random.nextGaussian();
          }
          value.add_(Torch.floats(noise, value.numel()).view(Torch.shape(value)));
        }
      }
      int patches = model.config().model().patchTokens();
      int width = model.config().model().width();
      float[] noise = new float[4 * (patches + 1) * width];
      for (int i = 0; i < noise.length; i++) {
        noise[i] = (float) random.nextGaussian();
      }
      Tensor features = Torch.floats(noise, 4, patches + 1, width);
      Tensor cls = features.select(1, 0);
      Tensor tokens = features.narrow(1, 1, patches);
      // Four tokens with [CLS] and [SEP]: the third word is cut off.
      List<List<String>> proposed =
          new WordProposals(model.network(), tokenizer)
              .propose(
                  new String[] {"red bar", "blue cross", "green bar left", "bar"},
                  new int[] {1, -1, 2, 0},
                  cls,
                  tokens);
      long red = tokenizer.vocabulary().get("red");
      long mask = tokenizer.maskId();
      long[] first = {tokenizer.clsId(), red, mask, tokenizer.sepId()};
      long[] last = {tokenizer.clsId(), mask, tokenizer.sepId()};
      assertThat(proposed.get(0))
          .isEqualTo(alone(model, first, 2, cls.narrow(0, 0, 1), tokens.narrow(0, 0, 1)));
      assertThat(proposed.get(1)).isEmpty();
      assertThat(proposed.get(2)).isEmpty();
      assertThat(proposed.get(3))
          .isEqualTo(alone(model, last, 1, cls.narrow(0, 3, 1), tokens.narrow(0, 3, 1)))
          .isNotEqualTo(proposed.get(0));
    }
  }
}
