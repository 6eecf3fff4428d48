package org.nasvlp.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.internal.Torch;
import org.nasvlp.scoring.Embedder;

/** The contrastive embeddings of class tokens, L2-normalized, computed a chunk at a time. */
final class ContrastiveEmbedder implements Embedder {
  private static final int CHUNK = 64;

  private final Network network;
  private final ModelInputs inputs;
  private final Lifetime lifetime;

  ContrastiveEmbedder(Network network, ModelInputs inputs, Lifetime lifetime) {
    this.network = network;
    this.inputs = inputs;
    this.lifetime = lifetime;
  }

  @Override
  public float[][] images(List<RgbImage> images) {
    return embed(
        images,
        chunk -> network.projectImage(network.encodeImage(inputs.pixels(chunk)).select(1, 0)));
  }

  @Override
  public float[][] texts(List<String> captions) {
    return embed(
        captions,
        chunk -> {
          ModelInputs.Text text = inputs.text(chunk);
          Tensor features = network.encodeText(text.ids(), text.attentionMask());
          return network.projectText(features.select(1, 0));
        });
  }

  private <T> float[][] embed(List<T> all, Function<List<T>, Tensor> embed) {
    List<float[]> out = new ArrayList<>();
    try (Lifetime.Use use = lifetime.use()) {
      for (int from = 0; from < all.size(); from += CHUNK) {
        List<T> chunk = all.subList(from, Math.min(all.size(), from + CHUNK));
        try (PointerScope scope = new PointerScope();
            AutoGradMode off = Torch.withoutGradient()) {
          float[] values = ModelInputs.finite("an embedding", Torch.toFloats(embed.apply(chunk)));
          int width = values.length / chunk.size();
          for (int at = 0; at < values.length; at += width) {
            out.add(Arrays.copyOfRange(values, at, at + width));
          }
        }
      }
    }
    return out.toArray(float[][]::new);
  }
}
