package org.nasvlp.onnx;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import java.util.List;
import org.nasvlp.config.ModelConfig;

/** From an encoded image and an encoded caption to whether they match: the fusion encoder. */
final class MatcherGraph {
  private static final String ENCODER = "fusion_encoder";

  private MatcherGraph() {}

  static void build(OnnxGraph graph, ModelConfig config) {
    Layers layers = new Layers(graph, config);
    double epsilon = config.textNormEps();
    graph.input(
        "image_tokens",
        DataType.FLOAT,
        "of the image encoder; one row for all captions, or one each",
        "images",
        1 + config.patchTokens(),
        config.width());
    graph.input(
        "text_states",
        DataType.FLOAT,
        "of the text encoder; one row for all images, or one each",
        "captions",
        "length",
        config.width());
    graph.input("attention_mask", DataType.INT64, "as the text encoder's", "captions", "length");
    String mask = layers.mask("attention_mask");
    String x = "text_states";
    for (int i = 0; i < config.fusionLayers(); i++) {
      String scope = ENCODER + ".encoder.layer." + i;
      // Of the last layer the class token alone is asked for.
      String query = i == config.fusionLayers() - 1 ? layers.tokens(scope + ".cls", x, 0, 1) : x;
      String attended = layers.attend(scope, query, x, mask, epsilon);
      x = layers.see(scope, attended, "image_tokens", epsilon);
    }
    String logits = layers.linear("match_head", x);
    // [mismatch, match] against (-1, 1): the log-odds of a match.
    String odds =
        graph.node(
            "match_head.odds",
            "MatMul",
            List.of(logits, graph.floats("match_head.sides", new float[] {-1, 1}, 2, 1)));
    graph.node("logit", "Squeeze", List.of(odds, graph.longs("axes of a number", 1, 2)));
    graph.node("probability", "Sigmoid", List.of("logit"));
    graph.output("logit", DataType.FLOAT, "the log-odds of a match", "pairs");
    graph.output("probability", DataType.FLOAT, "of a match", "pairs");
  }
}
