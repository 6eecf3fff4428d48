package org.nasvlp.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.Torch;

/** Fits published weights into parameters; tensors are made in the caller's scope. */
final class WeightImport {
  private final ModelConfig config;
  private final CaptionTokenizer tokenizer;
  private final Map<String, Tensor> parameters;
  private final TreeSet<String> missing;
  private final List<WeightReport.Source> sources = new ArrayList<>();

  /**
   * @param parameters receive the values; left half-filled after an error
   */
  WeightImport(ModelConfig config, CaptionTokenizer tokenizer, Parameters parameters) {
    this.config = config;
    this.tokenizer = tokenizer;
    this.parameters = parameters.byName();
    this.missing = new TreeSet<>(this.parameters.keySet());
  }

  WeightReport run(PretrainedWeights weights) throws IOException {
    read(WeightKind.MODEL, weights.model());
    read(WeightKind.IMAGE, weights.image());
    read(WeightKind.TEXT, weights.text());
    return new WeightReport(sources, new ArrayList<>(missing));
  }

  private void read(WeightKind kind, @Nullable Path path) throws IOException {
    if (path == null) {
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      WeightFile file = TimmNames.translated(kind, WeightFile.open(path, arena), config);
      read(new ImportedFile(kind, file, config));
    }
  }

  private void read(ImportedFile of) throws IOException {
    List<String> unexpected = new ArrayList<>();
    Map<String, String> names = match(of, unexpected);
    WeightConfigCheck.check(of);
    TokenRows rows = new TokenRows(of, tokenizer);
    for (var name : names.entrySet()) {
      load(of, name.getKey(), name.getValue(), rows, unexpected);
    }
    missing.removeAll(names.keySet());
    sources.add(
        new WeightReport.Source(
            of.file().path().toString(),
            names.keySet().stream().sorted().toList(),
            of.resized(),
            unexpected.stream().sorted().toList(),
            of.notes()));
  }

  /** The file's name of each parameter that it holds, in the file's order. */
  private Map<String, String> match(ImportedFile of, List<String> unexpected) throws IOException {
    WeightFile file = of.file();
    Map<String, String> names = new LinkedHashMap<>();
    for (String name : file.tensors().keySet()) {
      if (of.kind() == WeightKind.MODEL && name.startsWith(DictionaryFile.PREFIX)) {
        // A training starts its own from its own features.
        continue;
      }
      String parameter = of.kind().parameter(name, file, config);
      if (parameter == null || !parameters.containsKey(parameter)) {
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
    if (!names.containsKey(of.kind().anchor())) {
      List<String> some = file.tensors().keySet().stream().sorted().limit(5).toList();
      throw new IOException(
          file.path()
              + " does not hold "
              + of.kind().description()
              + "; it holds "
              + file.tensors().size()
              + " tensors"
              + (some.isEmpty() ? "" : ", such as " + String.join(", ", some)));
    }
    return names;
  }

  private void load(
      ImportedFile of, String parameter, String name, TokenRows rows, List<String> unexpected)
      throws IOException {
    Safetensors.Entry entry = Objects.requireNonNull(of.file().tensors().get(name));
    Tensor into = Objects.requireNonNull(parameters.get(parameter));
    switch (parameter) {
      case PositionFit.IMAGE -> {
        boolean distilled =
            of.kind() == WeightKind.IMAGE
                && unexpected.stream()
                    .anyMatch(
                        n ->
                            n.endsWith("embeddings.distillation_token")
                                || n.endsWith("dist_token"));
        PositionFit.grid(of, entry, name, into, distilled);
      }
      case PositionFit.TEXT -> PositionFit.text(of, entry, name, into);
      case TokenRows.WORDS, TokenRows.BIAS -> rows.load(parameter, entry, name, into);
      default -> {
        long[] shape = Torch.shape(into);
        if (!Arrays.equals(entry.shape(), shape)) {
          throw of.wrongShape(entry, name, parameter, shape);
        }
        of.copy(entry, name, into);
      }
    }
  }
}
