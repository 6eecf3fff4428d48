package org.nasvlp.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.Precision;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.layer.CrossAttention;
import org.nasvlp.model.layer.ParameterScope;

/**
 * The forward passes: ViT image encoder, BERT text encoder and fusion encoder, contrastive
 * projections, match head and masked-language head, arranged as in ALBEF (arXiv 2107.07651).
 * Parameter names follow the public ones of ViT and BERT weights.
 *
 * <p>All results are float32. With {@link Precision#BFLOAT16} the encoders and the vocabulary's
 * logits are computed in mixed precision; contrastive embeddings and match logits, whose
 * differences decide what is the better match, are float32 throughout.
 *
 * <p>Notation: B images or captions, N patch tokens, L text tokens, d width, p projection. Every
 * method but {@link #config} throws IllegalStateException once the model is closed.
 */
public final class Network {
  private final ModelConfig config;
  private final MixedPrecision precision;
  private final VisionEncoder vision;
  private final TextEncoder text;
  private final FusionEncoder fusion;
  private final Projection imageProjection;
  private final Projection textProjection;
  private final MatchHead match;
  private final MaskedLanguageHead maskedLanguage;
  private final Temperature temperature;
  private final @Nullable MaskedVisualHead maskedVisual;

  /**
   * A network whose parameters are declared, but have no memory yet.
   *
   * @param scope of the whole network
   * @param maskedVisual with the parameters of masked visual modelling, or without
   */
  Network(
      ParameterScope scope,
      ModelConfig config,
      int vocabulary,
      boolean maskedVisual,
      Precision precision) {
    int d = config.width();
    this.config = config;
    this.precision = new MixedPrecision(precision);
    vision = new VisionEncoder(scope.scope("image_encoder"), config);
    text = new TextEncoder(scope.scope("text_encoder"), config, vocabulary);
    fusion = new FusionEncoder(scope.scope("fusion_encoder"), config);
    imageProjection = new Projection(scope.scope("image_projection"), d, config.projection());
    textProjection = new Projection(scope.scope("text_projection"), d, config.projection());
    match = new MatchHead(scope.scope("match_head"), d);
    maskedLanguage = new MaskedLanguageHead(scope.scope("mlm_head"), config, text.words());
    temperature = new Temperature(scope);
    // Last, so that the others begin with the same values with and without it.
    this.maskedVisual = maskedVisual ? new MaskedVisualHead(scope, d) : null;
  }

  /**
   * Image features.
   *
   * @param images B x 3 x S x S, normalized
   * @return B x (1 + N) x d: the class token, then the patch tokens row by row
   */
  public Tensor encodeImage(Tensor images) {
    return precision.toFloat32(images, () -> vision.features(images));
  }

  /**
   * {@link #encodeImage} without keeping what its layers computed (Chen et al., "Training deep nets
   * with sublinear memory cost", arXiv 1604.06174): only the layers' inputs are kept, and each
   * layer is computed again when its gradient is asked for. At least one parameter is not frozen.
   */
  public Recomputed recomputedImage(Tensor images) {
    return new Recomputed(images, vision.stages(), vision.firstTrained(), precision);
  }

  /** Whether any parameter of the image encoder is not frozen. */
  public boolean trainsImageEncoder() {
    return vision.firstTrained() < vision.stages().size();
  }

  /** Image features whose gradient goes on by {@link #backward}. Used once, on one thread. */
  public static final class Recomputed implements Deferred {
    private final List<UnaryOperator<Tensor>> stages;
    private final int first;
    private final MixedPrecision precision;
    private final List<Tensor> inputs = new ArrayList<>();
    private final Tensor features;

    private Recomputed(
        Tensor images, List<UnaryOperator<Tensor>> stages, int first, MixedPrecision precision) {
      this.stages = stages;
      this.first = first;
      this.precision = precision;
      try (AutoGradMode off = Torch.withoutGradient()) {
        features =
            precision.toFloat32(
                images,
                () -> {
                  Tensor x = images;
                  for (UnaryOperator<Tensor> stage : stages) {
                    Tensor input = x;
                    inputs.add(input);
                    x = Torch.keepOnly(() -> stage.apply(input));
                  }
                  return x;
                });
      }
      features.set_requires_grad(true);
    }

    /** B x (1 + N) x d, as {@link Network#encodeImage} gives them. */
    @Override
    public Tensor features() {
      return features;
    }

    @Override
    public void backward() {
      Tensor gradient = features.grad();
      for (int i = stages.size() - 1; i > first; i--) {
        int stage = i;
        Tensor output = gradient;
        gradient =
            Torch.keepOnly(
                () -> {
                  inputs.get(stage).set_requires_grad(true);
                  backward(stage, output);
                  return inputs.get(stage).grad();
                });
      }
      backward(first, gradient);
    }

    private void backward(int stage, Tensor gradient) {
      Tensor input = inputs.get(stage);
      boolean last = stage == stages.size() - 1;
      Tensor output =
          last
              ? precision.toFloat32(input, () -> stages.get(stage).apply(input))
              : precision.within(input, () -> stages.get(stage).apply(input));
      output.backward(gradient, new BoolOptional(), false, new TensorArrayRefOptional());
    }
  }

  /**
   * Text features.
   *
   * @param ids B x L token ids
   * @param attentionMask B x L booleans, false at padding
   * @return B x L x d, the class token first, zeros at padding
   */
  public Tensor encodeText(Tensor ids, Tensor attentionMask) {
    return precision.toFloat32(ids, () -> text.features(ids, attentionMask));
  }

  /** L2-normalized contrastive embeddings of image features: any shape x d to the same x p. */
  public Tensor projectImage(Tensor features) {
    return imageProjection.apply(features);
  }

  /** L2-normalized contrastive embeddings of text features: any shape x d to the same x p. */
  public Tensor projectText(Tensor features) {
    return textProjection.apply(features);
  }

  /**
   * What the fusion encoder sees of images: [V_cls ; LN(u_i + PE_2d(i))], or [V_cls ; u_i] if
   * {@code model.fusionPositions} is NONE.
   *
   * @param cls B x d class tokens
   * @param tokens B x N x d patch tokens u
   * @return B x (1 + N) x d
   */
  public Tensor fusionInput(Tensor cls, Tensor tokens) {
    return fusion.input(cls, tokens);
  }

  /** The fixed positions PE_2d of {@link #fusionInput}, 1 x N x d, which belong to the model. */
  public Tensor fusionPositions() {
    return fusion.positions();
  }

  /**
   * Keys and values of images for every fusion layer, computed once however many captions an image
   * is matched with.
   */
  public static final class ImageContext {
    private final List<CrossAttention.Context> layers;

    private ImageContext(List<CrossAttention.Context> layers) {
      this.layers = layers;
    }
  }

  /** The context of fusion inputs B x (1 + N) x d. */
  public ImageContext imageContext(Tensor fusionInput) {
    return precision.within(fusionInput, () -> new ImageContext(fusion.contexts(fusionInput)));
  }

  /**
   * Captions as far as the fusion encoder takes them without an image, computed once however many
   * images a caption is matched with.
   */
  public static final class CaptionContext {
    private final FusionEncoder.Captions captions;

    private CaptionContext(FusionEncoder.Captions captions) {
      this.captions = captions;
    }
  }

  /**
   * The context of C captions.
   *
   * @param text C x L x d text features
   * @param attentionMask C x L booleans, false at padding
   */
  public CaptionContext captionContext(Tensor text, Tensor attentionMask) {
    return precision.within(text, () -> new CaptionContext(fusion.captions(text, attentionMask)));
  }

  /**
   * Fusion features of R pairs.
   *
   * @param images context of B images
   * @param imageRows R int64 rows of it
   * @param captions context of C captions
   * @param captionRows R int64 rows of it
   * @return R x L x d, zeros at padding
   */
  public Tensor fuse(
      ImageContext images, Tensor imageRows, CaptionContext captions, Tensor captionRows) {
    return precision.toFloat32(
        imageRows, () -> fusion.features(images.layers, imageRows, captions.captions, captionRows));
  }

  /**
   * The class tokens of {@link #fuse}, at about half of its cost.
   *
   * @return R x d
   */
  public Tensor fuseCls(
      ImageContext images, Tensor imageRows, CaptionContext captions, Tensor captionRows) {
    return precision.toFloat32(
        imageRows, () -> fusion.cls(images.layers, imageRows, captions.captions, captionRows));
  }

  /**
   * How much what the tokens of a caption see of an image speaks for a match: the cross-attention
   * weights A of a fusion layer times max(0, ∂s/∂A), the mean over the heads, s being the log-odds
   * of a match (ALBEF, arXiv 2107.07651, shows such maps). In float32 whatever the precision;
   * parameters get no gradient.
   *
   * @param fusionInput 1 x (1 + N) x d, without gradient
   * @param text 1 x L x d features of a caption without padding, without gradient
   * @param attentionMask 1 x L booleans, all true
   * @param layer 0 to the number of fusion layers - 1
   * @return L x (1 + N), 0 or more; 0 throughout for the words of the last layer, of which only the
   *     class token reaches the match head
   */
  Tensor relevance(Tensor fusionInput, Tensor text, Tensor attentionMask, int layer) {
    List<CrossAttention.Context> context;
    FusionEncoder.Captions captions;
    try (AutoGradMode off = Torch.withoutGradient()) {
      context = fusion.contexts(fusionInput);
      captions = fusion.captions(text, attentionMask);
    }
    return fusion.relevance(
        context,
        captions,
        layer,
        cls -> {
          Tensor logits = match.logits(cls);
          return logits.select(1, 1).sub(logits.select(1, 0)).sum();
        });
  }

  /** Match logits of fusion class tokens: R x d to R x 2, [mismatch, match]. */
  public Tensor matchLogits(Tensor cls) {
    return match.logits(cls);
  }

  /** Vocabulary logits of fusion features at masked positions: M x d to M x vocabulary. */
  public Tensor maskedLogits(Tensor features) {
    return precision.toFloat32(features, () -> maskedLanguage.logits(features));
  }

  /**
   * Patch tokens with the learned mask token in the place of some.
   *
   * @param tokens B x N x d
   * @param masked B x N booleans
   * @throws IllegalStateException if the network has no masked visual modelling
   */
  public Tensor maskTokens(Tensor tokens, Tensor masked) {
    return maskedVisual().mask(tokens, masked);
  }

  /**
   * Which code was masked, from fusion class tokens: cosines of a linear map of them to the
   * codewords, over a temperature of 0.1.
   *
   * @param cls B x d
   * @param codewords K x d
   * @return B x K logits
   * @throws IllegalStateException if the network has no masked visual modelling
   */
  public Tensor codeLogits(Tensor cls, Tensor codewords) {
    return maskedVisual().logits(cls, codewords);
  }

  private MaskedVisualHead maskedVisual() {
    if (maskedVisual == null) {
      throw new IllegalStateException(
          "the model was made without masked visual modelling: set objective.mvmWeight above 0");
    }
    return maskedVisual;
  }

  /** The contrastive temperature, a scalar tensor with gradient. */
  public Tensor temperature() {
    return temperature.value();
  }

  /** Sets the temperature to its value clamped to a range, without gradient. */
  public void clampTemperature(double low, double high) {
    temperature.clamp(low, high);
  }

  /** Sets the temperature, without gradient. */
  void setTemperature(double value) {
    temperature.set(value);
  }

  public ModelConfig config() {
    return config;
  }
}
