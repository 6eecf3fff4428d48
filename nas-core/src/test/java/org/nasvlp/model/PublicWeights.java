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
