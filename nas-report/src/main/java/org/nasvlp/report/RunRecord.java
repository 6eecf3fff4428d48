package org.nasvlp.report;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.eval.EvaluationReport;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * What a run has left in its folder: {@code log.jsonl}, the configuration in its newest checkpoint,
 * and {@code run.json}, which the command writes at a run's end. Immutable, and safe to share
 * between threads.
 */
public final class RunRecord {
  static final String LOG = "log.jsonl";
  static final String SUMMARY = "run.json";

  private static final JsonMapper JSON =
      JsonMapper.builder().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES).build();

  /**
   * An evaluation.
   *
   * @param step steps done
   * @param seconds of the run so far
   * @param report on the fine-grained benchmark; null without one
   * @param benchmarks headline of each published benchmark, by name and way of scoring
   * @param metrics of the program's own, by name; not finite where one had no value
   */
  record Evaluated(
      long step,
      double seconds,
      @Nullable EvaluationReport report,
      Map<String, Double> benchmarks,
      Map<String, Double> metrics) {}

  /**
   * What the probe of hard negative images found.
   *
   * @param step steps done
   * @param images hard negatives
   * @param accuracy share of images that are told right; chance 1/2
   */
  record Probed(long step, int images, double accuracy) {}

  private final Path folder;
  private final StepTable steps = new StepTable();
  private final List<Evaluated> evaluations = new ArrayList<>();
  private final List<Probed> probes = new ArrayList<>();
  private final List<String> failedBatches = new ArrayList<>();
  private final CodewordHistory codewords = new CodewordHistory();
  private final Map<String, Double> epochs = new LinkedHashMap<>();
  private long planned;
  private double seconds;
  private int unreadableLines;
  private @Nullable NasConfig config;
  private JsonNode summary = JsonNodeFactory.instance.missingNode();

  private RunRecord(Path folder) {
    this.folder = folder;
  }

  /**
   * Reads a run, finished or not: one that still trains may be read too.
   *
   * @param folder what the run was given as {@code --out}
   * @throws IOException naming the folder, if it holds no run; or the file that cannot be read
   */
  public static RunRecord read(Path folder) throws IOException {
    Path log = folder.resolve(LOG);
    if (!Files.isRegularFile(log)) {
      throw new IOException(
          folder
              + (Files.isDirectory(folder)
                  ? ": holds no " + LOG + "; give the folder that a training had as --out"
                  : ": is not a folder; give the folder that a training had as --out"));
    }
    RunRecord run = new RunRecord(folder);
    try (BufferedReader lines = Files.newBufferedReader(log, StandardCharsets.UTF_8)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        run.add(line);
      }
    }
    run.readConfig();
    Path summary = folder.resolve(SUMMARY);
    if (Files.isRegularFile(summary)) {
      try {
        run.summary = JSON.readTree(summary);
      } catch (JacksonException e) {
        throw new IOException(summary + ": not JSON; remove it, and the report does without", e);
      }
    }
    try (DirectoryStream<Path> failed =
        Files.newDirectoryStream(folder, "not-finite-step-*.json")) {
      failed.forEach(file -> run.failedBatches.add(file.getFileName().toString()));
    }
    return run;
  }

  private void readConfig() throws IOException {
    Path checkpoints = folder.resolve("checkpoints");
    List<Path> all = new ArrayList<>();
    if (Files.isDirectory(checkpoints)) {
      try (DirectoryStream<Path> steps = Files.newDirectoryStream(checkpoints, "step-*")) {
        steps.forEach(all::add);
      }
    }
    all.sort(null);
    for (Path checkpoint : all.reversed()) {
      Path file = checkpoint.resolve("config.json");
      if (Files.isRegularFile(file)) {
        config = NasConfig.fromJson(Files.readString(file), file.toString());
        return;
      }
    }
  }

  private void add(String line) {
    if (line.isBlank()) {
      return;
    }
    JsonNode node;
    try {
      node = JSON.readTree(line);
    } catch (JacksonException e) {
      // The last line of a run that was killed, or is being written, may be half of one.
      unreadableLines++;
      return;
    }
    String kind = node.path("kind").asString("");
    JsonNode event = node.path(kind);
    double at = node.path("seconds").asDouble(0);
    long step = event.path("step").asLong(0);
    seconds = Math.max(seconds, at);
    switch (kind) {
      case "step" -> addStep(event, at);
      case "epoch" -> epochs.put(Long.toString(step), event.path("perplexity").asDouble(0));
      case "codeword_use" -> addUse(event, step);
      case "evaluation" -> addEvaluation(event, step, at);
      case "artefact_probe" ->
          probes.add(
              new Probed(
                  step,
                  event.path("result").path("images").asInt(0),
                  event.path("result").path("accuracy").asDouble(0)));
      default -> {
        // Such as traces, which need the pictures too.
      }
    }
  }

  private void addUse(JsonNode event, long step) {
    JsonNode shares = event.path("perMillion");
    int[] perMillion = new int[shares.size()];
    for (int i = 0; i < perMillion.length; i++) {
      perMillion[i] = shares.path(i).asInt(0);
    }
    codewords.add(step, perMillion);
  }

  private void addStep(JsonNode step, double at) {
    planned = Math.max(planned, step.path("steps").asLong(0));
    Map<String, Double> row = new LinkedHashMap<>();
    put(row, StepTable.STEP, step.path("step"));
    row.put("seconds", at);
    put(row, "loss", step.path("loss"));
    putAll(row, "loss ", step.path("losses"));
    put(row, "learning rate", step.path("learningRate"));
    put(row, "gradient norm", step.path("gradientNorm"));
    put(row, "temperature", step.path("temperature"));
    putAll(row, "negatives ", step.path("hardNegatives"));
    put(row, "pairs per second", step.path("pairsPerSecond"));
    putAll(row, "time ", step.path("seconds"));
    JsonNode dictionary = step.path("dictionary");
    put(row, "codewords", dictionary.path("codewords"));
    put(row, "live", dictionary.path("live"));
    put(row, "perplexity", dictionary.path("perplexity"));
    put(row, "restarts", dictionary.path("restarts"));
    put(row, "skipped", step.path("skippedSamples"));
    steps.add(row);
  }

  private static void putAll(Map<String, Double> row, String prefix, JsonNode values) {
    values.propertyStream().forEach(value -> put(row, prefix + value.getKey(), value.getValue()));
  }

  /** A number, or the name of one that JSON has no number for. */
  private static void put(Map<String, Double> row, String name, JsonNode value) {
    if (value.isNumber()) {
      row.put(name, value.doubleValue());
    } else if (value.isString()) {
      switch (value.stringValue()) {
        case "Infinity" -> row.put(name, Double.POSITIVE_INFINITY);
        case "-Infinity" -> row.put(name, Double.NEGATIVE_INFINITY);
        default -> row.put(name, Double.NaN);
      }
    }
  }

  private void addEvaluation(JsonNode event, long step, double at) {
    EvaluationReport report = null;
    JsonNode found = event.path("report");
    Map<String, Double> benchmarks = new LinkedHashMap<>();
    try {
      if (found.isObject()) {
        report = JSON.treeToValue(found, EvaluationReport.class);
      }
    } catch (JacksonException e) {
      unreadableLines++;
      return;
    }
    event
        .path("benchmarks")
        .propertyStream()
        .forEach(
            name ->
                name.getValue()
                    .propertyStream()
                    .forEach(way -> addBenchmark(benchmarks, name.getKey(), way)));
    Map<String, Double> metrics = new LinkedHashMap<>();
    putAll(metrics, "", event.path("metrics"));
    evaluations.add(new Evaluated(step, at, report, benchmarks, metrics));
  }

  /** The macro average of the group score where there is one, else of the first metric. */
  private static void addBenchmark(
      Map<String, Double> benchmarks, String name, Map.Entry<String, JsonNode> way) {
    int index = 0;
    JsonNode metrics = way.getValue().path("metrics");
    for (int i = 0; i < metrics.size(); i++) {
      if (metrics.path(i).asString("").equals("group")) {
        index = i;
      }
    }
    JsonNode macro = way.getValue().path("macro").path(index);
    if (macro.isNumber()) {
      benchmarks.put(name + ", " + way.getKey().toUpperCase(Locale.ROOT), macro.doubleValue());
    }
  }

  /** The run's folder, as it was given. */
  public Path folder() {
    return folder;
  }

  /** The folder's own name. */
  public String name() {
    Path name = folder.toAbsolutePath().normalize().getFileName();
    return name == null ? folder.toString() : name.toString();
  }

  StepTable steps() {
    return steps;
  }

  List<Evaluated> evaluations() {
    return List.copyOf(evaluations);
  }

  /** The last evaluation on the fine-grained benchmark. */
  Optional<Evaluated> lastReport() {
    return evaluations.reversed().stream().filter(of -> of.report() != null).findFirst();
  }

  CodewordHistory codewords() {
    return codewords;
  }

  List<Probed> probes() {
    return List.copyOf(probes);
  }

  /** Names of files that hold batches which were not finite. */
  List<String> failedBatches() {
    return failedBatches.stream().sorted().toList();
  }

  /** Perplexity of the last epoch; empty before the first one's end. */
  Optional<Double> lastEpochPerplexity() {
    return epochs.values().stream().reduce((first, second) -> second);
  }

  /** Steps done. */
  long done() {
    double last = steps.last(StepTable.STEP);
    return Double.isNaN(last) ? 0 : (long) last;
  }

  /** Planned length in steps. */
  long planned() {
    return planned;
  }

  /** Of the run so far, resumed parts together. */
  double seconds() {
    return seconds;
  }

  int unreadableLines() {
    return unreadableLines;
  }

  /** Empty before the first checkpoint. */
  Optional<NasConfig> config() {
    return Optional.ofNullable(config);
  }

  /** What the command wrote at the run's end; a missing node if it has not ended. */
  JsonNode summary() {
    return summary;
  }
}
