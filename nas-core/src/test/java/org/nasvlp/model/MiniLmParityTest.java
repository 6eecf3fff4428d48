package org.nasvlp.model;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.internal.Torch;

/**
 * Real BERT weights (all-MiniLM-L6-v2: 6 layers of width 384, exported from PyTorch to ONNX) give
 * the same features here as in ONNX Runtime.
 */
class MiniLmParityTest {
  private static final int D = 384;

  @TempDir Path folder;

  private static Path resource(String name, Path to) throws IOException {
    try (InputStream in = MiniLmParityTest.class.getResourceAsStream("/" + name)) {
      Files.copy(Objects.requireNonNull(in, name), to);
    }
    return to;
  }

  @Test
  void textFeaturesAreOnnxRuntimes() throws IOException, OrtException {
    Path onnx = resource("all-minilm-l6-v2.onnx", folder.resolve("model.onnx"));
    Path tokens = resource("all-minilm-l6-v2-tokenizer.json", folder.resolve("tokenizer.json"));
    Path weights = Files.createDirectory(folder.resolve("hf")).resolve("model.safetensors");
    Onnx.weights(ByteBuffer.wrap(Files.readAllBytes(onnx))).write(weights);
    Files.copy(tokens, weights.resolveSibling("tokenizer.json"));
    Files.writeString(
        weights.resolveSibling("config.json"),
        """
        {"model_type":"bert","hidden_act":"gelu","layer_norm_eps":1e-12,"num_attention_heads":12}
        """);
    NasConfig config =
        NasConfig.fromJson(
            """
            {"model":{"imageSize":16,"patchSize":16,"width":384,"heads":12,"imageLayers":1,
            "textLayers":6,"fusionLayers":1,"projection":8,"textTokens":64},
            "objective":{"queue":0}}
            """,
            "test");
    try (CaptionTokenizer tokenizer = CaptionTokenizer.load(tokens, 64);
        NasModel model = NasModel.create(config, tokenizer);
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        OrtSession session =
            environment.createSession(onnx.toString(), new OrtSession.SessionOptions())) {
      WeightReport report = model.importWeights(PretrainedWeights.none().withText(weights));
      assertThat(report.loaded()).isEqualTo(5 + 6 * 16);
      assertThat(report.missing()).noneMatch(name -> name.startsWith("text_encoder."));

      List<String> captions =
          List.of(
              "a red cup",
              "two dogs chase a small white cat across the wet street in front of the old station",
              "woman running: medium skin tone",
              "the man to the left of the tree holds an umbrella, which is unbelievably colourful",
              "x");
      double worst = compare(model, tokenizer.encode(captions), environment, session);
      for (String caption : captions) {
        TokenizedCaptions alone = tokenizer.encode(List.of(caption));
        worst = Math.max(worst, compare(model, alone, environment, session));
      }
      System.out.printf("MiniLM text features, greatest difference: %.2g%n", worst);
      assertThat(worst).isLessThanOrEqualTo(1e-5);
    }
  }

  /** The greatest difference over the tokens that are not padding; features are of order 1. */
  private static double compare(
      NasModel model, TokenizedCaptions tokens, OrtEnvironment environment, OrtSession session)
      throws OrtException {
    int rows = tokens.rows();
    int length = tokens.length();
    long[] shape = {rows, length};
    float[] expected;
    try (OnnxTensor ids = tensor(environment, tokens.ids(), shape);
        OnnxTensor mask = tensor(environment, tokens.mask(), shape);
        OnnxTensor types = tensor(environment, new long[rows * length], shape);
        OrtSession.Result result =
            session.run(
                Map.of("input_ids", ids, "attention_mask", mask, "token_type_ids", types))) {
      FloatBuffer values = ((OnnxTensor) result.get(0)).getFloatBuffer();
      expected = new float[values.remaining()];
      values.get(expected);
    }
    assertThat(expected).hasSize(rows * length * D);
    float[] actual;
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Tensor attends = Torch.longs(tokens.mask(), shape).ne(new Scalar(0));
      actual =
          Torch.toFloats(model.network().encodeText(Torch.longs(tokens.ids(), shape), attends));
    }
    double worst = 0;
    for (int i = 0; i < expected.length; i++) {
      if (tokens.mask()[i / D] == 1) {
        worst = Math.max(worst, Math.abs((double) expected[i] - actual[i]));
      }
    }
    assertThat(worst).isNotNaN();
    return worst;
  }

  private static OnnxTensor tensor(OrtEnvironment environment, long[] values, long[] shape)
      throws OrtException {
    return OnnxTensor.createTensor(environment, LongBuffer.wrap(values), shape);
  }

  /**
   * Reads the weights of a BERT graph. Messages of the format are protobuf: a model's graph is
   * field 7; a graph's nodes are field 1, its constants field 5; a node's inputs are field 1, its
   * outputs field 2; a tensor's sizes are field 1, its name field 8, its bytes field 9.
   */
  private static final class Onnx {
    private static final String PRODUCT = "/MatMul_output_0";

    static PublicWeights weights(ByteBuffer model) {
      Map<String, Object[]> constants = new HashMap<>();
      Map<String, String> products = new HashMap<>();
      for (ByteBuffer graph : messages(model, 7)) {
        for (ByteBuffer tensor : messages(graph, 5)) {
          long[] sizes = numbers(tensor, 1);
          ByteBuffer data = messages(tensor, 9).getFirst();
          if (numbers(tensor, 2)[0] == 1) {
            float[] values = new float[data.remaining() / 4];
            data.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
            constants.put(text(messages(tensor, 8).getFirst()), new Object[] {values, sizes});
          }
        }
        for (ByteBuffer node : messages(graph, 1)) {
          List<ByteBuffer> inputs = messages(node, 1);
          String output = text(messages(node, 2).getFirst());
          if (inputs.size() == 2 && output.endsWith(PRODUCT)) {
            products.put(text(inputs.get(1)), output);
          }
        }
      }
      PublicWeights weights = new PublicWeights();
      constants.forEach(
          (name, constant) -> {
            float[] values = (float[]) constant[0];
            long[] sizes = (long[]) constant[1];
            if (name.startsWith("onnx::MatMul")) {
              // x · W of the graph; linear layers hold the transpose, named by where it is used.
              String product = products.get(name);
              String layer = product.substring(1, product.length() - PRODUCT.length());
              weights.add(
                  layer.replace('/', '.') + ".weight",
                  transposed(values, (int) sizes[0], (int) sizes[1]),
                  sizes[1],
                  sizes[0]);
            } else {
              weights.add(name, values, sizes);
            }
          });
      return weights;
    }

    private static float[] transposed(float[] values, int rows, int columns) {
      float[] out = new float[values.length];
      for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++) {
          out[c * rows + r] = values[r * columns + c];
        }
      }
      return out;
    }

    private static String text(ByteBuffer bytes) {
      return StandardCharsets.UTF_8.decode(bytes.duplicate()).toString();
    }

    private static List<ByteBuffer> messages(ByteBuffer message, int field) {
      List<ByteBuffer> found = new java.util.ArrayList<>();
      walk(message, field, found, new long[0][]);
      return found;
    }

    private static long[] numbers(ByteBuffer message, int field) {
      long[][] numbers = {new long[0]};
      walk(message, field, new java.util.ArrayList<>(), numbers);
      return numbers[0];
    }

    private static void walk(
        ByteBuffer message, int field, List<ByteBuffer> messages, long[][] numbers) {
      ByteBuffer in = message.duplicate();
      while (in.hasRemaining()) {
        long key = varint(in);
        boolean wanted = key >>> 3 == field;
        switch ((int) (key & 7)) {
          case 0 -> {
            long value = varint(in);
            if (wanted && numbers.length > 0) {
              numbers[0] = Arrays.copyOf(numbers[0], numbers[0].length + 1);
              numbers[0][numbers[0].length - 1] = value;
            }
          }
          case 1 -> in.position(in.position() + 8);
          case 2 -> {
            int size = Math.toIntExact(varint(in));
            if (wanted) {
              messages.add(in.slice(in.position(), size));
            }
            in.position(in.position() + size);
          }
          case 5 -> in.position(in.position() + 4);
          default -> throw new IllegalArgumentException("not a protobuf message");
        }
      }
    }

    private static long varint(ByteBuffer in) {
      long value = 0;
      for (int shift = 0; ; shift += 7) {
        byte next = in.get();
        value |= (long) (next & 0x7F) << shift;
        if (next >= 0) {
          return value;
        }
      }
    }
  }
}
