package org.nasvlp.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;

/** Tells a checkpoint of the same run from one of another configuration or tokenizer. */
final class SameRun {
  private SameRun() {}

  /**
   * Checks all that has to stay the same when a run goes on; length, evaluations, checkpoints and
   * device may change.
   *
   * @param directory of the checkpoint
   * @param config of this run
   * @param tokenizer of this run
   * @throws TrainingException naming the part that differs
   */
  static void require(Path directory, NasConfig config, CaptionTokenizer tokenizer)
      throws IOException {
    Path file = directory.resolve("config.json");
    Map<String, Object> written;
    try {
      written = parts(NasConfig.fromJson(Files.readString(file), file.toString()));
    } catch (IllegalArgumentException e) {
      throw new TrainingException(e.getMessage(), e);
    }
    parts(config)
        .forEach(
            (name, part) -> {
              if (!part.equals(written.get(name))) {
                throw new TrainingException(
                    ("%s was written with another %s: %s, this run has %s; resume with the same"
                            + " configuration or choose another output")
                        .formatted(directory, name, written.get(name), part));
              }
            });
    if (!Files.readString(directory.resolve("tokenizer.json")).equals(tokenizer.json())) {
      throw new TrainingException(
          directory + " was written with another tokenizer; resume with the same one");
    }
  }

  private static Map<String, Object> parts(NasConfig config) {
    Map<String, Object> parts = new LinkedHashMap<>();
    parts.put("model", config.model());
    parts.put("dictionary", config.dictionary());
    parts.put("nva", config.nva());
    parts.put("nta", config.nta());
    parts.put("objective", config.objective());
    parts.put("optimizer", config.optimizer());
    parts.put("data", config.data());
    parts.put("training.seed", config.training().seed());
    return parts;
  }
}
