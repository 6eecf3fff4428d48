package org.nasvlp.train;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.data.Batch;
import tools.jackson.databind.json.JsonMapper;

/**
 * Keeps what a step was given that was not finite, for whoever looks into it: {@code
 * not-finite-step-N.safetensors} holds, for each batch a of the step, {@code images.a} (B x 3 x S x
 * S) and the token ids {@code ids.a} (B x L), and {@code not-finite-step-N.json} the samples' keys
 * and captions in the same order.
 */
final class FailedBatch {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  private record Sample(String key, String caption) {}

  private final Path output;
  private final int imageSize;

  /**
   * @param output folder of the run
   * @param imageSize S
   */
  FailedBatch(Path output, int imageSize) {
    this.output = output;
    this.imageSize = imageSize;
  }

  /**
   * Saves a step's batches and tells of them; that they cannot be saved is told as well.
   *
   * @param what is not finite
   * @param step that failed, counted from 1
   * @param checkpoint the last one, if there is one
   */
  TrainingException failure(
      String what,
      int step,
      List<Batch> batches,
      @Nullable Path checkpoint,
      @Nullable RuntimeException cause) {
    String saved;
    try {
      saved = "they are saved in " + save(step, batches);
    } catch (IOException e) {
      saved = "they could not be saved (" + e + ")";
    }
    List<String> keys = new ArrayList<>();
    batches.forEach(batch -> keys.addAll(List.of(batch.keys())));
    return new TrainingException(
        ("%s is not finite at step %d (samples %s; %s): lower optimizer.learningRate, or look at"
                + " these samples; %s")
            .formatted(
                what,
                step,
                String.join(", ", keys),
                saved,
                checkpoint == null
                    ? "no checkpoint was written yet"
                    : "the last checkpoint is " + checkpoint),
        cause);
  }

  /** Replaces what an earlier try of the same step has left. */
  private Path save(int step, List<Batch> batches) throws IOException {
    String name = String.format(Locale.ROOT, "not-finite-step-%08d", step);
    Map<String, Safetensors.Entry> tensors = new TreeMap<>();
    List<Sample> samples = new ArrayList<>();
    for (int a = 0; a < batches.size(); a++) {
      Batch batch = batches.get(a);
      int rows = batch.keys().length;
      tensors.put(
          "images." + a,
          entry(
              Safetensors.Type.F32,
              MemorySegment.ofArray(batch.images()),
              rows,
              3,
              imageSize,
              imageSize));
      tensors.put(
          "ids." + a,
          entry(
              Safetensors.Type.I64,
              MemorySegment.ofArray(batch.tokens().ids()),
              rows,
              batch.tokens().length()));
      for (int i = 0; i < rows; i++) {
        samples.add(new Sample(batch.keys()[i], batch.captions()[i]));
      }
    }
    Path file = output.resolve(name + ".safetensors");
    Path temporary = output.resolve("." + name + ".writing");
    Files.deleteIfExists(temporary);
    try {
      Safetensors.write(temporary, tensors);
      Files.move(temporary, file, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(temporary);
    }
    Files.writeString(output.resolve(name + ".json"), JSON.writeValueAsString(samples));
    return file;
  }

  private static Safetensors.Entry entry(
      Safetensors.Type type, MemorySegment values, long... shape) {
    return new Safetensors.Entry(
        type, shape, MemorySegment.ofArray(values.toArray(ValueLayout.JAVA_BYTE)));
  }
}
