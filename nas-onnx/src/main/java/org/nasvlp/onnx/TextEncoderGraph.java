package org.nasvlp.onnx;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import java.util.List;
import org.nasvlp.config.ModelConfig;

/** From token ids to what contrast and matching use of a caption: a BERT and its projection. */
final class TextEncoderGraph {
  private static final String ENCODER = "text_encoder";
  private static final String EMBEDDINGS = ENCODER + ".embeddings";

  private TextEncoderGraph() {}

  static void build(OnnxGraph graph, ModelConfig config) {
    Layers layers = new Layers(graph, config);
    double epsilon = config.textNormEps();
    graph.input("input_ids", DataType.INT64, "[CLS], words, [SEP], [PAD]", "captions", "length");
    graph.input("attention_mask", DataType.INT64, "1 at tokens, 0 at [PAD]", "captions", "length");
    String x = layers.norm(EMBEDDINGS + ".LayerNorm", embedded(graph, layers), epsilon);
    String mask = layers.mask("attention_mask");
    for (int i = 0; i < config.textLayers(); i++) {
      String scope = ENCODER + ".encoder.layer." + i;
      x = layers.feed(scope, layers.attend(scope, x, x, mask, epsilon), epsilon);
    }
    String present =
        graph.node(
            "present",
            "Cast",
            List.of("attention_mask"),
            OnnxGraph.attribute("to", DataType.FLOAT.getNumber()));
    String column =
        graph.node(
            "present.column", "Unsqueeze", List.of(present, graph.longs("axis of width", 2)));
    String states = graph.node("text_states", "Mul", List.of(x, column));
    layers.embedding("text_projection", layers.first(ENCODER + ".cls", states));
    graph.output(
        "embedding", DataType.FLOAT, "of length 1, for contrast", "captions", config.projection());
    graph.output(
        "text_states",
        DataType.FLOAT,
        "for the matcher; zeros at [PAD]",
        "captions",
        "length",
        config.width());
  }

  /** Words, their positions and the first of the two token types. */
  private static String embedded(OnnxGraph graph, Layers layers) {
    String words =
        graph.node(
            EMBEDDINGS + ".words",
            "Gather",
            List.of(graph.weight(EMBEDDINGS + ".word_embeddings.weight"), "input_ids"),
            OnnxGraph.attribute("axis", 0));
    String length =
        graph.node(
            "length",
            "Shape",
            List.of("input_ids"),
            OnnxGraph.attribute("start", 1),
            OnnxGraph.attribute("end", 2));
    String positions =
        graph.node(
            EMBEDDINGS + ".positions",
            "Slice",
            List.of(
                graph.weight(EMBEDDINGS + ".position_embeddings.weight"),
                graph.longs("zero", 0),
                length));
    String type =
        graph.node(
            EMBEDDINGS + ".type",
            "Slice",
            List.of(
                graph.weight(EMBEDDINGS + ".token_type_embeddings.weight"),
                graph.longs("zero", 0),
                graph.longs("first", 1)));
    String placed = layers.add(EMBEDDINGS + ".placed", words, positions);
    return layers.add(EMBEDDINGS, placed, type);
  }
}
