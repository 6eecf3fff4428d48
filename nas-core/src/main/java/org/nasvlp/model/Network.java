package org.nasvlp.model;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.Precision;
import org.nasvlp.internal.Autocast;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.Parameters.Spec;
import org.nasvlp.model.Parameters.Start;

/**
 * The forward passes: ViT image encoder (pre-norm, GELU-erf), BERT text encoder and fusion encoder
 * (post-norm), contrastive projections, match head and masked-language head, arranged as in ALBEF
 * (arXiv 2107.07651). Parameter names follow the public ones of ViT and BERT weights.
 *
 * <p>All results are float32. With {@link Precision#BFLOAT16} the encoders and the vocabulary's
 * logits are computed in mixed precision; contrastive embeddings and match logits, whose
 * differences decide what is the better match, are float32 throughout.
 *
 * <p>Notation: B images or captions, N patch tokens, L text tokens, d width, p projection.
 */
public final class Network {
  private final ModelConfig config;
  private final Precision precision;
  private final Parameters parameters;
  private final Tensor positions2d;

  /** A network over the given parameters, which it does not own. */
  Network(ModelConfig config, Precision precision, Parameters parameters, Tensor positions2d) {
    this.config = config;
    this.precision = precision;
    this.parameters = parameters;
    this.positions2d = positions2d;
  }

  /**
   * The parameters of a network for a vocabulary of that size, with or without those of masked
   * visual modelling.
   */
  static List<Spec> specs(ModelConfig config, int vocabulary, boolean maskedVisual) {
    List<Spec> specs = new ArrayList<>();
    long d = config.width();
    long p = config.patchSize();
    String image = "image_encoder.";
    specs.add(new Spec(image + "embeddings.cls_token", Start.NORMAL, false, 1, 1, d));
    specs.add(
        new Spec(
            image + "embeddings.position_embeddings",
            Start.NORMAL,
            false,
            1,
            1 + config.patchTokens(),
            d));
    if (config.stem() == ModelConfig.Stem.PATCH) {
      specs.add(
          new Spec(
              image + "embeddings.patch_embeddings.projection.weight",
              Start.NORMAL,
              true,
              d,
              3,
              p,
              p));
      specs.add(
          new Spec(image + "embeddings.patch_embeddings.projection.bias", Start.ZEROS, false, d));
    } else {
      long in = 3;
      int stages = stages(config);
      for (int i = 0; i < stages; i++) {
        long out = stemWidth(config, i);
        String name = image + "embeddings.stem." + i;
        specs.add(new Spec(name + ".weight", Start.FAN_IN, true, out, in, 3, 3));
        specs.add(new Spec(name + ".norm.weight", Start.ONES, false, out));
        specs.add(new Spec(name + ".norm.bias", Start.ZEROS, false, out));
        in = out;
      }
      specs.add(
          new Spec(image + "embeddings.stem.projection.weight", Start.FAN_IN, true, d, in, 1, 1));
      specs.add(new Spec(image + "embeddings.stem.projection.bias", Start.ZEROS, false, d));
    }
    for (int i = 0; i < config.imageLayers(); i++) {
      String layer = image + "encoder.layer." + i + ".";
      attention(specs, layer + "attention.attention.", d);
      linear(specs, layer + "attention.output.dense", d, d);
      linear(specs, layer + "intermediate.dense", 4 * d, d);
      linear(specs, layer + "output.dense", d, 4 * d);
      norm(specs, layer + "layernorm_before", d);
      norm(specs, layer + "layernorm_after", d);
    }
    norm(specs, image + "layernorm", d);

    String text = "text_encoder.";
    specs.add(
        new Spec(text + "embeddings.word_embeddings.weight", Start.NORMAL, true, vocabulary, d));
    specs.add(
        new Spec(
            text + "embeddings.position_embeddings.weight",
            Start.NORMAL,
            false,
            config.textTokens(),
            d));
    specs.add(
        new Spec(text + "embeddings.token_type_embeddings.weight", Start.NORMAL, false, 2, d));
    norm(specs, text + "embeddings.LayerNorm", d);
    for (int i = 0; i < config.textLayers(); i++) {
      bertLayer(specs, text + "encoder.layer." + i + ".", d, false);
    }
    String fusion = "fusion_encoder.";
    norm(specs, fusion + "visual_norm", d);
    for (int i = 0; i < config.fusionLayers(); i++) {
      bertLayer(specs, fusion + "encoder.layer." + i + ".", d, true);
    }
    linear(specs, "image_projection", config.projection(), d);
    linear(specs, "text_projection", config.projection(), d);
    linear(specs, "match_head", 2, d);
    linear(specs, "mlm_head.transform.dense", d, d);
    norm(specs, "mlm_head.transform.LayerNorm", d);
    specs.add(new Spec("mlm_head.bias", Start.ZEROS, false, vocabulary));
    specs.add(new Spec("log_temperature", Start.ZEROS, false, 1));
    if (maskedVisual) {
      // Last, so that the others begin with the same values with and without it.
      specs.add(new Spec("mvm_mask_token", Start.NORMAL, false, d));
      linear(specs, "mvm_head", d, d);
    }
    return specs;
  }

  private static int stages(ModelConfig config) {
    return Integer.numberOfTrailingZeros(config.patchSize());
  }

  private static long stemWidth(ModelConfig config, int stage) {
    // Channels double towards the model width, in multiples of 8 for the group norm.
    long width = (long) config.width() >> (stages(config) - 1 - stage);
    return Math.max(8, width / 8 * 8);
  }

  private static void bertLayer(List<Spec> specs, String layer, long d, boolean cross) {
    attention(specs, layer + "attention.self.", d);
    linear(specs, layer + "attention.output.dense", d, d);
    norm(specs, layer + "attention.output.LayerNorm", d);
    if (cross) {
      attention(specs, layer + "crossattention.self.", d);
      linear(specs, layer + "crossattention.output.dense", d, d);
      norm(specs, layer + "crossattention.output.LayerNorm", d);
    }
    linear(specs, layer + "intermediate.dense", 4 * d, d);
    linear(specs, layer + "output.dense", d, 4 * d);
    norm(specs, layer + "output.LayerNorm", d);
  }

  private static void attention(List<Spec> specs, String prefix, long d) {
    linear(specs, prefix + "query", d, d);
    linear(specs, prefix + "key", d, d);
    linear(specs, prefix + "value", d, d);
  }

  private static void linear(List<Spec> specs, String name, long out, long in) {
    specs.add(new Spec(name + ".weight", Start.XAVIER, true, out, in));
    specs.add(new Spec(name + ".bias", Start.ZEROS, false, out));
  }

  private static void norm(List<Spec> specs, String name, long d) {
    specs.add(new Spec(name + ".weight", Start.ONES, false, d));
    specs.add(new Spec(name + ".bias", Start.ZEROS, false, d));
  }

  /**
   * Fixed sine-cosine positions of a grid (Vaswani et al., arXiv 1706.03762, in two dimensions):
   * half of the width for the row, half for the column. Shape 1 x N x d, row-major, outside every
   * scope but the caller's.
   */
  static float[] sineCosine(int grid, int width) {
    float[] out = new float[grid * grid * width];
    int quarter = width / 4;
    for (int row = 0; row < grid; row++) {
      for (int column = 0; column < grid; column++) {
        int base = (row * grid + column) * width;
        for (int i = 0; i < quarter; i++) {
          double frequency = Math.pow(10_000, -(double) i / quarter);
          out[base + i] = (float) Math.sin(row * frequency);
          out[base + quarter + i] = (float) Math.cos(row * frequency);
          out[base + 2 * quarter + i] = (float) Math.sin(column * frequency);
          out[base + 3 * quarter + i] = (float) Math.cos(column * frequency);
        }
      }
    }
    return out;
  }

  private Tensor weight(String name) {
    return parameters.get(name);
  }

  private Tensor dense(Tensor x, String name) {
    return Torch.linear(x, weight(name + ".weight"), weight(name + ".bias"));
  }

  private Tensor textNorm(Tensor x, String name) {
    return Torch.layerNorm(
        x, weight(name + ".weight"), weight(name + ".bias"), config.textNormEps());
  }

  private Tensor imageNorm(Tensor x, String name) {
    return Torch.layerNorm(
        x, weight(name + ".weight"), weight(name + ".bias"), config.imageNormEps());
  }

  /** B x L x d to B x heads x L x d/heads. */
  private Tensor heads(Tensor x) {
    long width = config.width() / config.heads();
    return x.view(x.size(0), x.size(1), config.heads(), width).transpose(1, 2);
  }

  private Tensor joinHeads(Tensor x) {
    return x.transpose(1, 2).contiguous().view(x.size(0), x.size(2), config.width());
  }

  private static Tensor attend(Tensor query, Tensor key, Tensor value, TensorOptional mask) {
    return torch.scaled_dot_product_attention(
        query, key, value, mask, 0.0, false, new DoubleOptional(), false);
  }

  private Tensor selfAttention(Tensor x, String prefix, TensorOptional mask) {
    Tensor w =
        Torch.cat(
            0,
            weight(prefix + "query.weight"),
            weight(prefix + "key.weight"),
            weight(prefix + "value.weight"));
    Tensor b =
        Torch.cat(
            0,
            weight(prefix + "query.bias"),
            weight(prefix + "key.bias"),
            weight(prefix + "value.bias"));
    Tensor all = Torch.linear(x, w, b);
    long d = config.width();
    return joinHeads(
        attend(
            heads(all.narrow(2, 0, d)),
            heads(all.narrow(2, d, d)),
            heads(all.narrow(2, 2 * d, d)),
            mask));
  }

  /**
   * Image features.
   *
   * @param images B x 3 x S x S, normalised
   * @return B x (1 + N) x d: the class token, then the patch tokens row by row
   */
  public Tensor encodeImage(Tensor images) {
    try (Autocast on = Autocast.begin(precision == Precision.BFLOAT16, images)) {
      Tensor x = embedImage(images);
      for (int i = 0; i < config.imageLayers(); i++) {
        x = imageLayer(x, i);
      }
      return endImage(x);
    }
  }

  private Tensor endImage(Tensor x) {
    return float32(imageNorm(x, "image_encoder.layernorm"));
  }

  private static Tensor float32(Tensor x) {
    return x.to(torch.ScalarType.Float);
  }

  private Tensor embedImage(Tensor images) {
    String prefix = "image_encoder.";
    long batch = images.size(0);
    long d = config.width();
    Tensor grid = images;
    if (config.stem() == ModelConfig.Stem.PATCH) {
      long p = config.patchSize();
      grid =
          torch.conv2d(
              grid,
              weight(prefix + "embeddings.patch_embeddings.projection.weight"),
              new TensorOptional(weight(prefix + "embeddings.patch_embeddings.projection.bias")),
              new long[] {p, p},
              new long[] {0, 0},
              new long[] {1, 1},
              1);
    } else {
      for (int i = 0; i < stages(config); i++) {
        String name = prefix + "embeddings.stem." + i;
        grid =
            torch.conv2d(
                grid,
                weight(name + ".weight"),
                new TensorOptional(),
                new long[] {2, 2},
                new long[] {1, 1},
                new long[] {1, 1},
                1);
        grid =
            torch
                .group_norm(
                    grid,
                    grid.size(1) / 8,
                    new TensorOptional(weight(name + ".norm.weight")),
                    new TensorOptional(weight(name + ".norm.bias")),
                    1e-5,
                    false)
                .relu();
      }
      grid =
          torch.conv2d(
              grid,
              weight(prefix + "embeddings.stem.projection.weight"),
              new TensorOptional(weight(prefix + "embeddings.stem.projection.bias")),
              new long[] {1, 1},
              new long[] {0, 0},
              new long[] {1, 1},
              1);
    }
    Tensor patches = grid.flatten(2, 3).transpose(1, 2);
    Tensor cls = weight(prefix + "embeddings.cls_token").expand(batch, 1, d);
    return Torch.cat(1, cls, patches).add(weight(prefix + "embeddings.position_embeddings"));
  }

  private Tensor imageLayer(Tensor x, int i) {
    String layer = "image_encoder.encoder.layer." + i + ".";
    Tensor attended =
        selfAttention(
            imageNorm(x, layer + "layernorm_before"),
            layer + "attention.attention.",
            new TensorOptional());
    Tensor between = x.add(dense(attended, layer + "attention.output.dense"));
    Tensor hidden =
        torch.gelu(
            dense(imageNorm(between, layer + "layernorm_after"), layer + "intermediate.dense"));
    return between.add(dense(hidden, layer + "output.dense"));
  }

  /**
   * {@link #encodeImage} without keeping what its layers computed (Chen et al., "Training deep nets
   * with sublinear memory cost", arXiv 1604.06174): only the layers' inputs are kept, and each
   * layer is computed again when its gradient is asked for.
   */
  public Recomputed recomputedImage(Tensor images) {
    List<Tensor> inputs = new ArrayList<>();
    try (AutoGradMode off = new AutoGradMode(false);
        Autocast on = Autocast.begin(precision == Precision.BFLOAT16, images)) {
      Tensor x = Torch.keepOnly(() -> embedImage(images));
      for (int i = 0; i < config.imageLayers(); i++) {
        Tensor input = x;
        int layer = i;
        inputs.add(input);
        x = Torch.keepOnly(() -> imageLayer(input, layer));
      }
      inputs.add(x);
      Tensor features = endImage(x);
      features.set_requires_grad(true);
      return new Recomputed(images, inputs, features);
    }
  }

  /** Image features whose gradient goes on by {@link #backward}. Used once, on one thread. */
  public final class Recomputed {
    private final Tensor images;
    private final List<Tensor> inputs;
    private final Tensor features;

    private Recomputed(Tensor images, List<Tensor> inputs, Tensor features) {
      this.images = images;
      this.inputs = inputs;
      this.features = features;
    }

    /** B x (1 + N) x d, as {@link #encodeImage} gives them. */
    public Tensor features() {
      return features;
    }

    /** Passes the features' gradient on to the parameters, after the loss's backward pass. */
    public void backward() {
      Tensor gradient = features.grad();
      for (int i = inputs.size() - 1; i >= 0; i--) {
        Tensor input = inputs.get(i);
        Tensor from = gradient;
        int layer = i;
        gradient =
            Torch.keepOnly(
                () -> {
                  input.set_requires_grad(true);
                  backward(again(input, layer), from);
                  return input.grad();
                });
      }
      Tensor embedded;
      try (Autocast on = Autocast.begin(precision == Precision.BFLOAT16, images)) {
        embedded = embedImage(images);
      }
      backward(embedded, gradient);
    }

    private Tensor again(Tensor input, int layer) {
      try (Autocast on = Autocast.begin(precision == Precision.BFLOAT16, input)) {
        return layer == inputs.size() - 1 ? endImage(input) : imageLayer(input, layer);
      }
    }

    private static void backward(Tensor output, Tensor gradient) {
      output.backward(gradient, new BoolOptional(), false, new TensorArrayRefOptional());
    }
  }

  /**
   * Text features.
   *
   * @param ids B x L token ids
   * @param attends B x L booleans, false at padding
   * @return B x L x d, the class token first
   */
  public Tensor encodeText(Tensor ids, Tensor attends) {
    try (Autocast on = Autocast.begin(precision == Precision.BFLOAT16, ids)) {
      return float32(textFeatures(ids, attends));
    }
  }

  private Tensor textFeatures(Tensor ids, Tensor attends) {
    String prefix = "text_encoder.embeddings.";
    long length = ids.size(1);
    Tensor x =
        torch
            .embedding(weight(prefix + "word_embeddings.weight"), ids)
            .add(weight(prefix + "position_embeddings.weight").narrow(0, 0, length))
            .add(weight(prefix + "token_type_embeddings.weight").narrow(0, 0, 1));
    x = textNorm(x, prefix + "LayerNorm");
    TensorOptional mask = attentionMask(attends);
    for (int i = 0; i < config.textLayers(); i++) {
      x = bertLayer(x, "text_encoder.encoder.layer." + i + ".", mask, null, null);
    }
    return x;
  }

  private static TensorOptional attentionMask(Tensor attends) {
    return new TensorOptional(attends.unsqueeze(1).unsqueeze(1));
  }

  private Tensor bertLayer(Tensor x, String layer, TensorOptional mask, Tensor key, Tensor value) {
    Tensor attended =
        dense(selfAttention(x, layer + "attention.self.", mask), layer + "attention.output.dense");
    x = textNorm(x.add(attended), layer + "attention.output.LayerNorm");
    if (key != null) {
      Tensor query = heads(dense(x, layer + "crossattention.self.query"));
      Tensor seen = joinHeads(attend(query, key, value, new TensorOptional()));
      x =
          textNorm(
              x.add(dense(seen, layer + "crossattention.output.dense")),
              layer + "crossattention.output.LayerNorm");
    }
    Tensor hidden = torch.gelu(dense(x, layer + "intermediate.dense"));
    return textNorm(x.add(dense(hidden, layer + "output.dense")), layer + "output.LayerNorm");
  }

  /** L2-normalised contrastive embeddings of image features: any shape x d to the same x p. */
  public Tensor projectImage(Tensor features) {
    return Torch.unit(dense(features, "image_projection"));
  }

  /** L2-normalised contrastive embeddings of text features: any shape x d to the same x p. */
  public Tensor projectText(Tensor features) {
    return Torch.unit(dense(features, "text_projection"));
  }

  /**
   * What the fusion encoder sees of images: [V_cls ; LN(u_i + PE_2d(i))].
   *
   * @param cls B x d class tokens
   * @param tokens B x N x d patch tokens u
   * @return B x (1 + N) x d
   */
  public Tensor fusionInput(Tensor cls, Tensor tokens) {
    Tensor normed = textNorm(tokens.add(positions2d), "fusion_encoder.visual_norm");
    return Torch.cat(1, cls.unsqueeze(1), normed);
  }

  /**
   * Keys and values of images for every fusion layer, computed once however many captions an image
   * is matched with.
   *
   * @param keys per layer B x (1 + N) x d
   * @param values per layer, of the same shape
   */
  public record ImageContext(List<Tensor> keys, List<Tensor> values) {}

  /** The context of fusion inputs B x (1 + N) x d. */
  public ImageContext imageContext(Tensor fusionInput) {
    List<Tensor> keys = new ArrayList<>();
    List<Tensor> values = new ArrayList<>();
    try (Autocast on = Autocast.begin(precision == Precision.BFLOAT16, fusionInput)) {
      for (int i = 0; i < config.fusionLayers(); i++) {
        String prefix = "fusion_encoder.encoder.layer." + i + ".crossattention.self.";
        keys.add(dense(fusionInput, prefix + "key"));
        values.add(dense(fusionInput, prefix + "value"));
      }
    }
    return new ImageContext(keys, values);
  }

  /**
   * Fusion features of R pairs.
   *
   * @param context of B images
   * @param imageRows R int64 rows of the context
   * @param text R x L x d text features
   * @param attends R x L booleans, false at padding
   * @return R x L x d
   */
  public Tensor fuse(ImageContext context, Tensor imageRows, Tensor text, Tensor attends) {
    TensorOptional mask = attentionMask(attends);
    Tensor x = text;
    try (Autocast on = Autocast.begin(precision == Precision.BFLOAT16, text)) {
      for (int i = 0; i < config.fusionLayers(); i++) {
        x =
            bertLayer(
                x,
                "fusion_encoder.encoder.layer." + i + ".",
                mask,
                heads(context.keys().get(i).index_select(0, imageRows)),
                heads(context.values().get(i).index_select(0, imageRows)));
      }
      return float32(x);
    }
  }

  /** Match logits of fusion class tokens: R x d to R x 2, [mismatch, match]. */
  public Tensor matchLogits(Tensor cls) {
    return dense(cls, "match_head");
  }

  /** Vocabulary logits of fusion features at masked positions: M x d to M x vocabulary. */
  public Tensor maskedLogits(Tensor features) {
    try (Autocast on = Autocast.begin(precision == Precision.BFLOAT16, features)) {
      Tensor x = torch.gelu(dense(features, "mlm_head.transform.dense"));
      x = textNorm(x, "mlm_head.transform.LayerNorm");
      return float32(
          Torch.linear(
              x,
              weight("text_encoder.embeddings.word_embeddings.weight"),
              weight("mlm_head.bias")));
    }
  }

  /**
   * Patch tokens with the learned mask token in the place of some.
   *
   * @param tokens B x N x d
   * @param masked B x N booleans
   */
  public Tensor maskTokens(Tensor tokens, Tensor masked) {
    return torch.where(masked.unsqueeze(2), weight("mvm_mask_token"), tokens);
  }

  /**
   * Which code was masked, from fusion class tokens: cosines of a linear map of them to the
   * codewords, over a temperature of 0.1.
   *
   * @param cls B x d
   * @param codewords K x d
   * @return B x K logits
   */
  public Tensor codeLogits(Tensor cls, Tensor codewords) {
    return Torch.unit(dense(cls, "mvm_head"))
        .matmul(Torch.unit(codewords).t())
        .div(new Scalar(0.1));
  }

  /** The contrastive temperature, a scalar tensor with gradient. */
  public Tensor temperature() {
    return weight("log_temperature").exp().squeeze();
  }

  /** Sets the temperature to its value clamped to a range, without gradient. */
  public void clampTemperature(double low, double high) {
    weight("log_temperature")
        .clamp_(
            new org.bytedeco.pytorch.ScalarOptional(new Scalar(Math.log(low))),
            new org.bytedeco.pytorch.ScalarOptional(new Scalar(Math.log(high))));
  }

  /** Sets the temperature, without gradient. */
  void setTemperature(double temperature) {
    weight("log_temperature").fill_(new Scalar(Math.log(temperature)));
  }

  public ModelConfig config() {
    return config;
  }
}
