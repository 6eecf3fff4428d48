package org.nasvlp.train;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Checkpoints;
import org.nasvlp.checkpoint.FileSums;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.checkpoint.TensorRange;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.LoaderState;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.internal.InputFiles;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.objective.FeatureQueue;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * All that a run goes on from, in a checkpoint's folder: the model as {@link NasModel#write} writes
 * it; optimizer, momentum encoders, the model of the start, queue and word counts in {@code
 * training.safetensors}; {@link Progress} in {@code state.json}. All files are in the list that
 * {@link FileSums} keeps.
 */
final class TrainingState {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .build();
  private static final int FORMAT = 1;
  private static final String STATE = "state.json";
  private static final String TENSORS = NasModel.TRAINING_FILE;
  private static final String FIRST = "adamw.first";
  private static final String SECOND = "adamw.second";

  /** Those that every version has written; absent ones would be read as 0. */
  private static final List<String> FIELDS =
      List.of("step", "plannedSteps", "seconds", "queueFilled", "queueNext");

  private static final List<String> SAMPLE_FIELDS =
      List.of("firstStep", "read", "bad", "examples", "truncatedCaptions");

  /** What {@link Evaluation#metrics} are called, which is part of a folder's name. */
  private static final Pattern METRIC = Pattern.compile("[a-z0-9][a-z0-9_-]*");

  /** {@code state.json}. */
  private record Saved(
      int format,
      long step,
      long plannedSteps,
      double seconds,
      @Nullable Double stepSeconds,
      int queueFilled,
      int queueNext,
      @Nullable LoaderState samples,
      @Nullable Map<String, Double> best,
      @Nullable Map<String, Integer> bestSteps,
      @Nullable Map<String, Double> startMetrics) {}

  private final NasConfig config;
  private final NasModel model;
  private final TrainingStep trainingStep;

  /**
   * @param config of the run
   * @param model of the run, with the run's tokenizer
   * @param trainingStep owns the tensors that are saved and restored in place
   */
  TrainingState(NasConfig config, NasModel model, TrainingStep trainingStep) {
    this.config = config;
    this.model = model;
    this.trainingStep = trainingStep;
  }

  /**
   * Writes a checkpoint, whole or not at all, and drops old ones.
   *
   * @param output folder of the run
   * @param moments the optimizer's, of all ranks
   * @return the checkpoint's folder
   */
  Path save(Path output, Progress progress, AdamW.Moments moments) throws IOException {
    return Checkpoints.write(
        output,
        progress.step(),
        config.training().keepCheckpoints(),
        directory -> {
          model.write(directory);
          try (PointerScope scope = new PointerScope()) {
            Map<String, Safetensors.Entry> entries = entries();
            entries.put(FIRST, entry(moments.first()));
            entries.put(SECOND, entry(moments.second()));
            Safetensors.write(directory.resolve(TENSORS), entries);
          }
          FeatureQueue queue = trainingStep.queue();
          Saved saved =
              new Saved(
                  FORMAT,
                  progress.step(),
                  progress.plannedSteps(),
                  progress.seconds(),
                  progress.stepSeconds(),
                  queue == null ? 0 : queue.filled(),
                  queue == null ? 0 : queue.next(),
                  progress.samples(),
                  progress.best(),
                  progress.bestSteps(),
                  progress.startMetrics().isEmpty() ? null : progress.startMetrics());
          Files.writeString(directory.resolve(STATE), JSON.writeValueAsString(saved));
          FileSums.add(directory, List.of(TENSORS, STATE));
        });
  }

  /**
   * Replaces everything by what a checkpoint holds.
   *
   * @param directory the checkpoint's folder
   * @throws TrainingException if it is of another configuration, tokenizer or format, or damaged
   * @throws IOException naming the file, if one is missing, was changed since it was written, or
   *     holds a number that no training has
   */
  Progress restore(Path directory) throws IOException {
    // Those of the model are checked when it is read; what is read before that, here.
    FileSums.check(directory, List.of(STATE, "config.json", "tokenizer.json", TENSORS));
    Path file = directory.resolve(STATE);
    Saved saved = read(file);
    SameRun.require(directory, config, model.tokenizer());
    requireFits(file, saved);
    model.read(directory);
    restoreTensors(directory.resolve(TENSORS));
    if (trainingStep.queue() != null) {
      trainingStep.queue().restore(saved.queueFilled(), saved.queueNext());
    }
    return new Progress(
        Math.toIntExact(saved.step()),
        saved.plannedSteps(),
        saved.seconds(),
        saved.stepSeconds() == null ? saved.seconds() : saved.stepSeconds(),
        saved.samples(),
        saved.best() == null ? Map.of() : saved.best(),
        saved.bestSteps() == null ? Map.of() : saved.bestSteps(),
        saved.startMetrics() == null ? Map.of() : saved.startMetrics());
  }

  private static Saved read(Path file) throws IOException {
    try {
      JsonNode json = JSON.readTree(InputFiles.text(file));
      JsonNode format = json.path("format");
      if (!format.isInt()) {
        throw damaged(file, "it has no format", null);
      }
      // Before all else: another format's fields may be others.
      if (format.intValue() != FORMAT) {
        throw new TrainingException(
            ("%s has format %d, this version of the library reads %d: resume with the version that"
                    + " wrote it")
                .formatted(file, format.intValue(), FORMAT));
      }
      requireFields(file, json, "", FIELDS);
      if (json.hasNonNull("samples")) {
        requireFields(file, json.get("samples"), "samples.", SAMPLE_FIELDS);
      }
      return JSON.treeToValue(json, Saved.class);
    } catch (JacksonException e) {
      throw damaged(file, at(e) + e.getOriginalMessage(), e);
    }
  }

  private static void requireFields(Path file, JsonNode json, String of, List<String> names) {
    for (String name : names) {
      if (!json.hasNonNull(name)) {
        throw damaged(file, "it has no " + of + name, null);
      }
    }
  }

  /** The field that an exception is about, as far as it is known. */
  private static String at(JacksonException e) {
    String path =
        e.getPath().stream()
            .map(JacksonException.Reference::getPropertyName)
            .filter(Objects::nonNull)
            .collect(Collectors.joining("."));
    return path.isEmpty() ? "" : path + ": ";
  }

  private void requireFits(Path file, Saved saved) {
    long step = saved.step();
    require(file, step >= 1 && step <= Integer.MAX_VALUE, "step", step, "1 or more");
    long planned = saved.plannedSteps();
    require(
        file, planned >= 0 && planned <= Integer.MAX_VALUE, "plannedSteps", planned, "0 or more");
    requireTime(file, "seconds", saved.seconds());
    if (saved.stepSeconds() != null) {
      requireTime(file, "stepSeconds", saved.stepSeconds());
    }
    requireQueue(file, saved.queueFilled(), saved.queueNext());
    if (saved.samples() != null) {
      requireSamples(file, saved.samples(), step * config.optimizer().accumulation());
    }
    Map<String, Double> best = saved.best() == null ? Map.of() : saved.best();
    best.forEach(
        (metric, value) -> {
          require(file, METRIC.matcher(metric).matches(), "best", metric, "names of metrics");
          boolean finite = value != null && Double.isFinite(value);
          require(file, finite, "best." + metric, value, "a finite number");
        });
    if (saved.startMetrics() != null) {
      saved
          .startMetrics()
          .forEach(
              (metric, value) -> {
                require(
                    file,
                    METRIC.matcher(metric).matches(),
                    "startMetrics",
                    metric,
                    "metrics' names");
                boolean finite = value != null && Double.isFinite(value);
                require(file, finite, "startMetrics." + metric, value, "a finite number");
              });
    }
    if (saved.bestSteps() != null) {
      boolean known = best.keySet().containsAll(saved.bestSteps().keySet());
      require(file, known, "bestSteps", saved.bestSteps(), "metrics that best has");
      saved
          .bestSteps()
          .forEach(
              (metric, at) ->
                  require(
                      file,
                      at != null && at >= 1 && at <= step,
                      "bestSteps." + metric,
                      at,
                      "a step up to this one"));
    }
  }

  private static void requireTime(Path file, String field, double seconds) {
    require(file, seconds >= 0 && Double.isFinite(seconds), field, seconds, "0 or more");
  }

  /** A queue is filled batch by batch, and goes round once it is full. */
  private void requireQueue(Path file, int filled, int next) {
    FeatureQueue queue = trainingStep.queue();
    int capacity = queue == null ? 0 : queue.ids().length;
    int batch = config.data().batchSize();
    require(
        file,
        filled >= 0 && filled <= capacity && filled % batch == 0,
        "queueFilled",
        filled,
        "whole batches of %d, at most %d in all".formatted(batch, capacity));
    require(
        file,
        (filled < capacity || capacity == 0)
            ? next == filled
            : next >= 0 && next < capacity && next % batch == 0,
        "queueNext",
        next,
        "where a batch of a queue of %d with %d features begins".formatted(capacity, filled));
  }

  private static void requireSamples(Path file, LoaderState samples, long batches) {
    long first = samples.firstStep();
    require(file, first >= 0 && first <= batches, "samples.firstStep", first, "0 to " + batches);
    BitSet bad = BitSet.valueOf(samples.bad());
    bad.andNot(BitSet.valueOf(samples.read()));
    require(file, bad.isEmpty(), "samples.bad", "has " + bad, "none that was not read");
    long truncated = samples.truncatedCaptions();
    require(file, truncated >= 0, "samples.truncatedCaptions", truncated, "0 or more");
  }

  private static void require(
      Path file, boolean holds, String field, @Nullable Object value, String expected) {
    if (!holds) {
      throw damaged(file, "%s is %s, expected %s".formatted(field, value, expected), null);
    }
  }

  private static TrainingException damaged(Path file, String how, @Nullable Exception cause) {
    return new TrainingException(file + " is damaged (" + how + "): remove this checkpoint", cause);
  }

  /** Momentum encoders, the model of the start and queue, by name. */
  private Map<String, Tensor> tensors() {
    Map<String, Tensor> tensors = new TreeMap<>();
    NasModel.MomentumCopy momentum = trainingStep.momentum();
    if (momentum != null) {
      tensors.put(NasModel.AVERAGE, momentum.parameters().values());
    }
    NasModel.MomentumCopy start = trainingStep.start();
    if (start != null) {
      tensors.put("start", start.parameters().values());
    }
    FeatureQueue queue = trainingStep.queue();
    if (queue != null) {
      tensors.put("queue.images", queue.images());
      tensors.put("queue.texts", queue.texts());
    }
    return tensors;
  }

  /** What a checkpoint holds of them: live memory on the host, else copies in the scope. */
  private Map<String, Safetensors.Entry> entries() {
    Map<String, Safetensors.Entry> entries = new TreeMap<>();
    tensors().forEach((name, tensor) -> entries.put(name, entry(tensor)));
    FeatureQueue queue = trainingStep.queue();
    if (queue != null) {
      entries.put(
          "queue.ids", flat(Safetensors.Type.I64, MemorySegment.ofArray(queue.ids()), Long.BYTES));
    }
    WordCodes words = trainingStep.words();
    if (words != null) {
      entries.put(
          "word_codes",
          flat(Safetensors.Type.F64, MemorySegment.ofArray(words.state()), Double.BYTES));
    }
    return entries;
  }

  private static Safetensors.Entry entry(Tensor tensor) {
    return new Safetensors.Entry(
        Safetensors.Type.F32, Torch.shape(tensor), Torch.segment(Torch.host(tensor)));
  }

  private static Safetensors.Entry flat(Safetensors.Type type, MemorySegment values, int bytes) {
    return new Safetensors.Entry(
        type,
        new long[] {values.byteSize() / bytes},
        MemorySegment.ofArray(values.toArray(ValueLayout.JAVA_BYTE)));
  }

  private void restoreTensors(Path file) throws IOException {
    try (Arena arena = Arena.ofConfined();
        PointerScope scope = new PointerScope()) {
      Map<String, Safetensors.Entry> found = Safetensors.read(file, arena);
      long[] moments = {trainingStep.optimizer().count()};
      requireFits(file, FIRST, found.get(FIRST), Safetensors.Type.F32, moments);
      requireFits(file, SECOND, found.get(SECOND), Safetensors.Type.F32, moments);
      for (var expected : entries().entrySet()) {
        Safetensors.Entry as = expected.getValue();
        requireFits(file, expected.getKey(), found.get(expected.getKey()), as.type(), as.shape());
      }
      trainingStep.optimizer().restore(data(found, FIRST), data(found, SECOND));
      tensors().forEach((name, tensor) -> Torch.copyInto(tensor, data(found, name)));
      FeatureQueue queue = trainingStep.queue();
      if (queue != null) {
        MemorySegment.ofArray(queue.ids()).copyFrom(data(found, "queue.ids"));
      }
      WordCodes words = trainingStep.words();
      if (words != null) {
        double[] counts = new double[words.stateSize()];
        MemorySegment.ofArray(counts).copyFrom(data(found, "word_codes"));
        words.restore(counts);
      }
    }
  }

  private static MemorySegment data(Map<String, Safetensors.Entry> found, String name) {
    return Objects.requireNonNull(found.get(name)).data();
  }

  private static void requireFits(
      Path file,
      String name,
      Safetensors.@Nullable Entry found,
      Safetensors.Type type,
      long[] shape)
      throws IOException {
    if (found == null || found.type() != type || !Arrays.equals(found.shape(), shape)) {
      throw new TrainingException(
          file + " does not fit this run: " + name + " is missing or of another shape");
    }
    switch (name) {
      // Any number may be an image's id.
      case "queue.ids" -> {}
      case SECOND -> TensorRange.NOT_NEGATIVE.require(file, name, found);
      case "word_codes" -> {
        // Its last number is a weight that others are divided by.
        long counts = found.count() - 1;
        TensorRange.NOT_NEGATIVE.require(file, name, found, 0, counts);
        TensorRange.POSITIVE.require(file, name, found, counts, counts + 1);
      }
      default -> TensorRange.FINITE.require(file, name, found);
    }
  }
}
