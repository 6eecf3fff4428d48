package org.nasvlp.onnx;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import java.nio.FloatBuffer;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.ModelConfig.FusionInput;
import org.nasvlp.config.ModelConfig.FusionPositions;

/**
 * From pixels to what contrast and matching use of an image: a ViT, its projection, the nearest
 * codewords, and what the fusion encoder sees.
 */
final class ImageEncoderGraph {
  private static final String ENCODER = "image_encoder";
  private static final String EMBEDDINGS = ENCODER + ".embeddings";
  private static final String FUSION = "fusion_encoder";

  /** Behind the last token of any row. */
  private static final long END = Integer.MAX_VALUE;

  /** Of every group normalization: channels of a group, and what is added to the variance. */
  private static final long GROUP = 8;

  private static final double GROUP_EPSILON = 1e-5;

  private final OnnxGraph graph;
  private final Layers layers;
  private final ModelConfig config;

  private ImageEncoderGraph(OnnxGraph graph, ModelConfig config) {
    this.graph = graph;
    this.layers = new Layers(graph, config);
    this.config = config;
  }

  /**
   * Builds it.
   *
   * @param codewords K x d, also among the graph's parameters
   */
  static void build(OnnxGraph graph, ModelConfig config, Tensor codewords) {
    new ImageEncoderGraph(graph, config).build(codewords);
  }

  private void build(Tensor codewords) {
    long size = config.imageSize();
    long tokens = config.patchTokens();
    graph.input(
        "pixels",
        DataType.FLOAT,
        "RGB, channel by channel, (p / 255 - 0.5) / 0.5",
        "images",
        3,
        size,
        size);
    String features = features(embedded());
    String cls = layers.first(ENCODER + ".cls", features);
    layers.embedding("image_projection", cls);
    String patches = layers.tokens(ENCODER + ".patches", features, 1, END);
    codes(patches, codewords);
    fusionInput(features, patches);
    graph.output(
        "embedding", DataType.FLOAT, "of length 1, for contrast", "images", config.projection());
    graph.output(
        "image_tokens", DataType.FLOAT, "for the matcher", "images", 1 + tokens, config.width());
    graph.output(
        "codes", DataType.INT64, "the nearest codeword of each patch token", "images", tokens);
  }

  // ---------------------------------------------------------------- pixels to tokens

  /** Class token and patch tokens with their positions. */
  private String embedded() {
    String grid =
        switch (config.stem()) {
          case PATCH ->
              convolution(
                  EMBEDDINGS + ".patch_embeddings.projection", "pixels", config.patchSize());
          case CONVOLUTION -> convolutions();
        };
    String flat =
        graph.node(
            EMBEDDINGS + ".flat",
            "Reshape",
            List.of(grid, graph.longs("flat", 0, config.width(), config.patchTokens())));
    String patches =
        graph.node(
            EMBEDDINGS + ".patches",
            "Transpose",
            List.of(flat),
            OnnxGraph.attribute("perm", List.of(0L, 2L, 1L)));
    String images =
        graph.node(
            "images",
            "Shape",
            List.of("pixels"),
            OnnxGraph.attribute("start", 0),
            OnnxGraph.attribute("end", 1));
    String shape =
        graph.node(
            EMBEDDINGS + ".cls_shape",
            "Concat",
            List.of(images, graph.longs("a token", 1, config.width())),
            OnnxGraph.attribute("axis", 0));
    String cls =
        graph.node(
            EMBEDDINGS + ".cls", "Expand", List.of(graph.weight(EMBEDDINGS + ".cls_token"), shape));
    String all =
        graph.node(
            EMBEDDINGS + ".tokens",
            "Concat",
            List.of(cls, patches),
            OnnxGraph.attribute("axis", 1));
    return layers.add(EMBEDDINGS, all, graph.weight(EMBEDDINGS + ".position_embeddings"));
  }

  /** Halvings of the image down to the patch grid, then a linear map. */
  private String convolutions() {
    String stem = EMBEDDINGS + ".stem.";
    String x = "pixels";
    long side = config.imageSize();
    for (int i = 0; side > config.grid(); i++) {
      side /= 2;
      String halved =
          graph.node(
              stem + i,
              "Conv",
              List.of(x, graph.weight(stem + i + ".weight")),
              OnnxGraph.attribute("kernel_shape", List.of(3L, 3L)),
              OnnxGraph.attribute("strides", List.of(2L, 2L)),
              OnnxGraph.attribute("pads", List.of(1L, 1L, 1L, 1L)));
      x =
          graph.node(
              stem + i + ".relu", "Relu", List.of(groupNorm(stem + i + ".norm", halved, side)));
    }
    return convolution(stem + "projection", x, 1);
  }

  /** Squares of that size side by side, each mapped linearly. */
  private String convolution(String scope, String x, long size) {
    return graph.node(
        scope,
        "Conv",
        List.of(x, graph.weight(scope + ".weight"), graph.weight(scope + ".bias")),
        OnnxGraph.attribute("kernel_shape", List.of(size, size)),
        OnnxGraph.attribute("strides", List.of(size, size)));
  }

  /** Before opset 18 group normalization is instance normalization of the groups. */
  private String groupNorm(String scope, String x, long side) {
    long channels = graph.shape(scope + ".weight")[0];
    int groups = Math.toIntExact(channels / GROUP);
    float[] ones = new float[groups];
    java.util.Arrays.fill(ones, 1);
    String grouped =
        graph.node(
            scope + ".groups",
            "Reshape",
            List.of(x, graph.longs(scope + ".by_group", 0, groups, -1)));
    String normalized =
        graph.node(
            scope + ".normalized",
            "InstanceNormalization",
            List.of(
                grouped,
                graph.floats(scope + ".ones", ones, groups),
                graph.floats(scope + ".zeros", new float[groups], groups)),
            OnnxGraph.attribute("epsilon", GROUP_EPSILON));
    String back =
        graph.node(
            scope + ".channels",
            "Reshape",
            List.of(normalized, graph.longs(scope + ".by_channel", 0, channels, side, side)));
    String scaled =
        graph.node(
            scope + ".scaled",
            "Mul",
            List.of(back, graph.weight(scope + ".weight", channels, 1, 1)));
    return layers.add(scope, scaled, graph.weight(scope + ".bias", channels, 1, 1));
  }

  private String features(String embedded) {
    String x = embedded;
    for (int i = 0; i < config.imageLayers(); i++) {
      x = layers.vitBlock(ENCODER + ".encoder.layer." + i, x, config.imageNormEps());
    }
    return layers.norm(ENCODER + ".layernorm", x, config.imageNormEps());
  }

  // ---------------------------------------------------------------- tokens to what matching sees

  /**
   * The codewords nearest to patch tokens, by the least of |e|² - 2 v · e, both measured from the
   * codewords' mean, so that in float32 little cancels.
   */
  private void codes(String patches, Tensor codewords) {
    int count = Math.toIntExact(codewords.size(0));
    int d = config.width();
    FloatBuffer values = codewords.cpu().contiguous().createBuffer();
    double[] sum = new double[d];
    for (int i = 0; i < count * d; i++) {
      sum[i % d] += values.get(i);
    }
    float[] mean = new float[d];
    for (int j = 0; j < d; j++) {
      mean[j] = (float) (sum[j] / count);
    }
    float[] factors = new float[d * count];
    float[] squares = new float[count];
    for (int k = 0; k < count; k++) {
      double square = 0;
      for (int j = 0; j < d; j++) {
        double centred = (double) values.get(k * d + j) - mean[j];
        square += centred * centred;
        factors[j * count + k] = (float) (-2 * centred);
      }
      squares[k] = (float) square;
    }
    String scope = OnnxExport.DICTIONARY;
    String centred =
        graph.node(
            scope + ".centred", "Sub", List.of(patches, graph.floats(scope + ".mean", mean, d)));
    String products =
        graph.node(
            scope + ".products",
            "MatMul",
            List.of(centred, graph.floats(scope + ".factors", factors, d, count)));
    String distances =
        layers.add(
            scope + ".distances", products, graph.floats(scope + ".squares", squares, count));
    graph.node(
        "codes",
        "ArgMin",
        List.of(distances),
        OnnxGraph.attribute("axis", -1),
        OnnxGraph.attribute("keepdims", 0));
  }

  /** [V_cls ; LN(u_i + PE_2d(i))] or [V_cls ; u_i], where u is the patch token or its codeword. */
  private void fusionInput(String features, String patches) {
    String seen =
        config.fusionInput() == FusionInput.QUANTIZED
            ? graph.node(
                OnnxExport.DICTIONARY + ".chosen",
                "Gather",
                List.of(graph.weight(OnnxExport.CODEWORDS), "codes"),
                OnnxGraph.attribute("axis", 0))
            : patches;
    String placed = config.fusionPositions() == FusionPositions.NONE ? seen : placed(seen);
    graph.node(
        "image_tokens",
        "Concat",
        List.of(layers.tokens(FUSION + ".cls", features, 0, 1), placed),
        OnnxGraph.attribute("axis", 1));
  }

  private String placed(String seen) {
    return layers.norm(
        FUSION + ".visual_norm",
        layers.add(FUSION + ".placed", seen, graph.weight(OnnxExport.FUSION_POSITIONS)),
        config.textNormEps());
  }
}
