package org.nasvlp.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.Torch;
import tools.jackson.databind.JsonNode;

/** Fits published weights into parameters; tensors are made in the caller's scope. */
final class WeightImport {
  /** What a file holds, and so how its names are read. */
  private enum Kind {
    MODEL("log_temperature", "weights exported by this library"),
    IMAGE(
        "image_encoder.embeddings.cls_token",
        "ViT or DeiT weights under HuggingFace's names (vit.embeddings.cls_token and so on)"),
    TEXT(
        "text_encoder.embeddings.word_embeddings.weight",
        "BERT weights under HuggingFace's names (bert.embeddings.word_embeddings.weight and so"
            + " on)");

    /** A parameter that every such file holds. */
    private final String anchor;

    private final String description;

    Kind(String anchor, String description) {
      this.anchor = anchor;
      this.description = description;
    }
  }

  private static final String IMAGE_POSITIONS = "image_encoder.embeddings.position_embeddings";
  private static final String TEXT_POSITIONS = "text_encoder.embeddings.position_embeddings.weight";
  private static final Set<String> BY_TOKEN =
      Set.of("text_encoder.embeddings.word_embeddings.weight", "mlm_head.bias");
  private static final Pattern LAYER = Pattern.compile("encoder\\.layer\\.(\\d{1,4})\\.(.+)");

  private final ModelConfig config;
  private final CaptionTokenizer tokenizer;
  private final Parameters parameters;
  private final Set<String> missing;
  private final List<WeightReport.Source> sources = new ArrayList<>();

  /**
   * @param parameters receive the values; left half-filled after an error
   */
  WeightImport(ModelConfig config, CaptionTokenizer tokenizer, Parameters parameters) {
    this.config = config;
    this.tokenizer = tokenizer;
    this.parameters = parameters;
    this.missing = new TreeSet<>(parameters.byName().keySet());
  }

  WeightReport run(PretrainedWeights weights) throws IOException {
    read(Kind.MODEL, weights.model());
    read(Kind.IMAGE, weights.image());
    read(Kind.TEXT, weights.text());
    return new WeightReport(sources, new ArrayList<>(missing));
  }

  private void read(Kind kind, @Nullable Path path) throws IOException {
    if (path == null) {
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      new FileImport(kind, WeightFile.open(path, arena)).run();
    }
  }

  /** One file. */
  private final class FileImport {
    private final Kind kind;
    private final WeightFile file;
    private final Map<String, String> names = new LinkedHashMap<>();
    private final List<String> unexpected = new ArrayList<>();
    private final List<WeightReport.Resized> resized = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();
    private int @Nullable [] tokenRows;

    FileImport(Kind kind, WeightFile file) {
      this.kind = kind;
      this.file = file;
    }

    void run() throws IOException {
      match();
      if (kind == Kind.MODEL) {
        checkOwnConfig();
      } else {
        checkPublicConfig();
      }
      if (kind == Kind.IMAGE) {
        checkPixels();
      }
      for (var name : names.entrySet()) {
        load(name.getKey(), name.getValue());
      }
      missing.removeAll(names.keySet());
      sources.add(
          new WeightReport.Source(
              file.path().toString(),
              names.keySet().stream().sorted().toList(),
              resized,
              unexpected.stream().sorted().toList(),
              notes));
    }

    private void match() throws IOException {
      for (String name : file.tensors().keySet()) {
        String parameter =
            switch (kind) {
              case MODEL -> name;
              case IMAGE -> "image_encoder." + without(name, "vit.", "deit.");
              case TEXT -> textParameter(without(name, "bert."));
            };
        if (parameter == null || !parameters.byName().containsKey(parameter)) {
          unexpected.add(name);
          continue;
        }
        String other = names.putIfAbsent(parameter, name);
        if (other != null) {
          throw new IOException(
              file.path()
                  + " holds "
                  + parameter
                  + " twice, as "
                  + other
                  + " and as "
                  + name
                  + ": leave one of them out");
        }
      }
      if (!names.containsKey(kind.anchor)) {
        List<String> some = file.tensors().keySet().stream().sorted().limit(5).toList();
        throw new IOException(
            file.path()
                + " does not hold "
                + kind.description
                + "; it holds "
                + file.tensors().size()
                + " tensors"
                + (some.isEmpty() ? "" : ", such as " + String.join(", ", some)));
      }
    }

    private static String without(String name, String... prefixes) {
      for (String prefix : prefixes) {
        if (name.startsWith(prefix)) {
          return name.substring(prefix.length());
        }
      }
      return name;
    }

    /** The parameter that a BERT tensor belongs to, its {@code bert.} taken off; null if none. */
    private @Nullable String textParameter(String name) {
      // The names that BERT's first release gave to the layer norms.
      String current =
          name.replaceFirst("LayerNorm\\.gamma$", "LayerNorm.weight")
              .replaceFirst("LayerNorm\\.beta$", "LayerNorm.bias");
      if (current.startsWith("embeddings.")) {
        return "text_encoder." + current;
      }
      if (current.startsWith("cls.predictions.transform.")
          || current.equals("cls.predictions.bias")) {
        return "mlm_head." + current.substring("cls.predictions.".length());
      }
      if (current.equals("cls.predictions.decoder.bias")
          && !file.tensors().containsKey("cls.predictions.bias")) {
        return "mlm_head.bias";
      }
      Matcher layer = LAYER.matcher(current);
      if (!layer.matches()) {
        return null;
      }
      int index = Integer.parseInt(layer.group(1));
      int text = config.textLayers();
      return index < text
          ? "text_encoder." + current
          : "fusion_encoder.encoder.layer." + (index - text) + "." + layer.group(2);
    }

    /** Shapes do not tell heads, epsilon and activation: the file beside the weights does. */
    private void checkPublicConfig() throws IOException {
      Path path = file.folder().resolve("config.json");
      if (!Files.isRegularFile(path)) {
        notes.add(
            "there is no config.json beside it: heads, layer_norm_eps and activation could not be"
                + " checked");
        return;
      }
      JsonNode found = WeightFile.json(path);
      List<String> faults = new ArrayList<>();
      List<String> types = kind == Kind.IMAGE ? List.of("vit", "deit") : List.of("bert");
      String type = found.path("model_type").asString(types.getFirst());
      if (!types.contains(type)) {
        faults.add("model_type is " + type + ": only " + String.join(" and ", types) + " fit");
      }
      // What the file leaves out has the defaults of HuggingFace's configurations.
      int heads = found.path("num_attention_heads").asInt(12);
      if (heads != config.heads()) {
        faults.add(
            "num_attention_heads is "
                + heads
                + ", model.heads is "
                + config.heads()
                + ": set model.heads to "
                + heads);
      }
      String activation = found.path("hidden_act").asString("gelu");
      if (!activation.equals("gelu")) {
        faults.add(
            "hidden_act is "
                + activation
                + ": this model computes gelu by the error function only; take other weights");
      }
      String positions = found.path("position_embedding_type").asString("absolute");
      if (!positions.equals("absolute")) {
        faults.add("position_embedding_type is " + positions + ": only absolute fits");
      }
      double eps = found.path("layer_norm_eps").asDouble(1e-12);
      String field = kind == Kind.IMAGE ? "model.imageNormEps" : "model.textNormEps";
      double own = kind == Kind.IMAGE ? config.imageNormEps() : config.textNormEps();
      if (eps != own) {
        faults.add(
            "layer_norm_eps is "
                + eps
                + ", "
                + field
                + " is "
                + own
                + ": set "
                + field
                + " to "
                + eps);
      }
      if (!faults.isEmpty()) {
        throw new IOException(
            path + " does not fit the model's configuration: " + String.join("; ", faults));
      }
    }

    private void checkPixels() throws IOException {
      Path path = file.folder().resolve("preprocessor_config.json");
      if (!Files.isRegularFile(path)) {
        return;
      }
      JsonNode found = WeightFile.json(path);
      for (String field : List.of("image_mean", "image_std")) {
        for (JsonNode value : found.path(field)) {
          if (value.asDouble(0.5) != 0.5) {
            notes.add(
                "it was trained on pixels of another scale ("
                    + field
                    + " is "
                    + found.path(field)
                    + ", here 0.5): its features differ until training has adapted them");
            break;
          }
        }
      }
    }

    private void checkOwnConfig() throws IOException {
      String json = file.metadata().get(NasModel.CONFIG_METADATA);
      if (json == null) {
        json = file.beside("config.json");
      }
      if (json == null) {
        notes.add("it carries no configuration: heads and norm epsilons could not be checked");
        return;
      }
      ModelConfig other;
      try {
        other = NasConfig.fromJson(json, file.path() + " (its configuration)").model();
      } catch (IllegalArgumentException e) {
        throw new IOException(e.getMessage(), e);
      }
      List<String> faults = new ArrayList<>();
      compare(faults, "model.heads", other.heads(), config.heads());
      compare(faults, "model.imageNormEps", other.imageNormEps(), config.imageNormEps());
      compare(faults, "model.textNormEps", other.textNormEps(), config.textNormEps());
      compare(faults, "model.fusionInput", other.fusionInput(), config.fusionInput());
      if (!faults.isEmpty()) {
        throw new IOException(
            file.path()
                + " does not fit the model's configuration: "
                + String.join("; ", faults)
                + ": set the same values");
      }
    }

    private static void compare(List<String> faults, String field, Object theirs, Object own) {
      if (!theirs.equals(own)) {
        faults.add(field + " is " + theirs + " there and " + own + " here");
      }
    }

    private void load(String parameter, String name) throws IOException {
      Safetensors.Entry entry = Objects.requireNonNull(file.tensors().get(name));
      Tensor into = parameters.get(parameter);
      long[] shape = Torch.shape(into);
      if (parameter.equals(IMAGE_POSITIONS)) {
        loadGrid(entry, name, into, shape);
      } else if (parameter.equals(TEXT_POSITIONS)) {
        loadTextPositions(entry, name, into, shape);
      } else if (BY_TOKEN.contains(parameter)) {
        loadByToken(parameter, entry, name, into, shape);
      } else if (Arrays.equals(entry.shape(), shape)) {
        copy(entry, name, into);
      } else {
        throw wrongShape(entry, name, parameter, shape);
      }
    }

    private void copy(Safetensors.Entry entry, String name, Tensor into) throws IOException {
      MemorySegment floats = Torch.segment(into);
      try {
        entry.copyFloats(floats);
      } catch (IllegalArgumentException e) {
        throw new IOException(
            file.path() + ": tensor " + name + ": " + e.getMessage() + "; convert the file", e);
      }
      long count = entry.count();
      for (long i = 0; i < count; i++) {
        if (!Float.isFinite(floats.getAtIndex(ValueLayout.JAVA_FLOAT, i))) {
          throw new IOException(
              file.path()
                  + ": tensor "
                  + name
                  + " holds a NaN or an infinity at element "
                  + i
                  + ": the file is damaged, or its training had failed");
        }
      }
    }

    private Tensor values(Safetensors.Entry entry, String name) throws IOException {
      Tensor values = Torch.empty(torch.ScalarType.Float, entry.shape());
      copy(entry, name, values);
      return values;
    }

    private IOException wrongShape(
        Safetensors.Entry entry, String name, String parameter, long[] shape) {
      return new IOException(
          file.path()
              + ": tensor "
              + name
              + " has the shape "
              + Arrays.toString(entry.shape())
              + ", the model's "
              + parameter
              + " "
              + Arrays.toString(shape)
              + ": take weights of model.width "
              + config.width()
              + " and model.patchSize "
              + config.patchSize()
              + ", or set these fields to the weights' sizes");
    }

    private void resized(String parameter, Safetensors.Entry entry, long[] shape, String how) {
      resized.add(
          new WeightReport.Resized(
              parameter,
              Arrays.stream(entry.shape()).boxed().toList(),
              Arrays.stream(shape).boxed().toList(),
              how));
    }

    /** The class token's position stays; those of the patches are interpolated to the grid. */
    private void loadGrid(Safetensors.Entry entry, String name, Tensor into, long[] shape)
        throws IOException {
      boolean distilled =
          kind == Kind.IMAGE
              && unexpected.stream().anyMatch(n -> n.endsWith("embeddings.distillation_token"));
      int first = distilled ? 2 : 1;
      if (distilled) {
        notes.add(
            "the distillation token and its position embedding are left out: the model has none");
      }
      long[] given = entry.shape();
      long d = config.width();
      if (given.length != 3 || given[0] != 1 || given[1] <= first || given[2] != d) {
        throw wrongShape(entry, name, IMAGE_POSITIONS, shape);
      }
      long patches = given[1] - first;
      long from = Math.round(Math.sqrt((double) patches));
      if (from * from != patches) {
        throw new IOException(
            file.path()
                + ": tensor "
                + name
                + " has positions of "
                + patches
                + " patches, which are no square grid: take weights of a ViT for square images");
      }
      if (Arrays.equals(given, shape)) {
        copy(entry, name, into);
        return;
      }
      long to = config.grid();
      Tensor all = values(entry, name).view(given[1], d);
      Tensor grid = all.narrow(0, first, patches);
      if (from != to) {
        grid =
            torch
                .upsample_bicubic2d(
                    grid.view(1, from, from, d).permute(0, 3, 1, 2).contiguous(),
                    new long[] {to, to},
                    false,
                    new org.bytedeco.pytorch.DoubleOptional(),
                    new org.bytedeco.pytorch.DoubleOptional())
                .permute(0, 2, 3, 1)
                .reshape(to * to, d);
      }
      into.copy_(Torch.cat(0, all.narrow(0, 0, 1), grid).unsqueeze(0));
      resized(
          IMAGE_POSITIONS,
          entry,
          shape,
          from == to
              ? "distillation position left out"
              : "grid %d x %d to %d x %d, bicubic".formatted(from, from, to, to));
    }

    private void loadTextPositions(Safetensors.Entry entry, String name, Tensor into, long[] shape)
        throws IOException {
      long[] given = entry.shape();
      if (given.length != 2 || given[1] != shape[1]) {
        throw wrongShape(entry, name, TEXT_POSITIONS, shape);
      }
      if (given[0] < shape[0]) {
        throw new IOException(
            file.path()
                + ": tensor "
                + name
                + " has "
                + given[0]
                + " positions, model.textTokens is "
                + shape[0]
                + ": set model.textTokens to "
                + given[0]
                + " or less");
      }
      into.copy_(values(entry, name).narrow(0, 0, shape[0]));
      if (given[0] > shape[0]) {
        resized(TEXT_POSITIONS, entry, shape, "the first positions");
      }
    }

    private void loadByToken(
        String parameter, Safetensors.Entry entry, String name, Tensor into, long[] shape)
        throws IOException {
      long[] given = entry.shape();
      if (given.length != shape.length
          || given[0] < 1
          || !Arrays.equals(given, 1, given.length, shape, 1, shape.length)) {
        throw wrongShape(entry, name, parameter, shape);
      }
      int[] rows = tokenRows(name, given[0], shape[0]);
      Tensor all = values(entry, name);
      boolean same = given[0] == shape[0];
      long each = into.numel() / shape[0] * Float.BYTES;
      MemorySegment source = Torch.segment(all);
      MemorySegment target = Torch.segment(into);
      for (int i = 0; i < rows.length; i++) {
        same &= rows[i] == i;
        if (rows[i] >= 0) {
          MemorySegment.copy(source, rows[i] * each, target, i * each, each);
        }
      }
      if (!same) {
        resized(parameter, entry, shape, "rows by token");
      }
    }

    /**
     * For each id of the tokenizer the file's row of the same token, -1 if it has none.
     *
     * @param rows the file's
     * @param size the tokenizer's
     */
    private int[] tokenRows(String name, long rows, long size) throws IOException {
      if (tokenRows != null) {
        if (Arrays.stream(tokenRows).anyMatch(row -> row >= rows)) {
          throw new IOException(
              file.path()
                  + ": tensor "
                  + name
                  + " has only "
                  + rows
                  + " rows, fewer than the word"
                  + " embeddings or the vocabulary beside them");
        }
        return tokenRows;
      }
      int[] result = new int[Math.toIntExact(size)];
      Map<String, Integer> theirs = vocabulary();
      if (theirs == null) {
        if (rows != size) {
          throw new IOException(
              file.path()
                  + ": tensor "
                  + name
                  + " has "
                  + rows
                  + " rows, the tokenizer "
                  + size
                  + " tokens: put the weights' own vocab.txt or tokenizer.json beside the file, so"
                  + " that rows are matched by token, or train with that tokenizer");
        }
        notes.add(
            "there is no vocab.txt or tokenizer.json beside it: its word embeddings are taken to be"
                + " in the order of the tokenizer's ids");
        Arrays.setAll(result, i -> i);
      } else {
        Arrays.fill(result, -1);
        TreeSet<String> absent = new TreeSet<>();
        for (var token : tokenizer.vocabulary().entrySet()) {
          int row = theirs.getOrDefault(token.getKey(), -1);
          if (row >= rows) {
            throw new IOException(
                file.path()
                    + ": the vocabulary beside it gives the token "
                    + token.getKey()
                    + " the id "
                    + row
                    + ", tensor "
                    + name
                    + " has only "
                    + rows
                    + " rows: it belongs to other weights");
          }
          result[token.getValue()] = row;
          if (row < 0) {
            absent.add(token.getKey());
          }
        }
        if (absent.size() == tokenizer.vocabulary().size()) {
          throw new IOException(
              file.path()
                  + ": the vocabulary beside it has no token of the tokenizer; take the tokenizer"
                  + " of the weights");
        }
        if (!absent.isEmpty()) {
          notes.add(
              "%d of the tokenizer's %d tokens are not in its vocabulary, their embeddings stay as initialised: %s%s"
                  .formatted(
                      absent.size(),
                      tokenizer.vocabulary().size(),
                      String.join(", ", absent.stream().limit(20).toList()),
                      absent.size() > 20 ? ", ..." : ""));
        }
      }
      tokenRows = result;
      return result;
    }

    /** Tokens of the file's own vocabulary with their rows; null if it is not at hand. */
    private @Nullable Map<String, Integer> vocabulary() throws IOException {
      String own = file.metadata().get(NasModel.TOKENIZER_METADATA);
      if (own != null) {
        return CaptionTokenizer.vocabulary(file.path(), own);
      }
      String lines = file.beside("vocab.txt");
      if (lines != null && kind == Kind.TEXT) {
        Map<String, Integer> ids = new HashMap<>();
        for (String line : lines.lines().toList()) {
          ids.put(line, ids.size());
        }
        return ids;
      }
      String json = file.beside("tokenizer.json");
      return json == null
          ? null
          : CaptionTokenizer.vocabulary(file.folder().resolve("tokenizer.json"), json);
    }
  }
}
