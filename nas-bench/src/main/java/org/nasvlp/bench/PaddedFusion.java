package org.nasvlp.bench;

import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.ModelConfig;

/**
 * Text and fusion encoder as they are usually written (ALBEF, arXiv 2107.07651): every caption
 * padded to the longest, every token through every layer, and a caption's layers once for each
 * image it is paired with. An image's keys and values are computed once, as the library does.
 */
final class PaddedFusion {
  private final ModelConfig config;
  private final Map<String, Tensor> weights = new LinkedHashMap<>();

  /**
   * @param weights of a network, by name; copied
   */
  PaddedFusion(ModelConfig config, Map<String, Tensor> weights) {
    this.config = config;
    weights.forEach(
        (name, value) -> this.weights.put(name, value.detach().clone().set_requires_grad(true)));
  }

  /** The gradient that backward passes have left at a weight. */
  Tensor gradient(String name) {
    return weights.get(name).grad();
  }

  /** Text features B x L x d of ids and attention mask B x L. */
  Tensor text(Tensor ids, Tensor attentionMask) {
    String embeddings = "text_encoder.embeddings.";
    Tensor x =
        torch
            .embedding(weights.get(embeddings + "word_embeddings.weight"), ids)
            .add(weights.get(embeddings + "position_embeddings.weight").narrow(0, 0, ids.size(1)))
            .add(weights.get(embeddings + "token_type_embeddings.weight").narrow(0, 0, 1));
    x = norm(embeddings + "LayerNorm", x);
    for (int i = 0; i < config.textLayers(); i++) {
      String layer = "text_encoder.encoder.layer." + i + ".";
      x = feed(layer, attend(layer, x, attentionMask));
    }
    return x;
  }

  /** Match logits R x 2 of the R pairs of image and caption rows. */
  Tensor logits(
      Tensor fusionInput, Tensor imageRows, Tensor text, Tensor attentionMask, Tensor captionRows) {
    Tensor x = text.index_select(0, captionRows);
    Tensor mask = attentionMask.index_select(0, captionRows);
    for (int i = 0; i < config.fusionLayers(); i++) {
      String layer = "fusion_encoder.encoder.layer." + i + ".";
      String cross = layer + "crossattention.";
      Tensor own = attend(layer, x, mask);
      Tensor seen =
          attention(
              linear(cross + "self.query", own),
              linear(cross + "self.key", fusionInput).index_select(0, imageRows),
              linear(cross + "self.value", fusionInput).index_select(0, imageRows),
              new TensorOptional());
      x =
          feed(
              layer,
              norm(cross + "output.LayerNorm", own.add(linear(cross + "output.dense", seen))));
    }
    return linear("match_head", x.select(1, 0));
  }

  private Tensor attend(String layer, Tensor x, Tensor attentionMask) {
    String attention = layer + "attention.";
    Tensor gathered =
        attention(
            linear(attention + "self.query", x),
            linear(attention + "self.key", x),
            linear(attention + "self.value", x),
            new TensorOptional(attentionMask.unsqueeze(1).unsqueeze(1)));
    return norm(
        attention + "output.LayerNorm", x.add(linear(attention + "output.dense", gathered)));
  }

  private Tensor feed(String layer, Tensor x) {
    Tensor hidden = torch.gelu(linear(layer + "intermediate.dense", x));
    return norm(layer + "output.LayerNorm", x.add(linear(layer + "output.dense", hidden)));
  }

  private Tensor attention(Tensor query, Tensor key, Tensor value, TensorOptional mask) {
    return torch
        .scaled_dot_product_attention(
            heads(query), heads(key), heads(value), mask, 0, false, new DoubleOptional(), false)
        .transpose(1, 2)
        .reshape(query.size(0), query.size(1), config.width());
  }

  private Tensor heads(Tensor x) {
    return x.view(x.size(0), x.size(1), config.heads(), config.width() / config.heads())
        .transpose(1, 2);
  }

  private Tensor linear(String name, Tensor x) {
    return torch.linear(
        x, weights.get(name + ".weight"), new TensorOptional(weights.get(name + ".bias")));
  }

  private Tensor norm(String name, Tensor x) {
    return torch.layer_norm(
        x,
        new long[] {config.width()},
        new TensorOptional(weights.get(name + ".weight")),
        new TensorOptional(weights.get(name + ".bias")),
        config.textNormEps(),
        true);
  }
}
