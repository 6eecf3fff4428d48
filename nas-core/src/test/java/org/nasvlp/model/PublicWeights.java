package org.nasvlp.model;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.nasvlp.checkpoint.Safetensors;

/** Weights under HuggingFace's names, drawn at random. */
final class PublicWeights {
  final Map<String, float[]> values = new LinkedHashMap<>();
  private final Map<String, long[]> shapes = new LinkedHashMap<>();
  private final Random random = new Random(11);

  PublicWeights add(String name, long... shape) {
    int count = 1;
    for (long size : shape) {
      count = Math.toIntExact(count * size);
    }
    float[] drawn = new float[count];
    for (int i = 0; i < count; i++) {
      drawn[i] = (float) (0.3 * random.nextGaussian());
    }
    return add(name, drawn, shape);
  }

  PublicWeights add(String name, float[] given, long... shape) {
    values.put(name, given);
    shapes.put(name, shape);
    return this;
  }

  PublicWeights remove(String name) {
    values.remove(name);
    shapes.remove(name);
    return this;
  }

  private void linear(String name, long out, long in) {
    add(name + ".weight", out, in);
    add(name + ".bias", out);
  }

  private void norm(String name, String weight, String bias, long d) {
    add(name + "." + weight, d);
    add(name + "." + bias, d);
  }

  /** A ViT, or with {@code distilled} a DeiT with its second class token. */
  static PublicWeights vit(
      String prefix, int layers, int d, int patch, int grid, boolean distilled) {
    PublicWeights weights = new PublicWeights();
    weights.add(prefix + "embeddings.cls_token", 1, 1, d);
    if (distilled) {
      weights.add(prefix + "embeddings.distillation_token", 1, 1, d);
    }
    weights.add(prefix + "embeddings.position_embeddings", 1, grid * grid + (distilled ? 2 : 1), d);
    weights.add(prefix + "embeddings.patch_embeddings.projection.weight", d, 3, patch, patch);
    weights.add(prefix + "embeddings.patch_embeddings.projection.bias", d);
    for (int i = 0; i < layers; i++) {
      String layer = prefix + "encoder.layer." + i + ".";
      for (String part : new String[] {"query", "key", "value"}) {
        weights.linear(layer + "attention.attention." + part, d, d);
      }
      weights.linear(layer + "attention.output.dense", d, d);
      weights.linear(layer + "intermediate.dense", 4L * d, d);
      weights.linear(layer + "output.dense", d, 4L * d);
      weights.norm(layer + "layernorm_before", "weight", "bias", d);
      weights.norm(layer + "layernorm_after", "weight", "bias", d);
    }
    weights.norm(prefix + "layernorm", "weight", "bias", d);
    weights.linear("classifier", 7, d);
    return weights;
  }

  /** A BERT with its pretraining heads; {@code old} with the first release's layer norm names. */
  static PublicWeights bert(
      String prefix, int layers, int d, int vocabulary, int positions, boolean old) {
    PublicWeights weights = new PublicWeights();
    String weight = old ? "gamma" : "weight";
    String bias = old ? "beta" : "bias";
    weights.add(prefix + "embeddings.word_embeddings.weight", vocabulary, d);
    weights.add(prefix + "embeddings.position_embeddings.weight", positions, d);
    weights.add(prefix + "embeddings.token_type_embeddings.weight", 2, d);
    weights.norm(prefix + "embeddings.LayerNorm", weight, bias, d);
    for (int i = 0; i < layers; i++) {
      String layer = prefix + "encoder.layer." + i + ".";
      for (String part : new String[] {"query", "key", "value"}) {
        weights.linear(layer + "attention.self." + part, d, d);
      }
      weights.linear(layer + "attention.output.dense", d, d);
      weights.norm(layer + "attention.output.LayerNorm", weight, bias, d);
      weights.linear(layer + "intermediate.dense", 4L * d, d);
      weights.linear(layer + "output.dense", d, 4L * d);
      weights.norm(layer + "output.LayerNorm", weight, bias, d);
    }
    weights.linear(prefix + "pooler.dense", d, d);
    weights.add("cls.predictions.bias", vocabulary);
    weights.linear("cls.predictions.transform.dense", d, d);
    weights.norm("cls.predictions.transform.LayerNorm", weight, bias, d);
    return weights;
  }

  /** A ViT under timm's names. */
  PublicWeights timm(String prefix, int layers, int d, int patch, int grid, boolean distilled) {
    add(prefix + "cls_token", 1, 1, d);
    if (distilled) {
      add(prefix + "dist_token", 1, 1, d);
    }
    add(prefix + "pos_embed", 1, grid * grid + (distilled ? 2 : 1), d);
    add(prefix + "patch_embed.proj.weight", d, 3, patch, patch);
    add(prefix + "patch_embed.proj.bias", d);
    for (int i = 0; i < layers; i++) {
      String layer = prefix + "blocks." + i + ".";
      norm(layer + "norm1", "weight", "bias", d);
      linear(layer + "attn.qkv", 3L * d, d);
      linear(layer + "attn.proj", d, d);
      norm(layer + "norm2", "weight", "bias", d);
      linear(layer + "mlp.fc1", 4L * d, d);
      linear(layer + "mlp.fc2", d, 4L * d);
    }
    norm(prefix + "norm", "weight", "bias", d);
    return this;
  }

  /**
   * ALBEF's pretrained network: an image encoder under timm's names, a BERT whose last layers have
   * cross-attention, heads, momentum copies and queues.
   *
   * @param layers of the image encoder; the BERT's
   * @param textLayers without cross-attention
   */
  static PublicWeights albef(
      int[] layers, int textLayers, int d, int patch, int grid, int projection, int vocabulary) {
    PublicWeights weights = new PublicWeights();
    for (String copy : new String[] {"", "_m"}) {
      weights.timm("visual_encoder" + copy + ".", layers[0], d, patch, grid, false);
      String text = "text_encoder" + copy + ".";
      PublicWeights bert =
          bert(text + "bert.", layers[1], d, vocabulary, 12, false)
              .remove(text + "bert.pooler.dense.weight")
              .remove(text + "bert.pooler.dense.bias");
      bert.shapes.forEach(
          (name, shape) -> weights.add(name.startsWith("cls.") ? text + name : name, shape));
      weights.add(text + "cls.predictions.decoder.weight", vocabulary, d);
      weights.add(text + "cls.predictions.decoder.bias", vocabulary);
      for (int i = textLayers; i < layers[1]; i++) {
        String layer = text + "bert.encoder.layer." + i + ".crossattention.";
        for (String part : new String[] {"query", "key", "value"}) {
          weights.linear(layer + "self." + part, d, d);
        }
        weights.linear(layer + "output.dense", d, d);
        weights.norm(layer + "output.LayerNorm", "weight", "bias", d);
      }
      weights.linear("vision_proj" + copy, projection, d);
      weights.linear("text_proj" + copy, projection, d);
    }
    weights.linear("itm_head", 2, d);
    weights.add("temp", new float[] {0.07f});
    weights.add("image_queue", projection, 6);
    weights.add("text_queue", projection, 6);
    weights.add("queue_ptr", 1);
    return weights;
  }

  Map<String, Safetensors.Entry> entries() {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    values.forEach(
        (name, floats) ->
            entries.put(
                name,
                new Safetensors.Entry(
                    Safetensors.Type.F32,
                    shapes.get(name),
                    MemorySegment.ofArray(
                        MemorySegment.ofArray(floats).toArray(ValueLayout.JAVA_BYTE)))));
    return entries;
  }

  Path write(Path file) throws IOException {
    Files.createDirectories(file.getParent());
    Files.deleteIfExists(file);
    Safetensors.write(file, entries());
    return file;
  }
}
