package org.nasvlp.model;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Files of published weights that a model's parameters are to start from; what {@link
 * NasModel#importWeights} reads. Each is a safetensors file, one that PyTorch's {@code torch.save}
 * wrote (read without executing anything), the {@code .index.json} of a sharded one, or a folder
 * with either under HuggingFace's usual name. Immutable.
 *
 * @param model weights written by {@link NasModel#exportWeights} or a checkpoint's folder, for
 *     every parameter, or a checkpoint of ALBEF or TCL; loaded first
 * @param image ViT or DeiT weights under HuggingFace's or timm's names, for the image encoder
 * @param text BERT weights under HuggingFace's names, for the text encoder (the first layers), the
 *     fusion encoder (the next ones), word embeddings and the masked-language head
 */
public record PretrainedWeights(@Nullable Path model, @Nullable Path image, @Nullable Path text) {
  /** No files. */
  public static PretrainedWeights none() {
    return new PretrainedWeights(null, null, null);
  }

  /** With weights of a whole model. */
  public PretrainedWeights withModel(Path value) {
    return new PretrainedWeights(value, image, text);
  }

  /** With weights of a ViT or DeiT. */
  public PretrainedWeights withImage(Path value) {
    return new PretrainedWeights(model, value, text);
  }

  /** With weights of a BERT. */
  public PretrainedWeights withText(Path value) {
    return new PretrainedWeights(model, image, value);
  }

  /** Whether no file is named. */
  public boolean isEmpty() {
    return model == null && image == null && text == null;
  }
}
