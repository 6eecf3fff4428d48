package org.nasvlp.model;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.layer.BertBlock;
import org.nasvlp.model.layer.CrossAttention;
import org.nasvlp.model.layer.LayerNorm;
import org.nasvlp.model.layer.Parameter;
import org.nasvlp.model.layer.ParameterScope;

/** BERT's further layers, with attention to an image (ALBEF, arXiv 2107.07651, section 3.1). */
final class FusionEncoder {
  private final Parameter positions;
  private final LayerNorm visualNorm;
  private final List<BertBlock> blocks = new ArrayList<>();

  FusionEncoder(ParameterScope scope, ModelConfig config) {
    int d = config.width();
    double epsilon = config.textNormEps();
    positions =
        scope.constant("positions", sineCosine(config.grid(), d), 1, config.patchTokens(), d);
    visualNorm = new LayerNorm(scope.scope("visual_norm"), d, epsilon);
    for (int i = 0; i < config.fusionLayers(); i++) {
      blocks.add(
          new BertBlock(scope.scope("encoder.layer." + i), d, config.heads(), epsilon, true));
    }
  }

  /**
   * [V_cls ; LN(u_i + PE_2d(i))].
   *
   * @param cls B x d class tokens
   * @param tokens B x N x d patch tokens u
   * @return B x (1 + N) x d
   */
  Tensor input(Tensor cls, Tensor tokens) {
    return Torch.cat(1, cls.unsqueeze(1), visualNorm.apply(tokens.add(positions.value())));
  }

  /** What each layer needs of fusion inputs B x (1 + N) x d. */
  List<CrossAttention.Context> contexts(Tensor input) {
    return blocks.stream().map(block -> block.context(input)).toList();
  }

  /**
   * Fusion features of R pairs.
   *
   * @param contexts of B images
   * @param imageRows R int64 rows of the contexts
   * @param text R x L x d text features
   * @param attentionMask R x L booleans, false at padding
   * @return R x L x d
   */
  Tensor features(
      List<CrossAttention.Context> contexts, Tensor imageRows, Tensor text, Tensor attentionMask) {
    Tensor x = text;
    for (int i = 0; i < blocks.size(); i++) {
      x = blocks.get(i).apply(x, attentionMask, contexts.get(i).rows(imageRows));
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
