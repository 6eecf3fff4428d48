package org.nasvlp.model;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.layer.LayerNorm;
import org.nasvlp.model.layer.Linear;
import org.nasvlp.model.layer.Parameter;
import org.nasvlp.model.layer.ParameterScope;
import org.nasvlp.model.layer.Start;

/** Which token was masked: BERT's head, whose output map is the word embeddings. */
final class MaskedLanguageHead {
  private final Linear dense;
  private final LayerNorm norm;
  private final Parameter words;
  private final Parameter bias;

  /**
   * @param words vocabulary x d word embeddings
   */
  MaskedLanguageHead(ParameterScope scope, ModelConfig config, Parameter words) {
    ParameterScope transform = scope.scope("transform");
    dense = new Linear(transform.scope("dense"), config.width(), config.width());
    norm = new LayerNorm(transform.scope("LayerNorm"), config.width(), config.textNormEps());
    bias = scope.declare("bias", Start.ZEROS, false, words.shape()[0]);
    this.words = words;
  }

  /** M x d to M x vocabulary logits. */
  Tensor logits(Tensor features) {
    Tensor x = norm.apply(torch.gelu(dense.apply(features)));
    return Torch.linear(x, words.value(), bias.value());
  }
}
