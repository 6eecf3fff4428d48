package org.nasvlp.model;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.config.ModelConfig;

/**
 * Weights under the names of timm's ViT ({@code blocks.0.attn.qkv.weight}), which those of DeiT,
 * MAE, DINO and AugReg have too, and those of ALBEF and TCL (Li et al., arXiv 2107.07651; Yang et
 * al., arXiv 2202.10401), whose image encoder is one of timm's and whose text and fusion encoders
 * are one BERT.
 */
final class TimmNames {
  private static final String PATCHES = "patch_embed.proj.weight";
  private static final String ALBEF = "visual_encoder.";
  private static final String ALBEF_TEXT = "text_encoder.";
  private static final Pattern BLOCK = Pattern.compile("blocks\\.(\\d{1,4})\\.(.+)");
  private static final Pattern CROSS =
      Pattern.compile(
          "text_encoder\\.(?:bert\\.)?encoder\\.layer\\.(\\d{1,4})\\.crossattention\\..+");

  /** A training has its own of these, or they repeat others. */
  private static final Pattern LEFT_OUT =
      Pattern.compile(
          ".*_m(\\..+)?|(image|text|idx)_queue|queue_ptr|ptr_queue"
              + "|text_encoder\\.(bert\\.)?embeddings\\.position_ids"
              + "|text_encoder\\.cls\\.predictions\\.decoder\\.(weight|bias)");

  /** Layers that this library's ViT does not have, by a part of their names. */
  private static final Pattern OTHER_LAYERS =
      Pattern.compile(
          "blocks\\.\\d+\\.(ls1|ls2|gamma_1|gamma_2|attn\\.[qk]_norm)\\b.*|norm_pre\\..+");

  private static final Map<String, String> TOP =
      Map.of(
          "cls_token", "embeddings.cls_token",
          "dist_token", "embeddings.distillation_token",
          "pos_embed", "embeddings.position_embeddings",
          "patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight",
          "patch_embed.proj.bias", "embeddings.patch_embeddings.projection.bias",
          "norm.weight", "layernorm.weight",
          "norm.bias", "layernorm.bias");

  private static final Map<String, String> IN_BLOCK =
      Map.of(
          "norm1", "layernorm_before",
          "norm2", "layernorm_after",
          "attn.proj", "attention.output.dense",
          "mlp.fc1", "intermediate.dense",
          "mlp.fc2", "output.dense");

  private static final Map<String, String> HEADS =
      Map.of(
          "vision_proj.weight", "image_projection.weight",
          "vision_proj.bias", "image_projection.bias",
          "text_proj.weight", "text_projection.weight",
          "text_proj.bias", "text_projection.bias",
          "itm_head.weight", "match_head.weight",
          "itm_head.bias", "match_head.bias");

  /** What ALBEF takes off the pixels' 0..1 and divides by: the mean and deviation of CLIP. */
  private static final double[] MEAN = {0.48145466, 0.4578275, 0.40821073};

  private static final double[] DEVIATION = {0.26862954, 0.26130258, 0.27577711};

  private final WeightFile file;
  private final ModelConfig config;
  private final Map<String, Safetensors.Entry> tensors = new LinkedHashMap<>();
  private final Map<String, String> names = new LinkedHashMap<>();
  private final List<String> notes;
  private int leftOut;

  private TimmNames(WeightFile file, ModelConfig config) {
    this.file = file;
    this.config = config;
    notes = new ArrayList<>(file.notes());
  }

  /**
   * The file with the parameter of each tensor; the file itself if it has other names.
   *
   * @throws IOException if it has layers that the model lacks
   */
  static WeightFile translated(WeightKind kind, WeightFile file, ModelConfig config)
      throws IOException {
    boolean albef =
        file.tensors().containsKey(ALBEF + PATCHES)
            && file.tensors().keySet().stream().anyMatch(name -> name.startsWith(ALBEF_TEXT));
    TimmNames translation = new TimmNames(file, config);
    if (kind == WeightKind.MODEL && albef) {
      translation.albef();
      return translation.result();
    }
    Optional<String> prefix =
        file.tensors().keySet().stream()
            .filter(name -> name.endsWith(PATCHES))
            .map(name -> name.substring(0, name.length() - PATCHES.length()))
            .min(Comparator.comparingInt(String::length));
    if (kind != WeightKind.IMAGE || prefix.isEmpty()) {
      return file;
    }
    translation.image(prefix.get());
    if (albef) {
      translation.fitPixels();
    } else {
      translation.notes.add(
          "timm's names do not tell the scale of pixels: they are taken to be trained on -1..1"
              + " (mean and deviation 0.5, as AugReg's); DeiT's, MAE's and DINO's features differ"
              + " until training has adapted them");
    }
    return translation.result();
  }

  private WeightFile result() {
    if (leftOut > 0) {
      notes.add(
          leftOut
              + " tensors are left out: momentum encoders and queues, which a training starts"
              + " anew, and what repeats others");
    }
    return new WeightFile(
        file.path(), file.folder(), tensors, file.metadata(), List.copyOf(notes), names);
  }

  private void image(String prefix) throws IOException {
    for (var tensor : file.tensors().entrySet()) {
      String name = tensor.getKey();
      if (name.startsWith(prefix)) {
        vit(prefix, name.substring(prefix.length()), tensor.getValue());
      } else {
        tensors.put(name, tensor.getValue());
      }
    }
  }

  private void albef() throws IOException {
    checkSplit();
    for (var tensor : file.tensors().entrySet()) {
      String name = tensor.getKey();
      Safetensors.Entry entry = tensor.getValue();
      if (LEFT_OUT.matcher(name).matches()) {
        leftOut++;
      } else if (name.startsWith(ALBEF)) {
        vit(ALBEF, name.substring(ALBEF.length()), entry);
      } else if (name.startsWith(ALBEF_TEXT)) {
        String bert = name.substring(ALBEF_TEXT.length());
        put(
            name,
            entry,
            WeightKind.bert(
                bert.startsWith("bert.") ? bert.substring(5) : bert, file, config.textLayers()));
      } else if (name.equals("temp")) {
        temperature(entry);
      } else {
        put(name, entry, HEADS.get(name));
      }
    }
    fitPixels();
  }

  /** Shapes do not tell where a BERT's layers begin to look at images: cross-attention does. */
  private void checkSplit() throws IOException {
    int first =
        file.tensors().keySet().stream()
            .map(CROSS::matcher)
            .filter(Matcher::matches)
            .mapToInt(layer -> Integer.parseInt(layer.group(1)))
            .min()
            .orElse(config.textLayers());
    if (first != config.textLayers()) {
      throw new IOException(
          file.path()
              + ": cross-attention begins at layer "
              + first
              + " of its text encoder, model.textLayers is "
              + config.textLayers()
              + (first == 0
                  ? ": these are not ALBEF's or TCL's weights, and do not fit"
                  : ": set model.textLayers to " + first));
    }
  }

  private void vit(String prefix, String name, Safetensors.Entry entry) throws IOException {
    if (OTHER_LAYERS.matcher(name).matches()) {
      throw new IOException(
          file.path()
              + ": tensor "
              + prefix
              + name
              + " belongs to a layer that this library's ViT lacks, without which the others mean"
              + " nothing: take weights of a plain ViT");
    }
    String own = TOP.get(name);
    Matcher block = BLOCK.matcher(name);
    if (own == null && block.matches()) {
      String layer = "encoder.layer." + Integer.parseInt(block.group(1)) + ".";
      String part = block.group(2);
      int dot = part.lastIndexOf('.');
      String kind = part.substring(dot + 1);
      String module = dot < 0 ? part : part.substring(0, dot);
      if (module.equals("attn.qkv") && entry.shape().length > 0 && entry.shape()[0] % 3 == 0) {
        split(prefix + name, entry, layer + "attention.attention.", kind);
        return;
      }
      // One that cannot be split has the wrong shape for any of its parts.
      String inner = module.equals("attn.qkv") ? "attention.attention.query" : IN_BLOCK.get(module);
      own = inner == null ? null : layer + inner + "." + kind;
    }
    put(prefix + name, entry, own == null ? null : "image_encoder." + own);
  }

  /** Queries, keys and values are one matrix of 3d rows, or one vector. */
  private void split(String name, Safetensors.Entry entry, String layer, String kind) {
    long[] shape = entry.shape().clone();
    shape[0] /= 3;
    long bytes = entry.data().byteSize() / 3;
    List<String> parts = List.of("query", "key", "value");
    for (int i = 0; i < parts.size(); i++) {
      put(
          name + " (" + parts.get(i) + ")",
          new Safetensors.Entry(entry.type(), shape, entry.data().asSlice(i * bytes, bytes)),
          "image_encoder." + layer + parts.get(i) + "." + kind);
    }
  }

  private void put(String name, Safetensors.Entry entry, @Nullable String parameter) {
    tensors.put(name, entry);
    if (parameter != null) {
      names.put(name, parameter);
    }
  }

  /** ALBEF keeps the temperature itself. */
  private void temperature(Safetensors.Entry entry) throws IOException {
    float[] value = floats("temp", entry);
    for (int i = 0; i < value.length; i++) {
      value[i] = (float) Math.log(value[i]);
    }
    long[] shape = value.length == 1 ? new long[] {1} : entry.shape();
    put("temp", entry(value, shape), "log_temperature");
  }

  /**
   * Folds ALBEF's scale of pixels into the patch projection, exactly: with p = (x + 1) / 2 in 0..1
   * of a pixel x in -1..1, (p - mean) / deviation = x / (2 deviation) + (1 - 2 mean) / (2
   * deviation).
   */
  private void fitPixels() throws IOException {
    String bias = "visual_encoder.patch_embed.proj.bias";
    Safetensors.Entry kernel = tensors.get(ALBEF + PATCHES);
    Safetensors.Entry offset = tensors.get(bias);
    if (kernel == null || offset == null || kernel.shape().length != 4 || kernel.shape()[1] != 3) {
      return;
    }
    float[] weights = floats(ALBEF + PATCHES, kernel);
    float[] offsets = floats(bias, offset);
    int width = Math.toIntExact(kernel.shape()[0]);
    if (offsets.length != width) {
      return;
    }
    int area = width == 0 ? 0 : weights.length / width / 3;
    for (int out = 0; out < width; out++) {
      double sum = offsets[out];
      for (int c = 0; c < 3; c++) {
        for (int k = 0; k < area; k++) {
          int at = (out * 3 + c) * area + k;
          double scaled = weights[at] / (2 * DEVIATION[c]);
          sum += scaled * (1 - 2 * MEAN[c]);
          weights[at] = (float) scaled;
        }
      }
      offsets[out] = (float) sum;
    }
    tensors.put(ALBEF + PATCHES, entry(weights, kernel.shape()));
    tensors.put(bias, entry(offsets, offset.shape()));
    notes.add(
        "its patch projection, trained on pixels of CLIP's mean and deviation, is fitted to this"
            + " library's -1..1");
  }

  private float[] floats(String name, Safetensors.Entry entry) throws IOException {
    float[] out = new float[Math.toIntExact(entry.count())];
    try {
      byte[] bytes = new byte[Math.multiplyExact(out.length, Float.BYTES)];
      MemorySegment memory = MemorySegment.ofArray(bytes);
      entry.copyFloats(memory);
      MemorySegment.copy(memory, ValueLayout.JAVA_FLOAT_UNALIGNED, 0, out, 0, out.length);
    } catch (IllegalArgumentException e) {
      throw new IOException(file.path() + ": tensor " + name + ": " + e.getMessage(), e);
    }
    return out;
  }

  private static Safetensors.Entry entry(float[] values, long[] shape) {
    byte[] bytes = MemorySegment.ofArray(values).toArray(ValueLayout.JAVA_BYTE);
    return new Safetensors.Entry(Safetensors.Type.F32, shape, MemorySegment.ofArray(bytes));
  }
}
