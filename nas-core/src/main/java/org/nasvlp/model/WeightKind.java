package org.nasvlp.model;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.ModelConfig;

/** What a weights file holds, and so how its names are read. */
enum WeightKind {
  MODEL(
      "image_encoder.embeddings.cls_token",
      "weights exported by this library, or ALBEF's (visual_encoder.cls_token and so on)"),
  IMAGE(
      "image_encoder.embeddings.cls_token",
      "ViT or DeiT weights under HuggingFace's names (vit.embeddings.cls_token and so on) or timm's"
          + " (cls_token and so on)"),
  TEXT(
      "text_encoder.embeddings.word_embeddings.weight",
      "BERT weights under HuggingFace's names (bert.embeddings.word_embeddings.weight and so on)");

  private static final Pattern LAYER = Pattern.compile("encoder\\.layer\\.(\\d{1,4})\\.(.+)");
  private static final String MASKED_BIAS = "cls.predictions.bias";

  private final String anchor;
  private final String description;

  WeightKind(String anchor, String description) {
    this.anchor = anchor;
    this.description = description;
  }

  /** A parameter that every such file holds. */
  String anchor() {
    return anchor;
  }

  /** What such a file holds, in words. */
  String description() {
    return description;
  }

  /** The parameter that a tensor of the file belongs to, if there is one; null if none can be. */
  @Nullable String parameter(String name, WeightFile file, ModelConfig config) {
    if (file.names() != null) {
      return file.names().get(name);
    }
    return switch (this) {
      case MODEL -> name;
      case IMAGE -> "image_encoder." + without(name, "vit.", "deit.");
      case TEXT -> bert(without(name, "bert."), file, config.textLayers());
    };
  }

  private static String without(String name, String... prefixes) {
    for (String prefix : prefixes) {
      if (name.startsWith(prefix)) {
        return name.substring(prefix.length());
      }
    }
    return name;
  }

  /** The parameter that a tensor of a BERT belongs to; null if none can be. */
  static @Nullable String bert(String name, WeightFile file, int textLayers) {
    // The names that BERT's first release gave to the layer norms.
    String current =
        name.replaceFirst("LayerNorm\\.gamma$", "LayerNorm.weight")
            .replaceFirst("LayerNorm\\.beta$", "LayerNorm.bias");
    if (current.startsWith("embeddings.")) {
      return "text_encoder." + current;
    }
    if (current.startsWith("cls.predictions.transform.") || current.equals(MASKED_BIAS)) {
      return "mlm_head." + current.substring("cls.predictions.".length());
    }
    if (current.equals("cls.predictions.decoder.bias")
        && !file.tensors().containsKey(MASKED_BIAS)) {
      return "mlm_head.bias";
    }
    Matcher layer = LAYER.matcher(current);
    if (!layer.matches()) {
      return null;
    }
    int index = Integer.parseInt(layer.group(1));
    return index < textLayers
        ? "text_encoder." + current
        : "fusion_encoder.encoder.layer." + (index - textLayers) + "." + layer.group(2);
  }
}
