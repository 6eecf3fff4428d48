package org.nasvlp.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.ModelConfig.FusionPositions;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.layer.BertBlock;
import org.nasvlp.model.layer.CrossAttention;
import org.nasvlp.model.layer.LayerNorm;
import org.nasvlp.model.layer.Packing;
import org.nasvlp.model.layer.Parameter;
import org.nasvlp.model.layer.ParameterScope;

/** BERT's further layers, with attention to an image (ALBEF, arXiv 2107.07651, section 3.1). */
final class FusionEncoder {
  private final Parameter positions;
  private final @Nullable LayerNorm visualNorm;
  private final List<BertBlock> blocks = new ArrayList<>();

  FusionEncoder(ParameterScope scope, ModelConfig config) {
    int d = config.width();
    double epsilon = config.textNormEps();
    positions =
        scope.constant("positions", sineCosine(config.grid(), d), 1, config.patchTokens(), d);
    visualNorm =
        config.fusionPositions() == FusionPositions.SINE_COSINE
            ? new LayerNorm(scope.scope("visual_norm"), d, epsilon)
            : null;
    for (int i = 0; i < config.fusionLayers(); i++) {
      blocks.add(
          new BertBlock(scope.scope("encoder.layer." + i), d, config.heads(), epsilon, true));
    }
  }

  /**
   * [V_cls ; LN(u_i + PE_2d(i))], or [V_cls ; u_i] without {@code model.fusionPositions}.
   *
   * @param cls B x d class tokens
   * @param tokens B x N x d patch tokens u
   * @return B x (1 + N) x d
   */
  Tensor input(Tensor cls, Tensor tokens) {
    Tensor placed = visualNorm == null ? tokens : visualNorm.apply(tokens.add(positions.value()));
    return Torch.cat(1, cls.unsqueeze(1), placed);
  }

  /** PE_2d, 1 x N x d. */
  Tensor positions() {
    return positions.value();
  }

  /** What each layer needs of fusion inputs B x (1 + N) x d. */
  List<CrossAttention.Context> contexts(Tensor input) {
    return blocks.stream().map(block -> block.context(input)).toList();
  }

  /**
   * C captions after the self-attention of the first layer, which knows of no image yet.
   *
   * @param attended C x L x d
   * @param attentionMask C x L booleans, false at padding
   */
  record Captions(Tensor attended, Tensor attentionMask) {}

  /**
   * What the layers need of captions.
   *
   * @param text C x L x d text features
   * @param attentionMask C x L booleans, false at padding
   */
  Captions captions(Tensor text, Tensor attentionMask) {
    Packing packing = Packing.of(attentionMask);
    return new Captions(
        packing.unpack(blocks.getFirst().attend(packing.pack(text), packing)), attentionMask);
  }

  /**
   * Fusion features of R pairs.
   *
   * @param contexts of B images
   * @param imageRows R int64 rows of the contexts
   * @param captionRows R int64 rows of the captions
   * @return R x L x d, zeros at padding
   */
  Tensor features(
      List<CrossAttention.Context> contexts,
      Tensor imageRows,
      Captions captions,
      Tensor captionRows) {
    Packing packing = Packing.of(captions.attentionMask, captionRows);
    return packing.unpack(through(blocks.size(), contexts, imageRows, captions, packing));
  }

  /**
   * The class tokens of {@link #features}, R x d, for which the last layer has little to compute.
   */
  Tensor cls(
      List<CrossAttention.Context> contexts,
      Tensor imageRows,
      Captions captions,
      Tensor captionRows) {
    Packing packing = Packing.of(captions.attentionMask, captionRows);
    int last = blocks.size() - 1;
    Tensor x = through(last, contexts, imageRows, captions, packing);
    Tensor attended = last == 0 ? packing.firstOf(x) : blocks.get(last).attendFirst(x, packing);
    return blocks.get(last).seeFirst(attended, contexts.get(last).rows(imageRows));
  }

  /**
   * How much what a layer's tokens see of an image speaks for a pair: the layer's cross-attention
   * weights A times max(0, ∂s/∂A), the mean over the heads (Grad-CAM of cross-attention, as ALBEF
   * shows it).
   *
   * @param context of one image
   * @param captions of one caption without padding
   * @param layer 0 to layers - 1
   * @param score s, a scalar, of the class token 1 x d
   * @return L x (1 + N), 0 or more, without gradient
   */
  Tensor relevance(
      List<CrossAttention.Context> context,
      Captions captions,
      int layer,
      UnaryOperator<Tensor> score) {
    Packing packing = Packing.of(captions.attentionMask);
    Tensor weights;
    Tensor attended;
    try (AutoGradMode off = Torch.withoutGradient()) {
      Tensor x = packing.pack(captions.attended);
      for (int i = 0; i < layer; i++) {
        x = blocks.get(i).see(attended(i, x, packing), packing, context.get(i));
      }
      attended = attended(layer, x, packing);
      weights = blocks.get(layer).seeingWeights(attended, packing, context.get(layer)).detach();
    }
    try (AutoGradMode on = Torch.withGradient()) {
      weights.set_requires_grad(true);
      Tensor x = blocks.get(layer).seeBy(weights, attended, packing, context.get(layer));
      for (int i = layer + 1; i < blocks.size(); i++) {
        x = blocks.get(i).see(attended(i, x, packing), packing, context.get(i));
      }
      // Not backward(), which would add to the gradients of the parameters.
      Tensor slope =
          torch
              .grad(new TensorVector(score.apply(packing.firstOf(x))), new TensorVector(weights))
              .get(0);
      return weights
          .detach()
          .mul(slope.clamp_min(new Scalar(0)))
          .mean(new long[] {1}, false, new ScalarTypeOptional())
          .squeeze(0);
    }
  }

  private Tensor attended(int layer, Tensor x, Packing packing) {
    return layer == 0 ? x : blocks.get(layer).attend(x, packing);
  }

  /** T x d packed tokens of the pairs behind the first layers, so many of them. */
  private Tensor through(
      int layers,
      List<CrossAttention.Context> contexts,
      Tensor imageRows,
      Captions captions,
      Packing packing) {
    Tensor x = packing.pack(captions.attended);
    for (int i = 0; i < layers; i++) {
      x = blocks.get(i).see(attended(i, x, packing), packing, contexts.get(i).rows(imageRows));
    }
    return x;
  }

  /**
   * Fixed sine-cosine positions of a grid (Vaswani et al., arXiv 1706.03762, in two dimensions):
   * half of the width for the row, half for the column. N x d values, row-major.
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
}
