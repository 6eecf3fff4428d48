package org.nasvlp.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.CaptionTokenizer;
import org.nasvlp.data.TokenizedCaptions;
import org.nasvlp.internal.Torch;
import org.nasvlp.train.Shapes;

class NetworkTest {
  @TempDir Path folder;

  private static NasConfig config(ModelConfig.Stem stem) {
    return NasConfig.fromJson(
        """
        {"model":{"imageSize":16,"patchSize":4,"stem":"%s","width":16,"heads":2,"imageLayers":1,
        "textLayers":1,"fusionLayers":1,"projection":8,"textTokens":8},
        "dictionary":{"codewords":40},"objective":{"queue":0}}
        """
            .formatted(stem),
        "test");
  }

  private static float[] ramp(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) Math.sin(0.7 * i);
    }
    return values;
  }

  @Test
  void shapesAreAsDocumentedForBothStems() {
    for (ModelConfig.Stem stem : ModelConfig.Stem.values()) {
      try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
          NasModel model = NasModel.create(config(stem), tokenizer);
          PointerScope scope = new PointerScope();
          AutoGradMode off = new AutoGradMode(false)) {
        Network network = model.network();
        Tensor features = network.encodeImage(Torch.floats(ramp(2 * 3 * 256), 2, 3, 16, 16));
        assertThat(Torch.shape(features)).containsExactly(2, 17, 16);
        // Each image alone gives what it gives in a batch.
        Tensor second =
            network.encodeImage(
                Torch.floats(Arrays.copyOfRange(ramp(2 * 3 * 256), 768, 1536), 1, 3, 16, 16));
        assertThat(features.narrow(0, 1, 1).sub(second).abs().max().item_double()).isLessThan(1e-5);
      }
    }
  }

  @Test
  void paddingDoesNotReachACaptionsFeatures() {
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = NasModel.create(config(ModelConfig.Stem.PATCH), tokenizer)) {
      float[] alone = model.encodeText(List.of("red bar"))[0];
      float[] padded = model.encodeText(List.of("red bar", "blue frame left right"))[0];
      for (int i = 0; i < alone.length; i++) {
        assertThat(alone[i]).isCloseTo(padded[i], Offset.offset(1e-6f));
      }
    }
  }

  /** One BERT layer in plain float64, from its published definition. */
  @Test
  void theTextLayerIsBerts() {
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8);
        NasModel model = NasModel.create(config(ModelConfig.Stem.PATCH), tokenizer);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      // Biases and norms start at constants that would hide an error.
      for (var parameter : model.parameters().byName().entrySet()) {
        if (!parameter.getKey().equals("log_temperature")) {
          Tensor value = parameter.getValue();
          value.add_(
              Torch.floats(ramp((int) value.numel()), value.numel())
                  .view(Torch.shape(value))
                  .mul(new Scalar(0.1)));
        }
      }
      TokenizedCaptions tokens = tokenizer.encode(List.of("red bar left"));
      int length = tokens.length();
      int d = 16;
      Tensor ids = Torch.longs(tokens.ids(), 1, length);
      Tensor attends = Torch.longs(tokens.mask(), 1, length).ne(new Scalar(0));
      float[] actual = Torch.toFloats(model.network().encodeText(ids, attends));

      Reference reference = new Reference(model);
      double[][] x = new double[length][];
      for (int i = 0; i < length; i++) {
        x[i] = new double[d];
        for (int t = 0; t < d; t++) {
          x[i][t] =
              reference.at("text_encoder.embeddings.word_embeddings.weight", tokens.ids()[i], t, d)
                  + reference.at("text_encoder.embeddings.position_embeddings.weight", i, t, d)
                  + reference.at("text_encoder.embeddings.token_type_embeddings.weight", 0, t, d);
        }
        x[i] = reference.norm(x[i], "text_encoder.embeddings.LayerNorm");
      }
      String layer = "text_encoder.encoder.layer.0.";
      double[][] attended = reference.attention(x, layer + "attention.self.", 2);
      for (int i = 0; i < length; i++) {
        double[] out = reference.dense(attended[i], layer + "attention.output.dense");
        x[i] = reference.norm(Reference.sum(x[i], out), layer + "attention.output.LayerNorm");
        double[] hidden = reference.dense(x[i], layer + "intermediate.dense");
        for (int t = 0; t < hidden.length; t++) {
          hidden[t] *= 0.5 * (1 + Reference.erf(hidden[t] / Math.sqrt(2)));
        }
        x[i] =
            reference.norm(
                Reference.sum(x[i], reference.dense(hidden, layer + "output.dense")),
                layer + "output.LayerNorm");
        for (int t = 0; t < d; t++) {
          assertThat((double) actual[i * d + t]).isCloseTo(x[i][t], Offset.offset(1e-5));
        }
      }
    }
  }

  /** Layer arithmetic in plain Java and float64. */
  private record Reference(NasModel model) {
    float[] values(String name) {
      return Torch.toFloats(model.parameters().byName().get(name));
    }

    double at(String name, long row, int column, int width) {
      return values(name)[(int) row * width + column];
    }

    static double[] sum(double[] a, double[] b) {
      double[] out = new double[a.length];
      Arrays.setAll(out, i -> a[i] + b[i]);
      return out;
    }

    double[] dense(double[] x, String name) {
      float[] weight = values(name + ".weight");
      float[] bias = values(name + ".bias");
      double[] out = new double[bias.length];
      for (int o = 0; o < out.length; o++) {
        out[o] = bias[o];
        for (int i = 0; i < x.length; i++) {
          out[o] += (double) weight[o * x.length + i] * x[i];
        }
      }
      return out;
    }

    double[] norm(double[] x, String name) {
      double mean = Arrays.stream(x).average().orElse(0);
      double variance = Arrays.stream(x).map(v -> (v - mean) * (v - mean)).average().orElse(0);
      float[] weight = values(name + ".weight");
      float[] bias = values(name + ".bias");
      double[] out = new double[x.length];
      Arrays.setAll(out, i -> (x[i] - mean) / Math.sqrt(variance + 1e-12) * weight[i] + bias[i]);
      return out;
    }

    double[][] attention(double[][] x, String prefix, int heads) {
      int length = x.length;
      int d = x[0].length;
      int each = d / heads;
      double[][] q = new double[length][];
      double[][] k = new double[length][];
      double[][] v = new double[length][];
      for (int i = 0; i < length; i++) {
        q[i] = dense(x[i], prefix + "query");
        k[i] = dense(x[i], prefix + "key");
        v[i] = dense(x[i], prefix + "value");
      }
      double[][] out = new double[length][d];
      for (int h = 0; h < heads; h++) {
        for (int i = 0; i < length; i++) {
          double[] weights = new double[length];
          double total = 0;
          for (int j = 0; j < length; j++) {
            double dot = 0;
            for (int t = h * each; t < (h + 1) * each; t++) {
              dot += q[i][t] * k[j][t];
            }
            weights[j] = Math.exp(dot / Math.sqrt(each));
            total += weights[j];
          }
          for (int j = 0; j < length; j++) {
            for (int t = h * each; t < (h + 1) * each; t++) {
              out[i][t] += weights[j] / total * v[j][t];
            }
          }
        }
      }
      return out;
    }

    /** erf by its Maclaurin series, exact to float64 for the small arguments here. */
    static double erf(double x) {
      double sum = 0;
      double term = x;
      for (int n = 0; n < 80; n++) {
        sum += term / (2 * n + 1);
        term *= -x * x / (n + 1);
      }
      return 2 / Math.sqrt(Math.PI) * sum;
    }
  }
}
