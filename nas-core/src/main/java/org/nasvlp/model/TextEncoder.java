package org.nasvlp.model;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.model.layer.BertBlock;
import org.nasvlp.model.layer.LayerNorm;
import org.nasvlp.model.layer.Packing;
import org.nasvlp.model.layer.Parameter;
import org.nasvlp.model.layer.ParameterScope;
import org.nasvlp.model.layer.Start;

/** The first layers of a BERT, with its embeddings. */
final class TextEncoder {
  private final Parameter words;
  private final Parameter positions;
  private final Parameter types;
  private final LayerNorm norm;
  private final List<BertBlock> blocks = new ArrayList<>();

  TextEncoder(ParameterScope scope, ModelConfig config, int vocabulary) {
    int d = config.width();
    double epsilon = config.textNormEps();
    ParameterScope embeddings = scope.scope("embeddings");
    words = embeddings.declare("word_embeddings.weight", Start.NORMAL, true, vocabulary, d);
    positions =
        embeddings.declare(
            "position_embeddings.weight", Start.NORMAL, false, config.textTokens(), d);
    types = embeddings.declare("token_type_embeddings.weight", Start.NORMAL, false, 2, d);
    norm = new LayerNorm(embeddings.scope("LayerNorm"), d, epsilon);
    for (int i = 0; i < config.textLayers(); i++) {
      blocks.add(
          new BertBlock(scope.scope("encoder.layer." + i), d, config.heads(), epsilon, false));
    }
  }

  /**
   * Text features, the class token first.
   *
   * @param ids B x L token ids
   * @param attentionMask B x L booleans, false at padding
   * @return B x L x d, zeros at padding
   */
  Tensor features(Tensor ids, Tensor attentionMask) {
    Tensor x =
        torch
            .embedding(words.value(), ids)
            .add(positions.value().narrow(0, 0, ids.size(1)))
            .add(types.value().narrow(0, 0, 1));
    Packing packing = Packing.of(attentionMask);
    x = norm.apply(packing.pack(x));
    for (BertBlock block : blocks) {
      x = block.apply(x, packing);
    }
    return packing.unpack(x);
  }

  /** Vocabulary x d. */
  Parameter words() {
    return words;
  }
}
