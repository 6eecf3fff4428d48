package org.nasvlp.onnx;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.ModelConfig;

/**
 * The layers that the three encoders share, as {@code org.nasvlp.model.layer} computes them. A
 * scope is the beginning of parameters' names; values are B x T x d unless said otherwise.
 */
final class Layers {
  private final OnnxGraph graph;
  private final long width;
  private final long heads;

  Layers(OnnxGraph graph, ModelConfig config) {
    this.graph = graph;
    this.width = config.width();
    this.heads = config.heads();
  }

  /** x · weightᵀ + bias, over the last dimension. */
  String linear(String scope, String x) {
    String product =
        graph.node(scope + ".product", "MatMul", List.of(x, graph.transposed(scope + ".weight")));
    return graph.node(scope, "Add", List.of(product, graph.weight(scope + ".bias")));
  }

  /** Layer normalization over the last dimension. */
  String norm(String scope, String x, double epsilon) {
    return graph.node(
        scope,
        "LayerNormalization",
        List.of(x, graph.weight(scope + ".weight"), graph.weight(scope + ".bias")),
        OnnxGraph.attribute("axis", -1),
        OnnxGraph.attribute("epsilon", epsilon));
  }

  String add(String name, String a, String b) {
    return graph.node(name, "Add", List.of(a, b));
  }

  /**
   * Through four times the width and GELU by the error function, in the form that runtimes know how
   * to replace by one operator.
   */
  String feedForward(String scope, String x) {
    String inner = linear(scope + ".intermediate.dense", x);
    String gelu = scope + ".gelu";
    String scaled =
        graph.node(gelu + ".scaled", "Div", List.of(inner, graph.number("sqrt(2)", Math.sqrt(2))));
    String erf = graph.node(gelu + ".erf", "Erf", List.of(scaled));
    String shifted = graph.node(gelu + ".shifted", "Add", List.of(erf, graph.number("one", 1)));
    String product = graph.node(gelu + ".product", "Mul", List.of(inner, shifted));
    String half = graph.node(gelu, "Mul", List.of(product, graph.number("half", 0.5)));
    return linear(scope + ".output.dense", half);
  }

  /**
   * Scaled dot-product attention in several heads, with its output map.
   *
   * @param scope of the attention
   * @param projections of query, key and value, within it
   * @param query what attends
   * @param memory what is attended to; its batch, or the query's, may be 1 for all of the other's
   * @param mask B x 1 x 1 x T to add to scores, or null
   */
  String attention(
      String scope, String projections, String query, String memory, @Nullable String mask) {
    String inner = scope + "." + projections;
    String q = split(inner + ".query", query, List.of(0L, 2L, 1L, 3L));
    String scaled =
        graph.node(
            inner + ".query.scaled",
            "Mul",
            List.of(q, graph.number("scale", 1 / Math.sqrt((double) width / heads))));
    String k = split(inner + ".key", memory, List.of(0L, 2L, 3L, 1L));
    String v = split(inner + ".value", memory, List.of(0L, 2L, 1L, 3L));
    String scores = graph.node(scope + ".scores", "MatMul", List.of(scaled, k));
    if (mask != null) {
      scores = graph.node(scope + ".scores.masked", "Add", List.of(scores, mask));
    }
    String shares =
        graph.node(scope + ".softmax", "Softmax", List.of(scores), OnnxGraph.attribute("axis", -1));
    String gathered = graph.node(scope + ".gathered", "MatMul", List.of(shares, v));
    String turned =
        graph.node(
            scope + ".gathered.turned",
            "Transpose",
            List.of(gathered),
            OnnxGraph.attribute("perm", List.of(0L, 2L, 1L, 3L)));
    String joined =
        graph.node(
            scope + ".gathered.joined",
            "Reshape",
            List.of(turned, graph.longs("joined", 0, 0, width)));
    return linear(scope + ".output.dense", joined);
  }

  /** A linear map, by heads: B x T x heads x d/heads in another order. */
  private String split(String scope, String x, List<Long> order) {
    String mapped = linear(scope, x);
    String split =
        graph.node(
            scope + ".split",
            "Reshape",
            List.of(mapped, graph.longs("split", 0, 0, heads, width / heads)));
    return graph.node(
        scope + ".heads", "Transpose", List.of(split), OnnxGraph.attribute("perm", order));
  }

  /** A layer of a ViT: norms before what they feed. */
  String vitBlock(String scope, String x, double epsilon) {
    String before = norm(scope + ".layernorm_before", x, epsilon);
    String between =
        add(
            scope + ".between",
            x,
            attention(scope + ".attention", "attention", before, before, null));
    String after = norm(scope + ".layernorm_after", between, epsilon);
    return add(scope, between, feedForward(scope, after));
  }

  /**
   * The first part of a layer of BERT: self-attention and its norm.
   *
   * @param query x, or some tokens of it
   * @param mask what {@link #mask} made
   */
  String attend(String scope, String query, String x, String mask, double epsilon) {
    String gathered = attention(scope + ".attention", "self", query, x, mask);
    String sum = add(scope + ".attention.output.sum", query, gathered);
    return norm(scope + ".attention.output.LayerNorm", sum, epsilon);
  }

  /** The last part of a layer of BERT: feed-forward and its norm. */
  String feed(String scope, String x, double epsilon) {
    String sum = add(scope + ".output.sum", x, feedForward(scope, x));
    return norm(scope + ".output.LayerNorm", sum, epsilon);
  }

  /** The second part of a layer that attends to another encoder's tokens. */
  String see(String scope, String x, String memory, double epsilon) {
    String seen = attention(scope + ".crossattention", "self", x, memory, null);
    String sum = add(scope + ".crossattention.output.sum", x, seen);
    return feed(scope, norm(scope + ".crossattention.output.LayerNorm", sum, epsilon), epsilon);
  }

  /** What to add to scores: B x L int64 to B x 1 x 1 x L, 0 at tokens and -1e9 at padding. */
  String mask(String attentionMask) {
    String padding = graph.node("padding", "Equal", List.of(attentionMask, graph.longs("zero", 0)));
    String added =
        graph.node(
            "mask.flat",
            "Where",
            List.of(padding, graph.number("hidden", -1e9), graph.number("visible", 0)));
    return graph.node("mask", "Unsqueeze", List.of(added, graph.longs("axes of heads", 1, 2)));
  }

  /** Tokens {@code from} to {@code to} of each row. */
  String tokens(String name, String x, long from, long to) {
    return graph.node(
        name,
        "Slice",
        List.of(
            x,
            graph.longs(name + ".from", from),
            graph.longs(name + ".to", to),
            graph.longs("axis of tokens", 1)));
  }

  /** The first token of each row: B x T x d to B x d. */
  String first(String name, String x) {
    return graph.node(
        name,
        "Squeeze",
        List.of(tokens(name + ".kept", x, 0, 1), graph.longs("axis of tokens", 1)));
  }

  /** A linear map to vectors of length 1, the norm held above 1e-12; named {@code embedding}. */
  String embedding(String scope, String x) {
    String mapped = linear(scope, x);
    String squares =
        graph.node(
            scope + ".squares",
            "ReduceSumSquare",
            List.of(mapped),
            OnnxGraph.attribute("axes", List.of(-1L)),
            OnnxGraph.attribute("keepdims", 1));
    String held =
        graph.node(scope + ".held", "Add", List.of(squares, graph.number("1e-24", 1e-24)));
    String length = graph.node(scope + ".length", "Sqrt", List.of(held));
    return graph.node("embedding", "Div", List.of(mapped, length));
  }
}
