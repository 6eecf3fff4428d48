package org.nasvlp.train;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Checkpoints;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.LoaderState;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.objective.FeatureQueue;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/**
 * All that a run goes on from, in a checkpoint's folder: the model as {@link NasModel#write} writes
 * it; optimizer, momentum encoders, queue and word counts in {@code training.safetensors}; {@link
 * Progress} in {@code state.json}.
 */
final class TrainingState {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int FORMAT = 1;

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
      @Nullable Map<String, Double> best) {}

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
   * @return the checkpoint's folder
   */
  Path save(Path output, Progress progress) throws IOException {
    return Checkpoints.write(
        output,
        progress.step(),
        config.training().keepCheckpoints(),
        directory -> {
          model.write(directory);
          try (PointerScope scope = new PointerScope()) {
            Safetensors.write(directory.resolve("training.safetensors"), entries());
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
                  progress.best());
          Files.writeString(directory.resolve("state.json"), JSON.writeValueAsString(saved));
        });
  }

  /**
   * Replaces everything by what a checkpoint holds.
   *
   * @param directory the checkpoint's folder
   * @throws TrainingException if it is of another configuration, tokenizer or format, or damaged
   * @throws IOException if a file is missing or not readable
   */
  Progress restore(Path directory) throws IOException {
    Path file = directory.resolve("state.json");
    Saved saved = read(file);
    SameRun.require(directory, config, model.tokenizer());
    requireFits(file, saved);
    model.read(directory);
    restoreTensors(directory.resolve("training.safetensors"));
    if (trainingStep.queue() != null) {
      trainingStep.queue().restore(saved.queueFilled(), saved.queueNext());
    }
    return new Progress(
        Math.toIntExact(saved.step()),
        saved.plannedSteps(),
        saved.seconds(),
        saved.stepSeconds() == null ? saved.seconds() : saved.stepSeconds(),
        saved.samples(),
        saved.best() == null ? Map.of() : saved.best());
  }

  private Saved read(Path file) throws IOException {
    Saved saved;
    try {
      saved = JSON.readValue(Files.readString(file), Saved.class);
    } catch (JacksonException e) {
      throw damaged(file, e.getOriginalMessage(), e);
    }
    if (saved == null || saved.format() == 0) {
      throw damaged(file, "it has no format", null);
    }
    if (saved.format() != FORMAT) {
      throw new TrainingException(
          ("%s has format %d, this version of the library reads %d: resume with the version that"
                  + " wrote it")
              .formatted(file, saved.format(), FORMAT));
    }
    if (saved.step() < 1 || saved.step() > Integer.MAX_VALUE) {
      throw damaged(file, "step is " + saved.step(), null);
    }
    return saved;
  }

  private void requireFits(Path file, Saved saved) {
    FeatureQueue queue = trainingStep.queue();
    int capacity = queue == null ? 0 : queue.ids().length;
    int filled = saved.queueFilled();
    int next = saved.queueNext();
    if (filled < 0 || filled > capacity || next < 0 || next > Math.max(0, capacity - 1)) {
      throw damaged(
          file,
          "a queue of %d has %d features, the next at %d".formatted(capacity, filled, next),
          null);
    }
  }

  private static TrainingException damaged(Path file, String how, @Nullable Exception cause) {
    return new TrainingException(file + " is damaged (" + how + "): remove this checkpoint", cause);
  }

  /** Optimizer state, momentum encoders and queue, by name. */
  private Map<String, Tensor> tensors() {
    Map<String, Tensor> tensors = new TreeMap<>();
    tensors.put("adamw.first", trainingStep.optimizer().first());
    tensors.put("adamw.second", trainingStep.optimizer().second());
    NasModel.MomentumCopy momentum = trainingStep.momentum();
    if (momentum != null) {
      tensors.put("momentum", momentum.parameters().values());
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
    tensors()
        .forEach(
            (name, tensor) ->
                entries.put(
                    name,
                    new Safetensors.Entry(
                        Safetensors.Type.F32,
                        Torch.shape(tensor),
                        Torch.segment(Torch.host(tensor)))));
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
      entries().forEach((name, expected) -> requireFits(file, name, found.get(name), expected));
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
      Path file, String name, Safetensors.@Nullable Entry found, Safetensors.Entry expected) {
    if (found == null
        || found.type() != expected.type()
        || !Arrays.equals(found.shape(), expected.shape())) {
      throw new TrainingException(
          file + " does not fit this run: " + name + " is missing or of another shape");
    }
  }
}
