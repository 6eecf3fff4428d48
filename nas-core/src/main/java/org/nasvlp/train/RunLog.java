package org.nasvlp.train;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The log of a run, {@code log.jsonl}: a JSON object a line, in the order of time, with {@code
 * kind}, {@code seconds} and a field named by the kind. No step stands in it twice, however often
 * the run was killed and resumed; of long runs not all do ({@link LogListener#everySteps}).
 */
final class RunLog {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final String EVALUATION = "evaluation";

  private final Path file;

  RunLog(Path output) {
    this.file = output.resolve("log.jsonl");
  }

  void append(String kind, double seconds, Object value) throws IOException {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("kind", kind);
    line.put("seconds", Math.round(seconds * 1000) / 1000.0);
    line.put(kind, value);
    Files.writeString(
        file,
        JSON.writeValueAsString(line) + "\n",
        StandardOpenOption.CREATE,
        StandardOpenOption.APPEND);
  }

  /**
   * Cuts off what came after a checkpoint, since the resumed run does it again: from the first line
   * of a later step, or that a kill has cut short.
   *
   * @param step of the checkpoint
   * @param last whether it is the run's last one, whose evaluation follows it
   * @return whether the evaluation of that step stays in the log
   */
  boolean rewind(long step, boolean last) throws IOException {
    if (!Files.exists(file)) {
      return false;
    }
    boolean evaluated = false;
    long kept = 0;
    try (InputStream input = new BufferedInputStream(Files.newInputStream(file))) {
      for (byte[] line = line(input); line != null; line = line(input)) {
        JsonNode node = parse(line);
        if (node == null) {
          break;
        }
        String kind = node.path("kind").asString("");
        long at = node.path(kind).path("step").asLong(0);
        boolean evaluation = kind.equals(EVALUATION);
        if (at > step || (last && evaluation && at == step)) {
          break;
        }
        evaluated |= evaluation && at == step;
        kept += line.length;
      }
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.truncate(kept);
    }
    return evaluated;
  }

  private static @Nullable JsonNode parse(byte[] line) {
    if (line[line.length - 1] != '\n') {
      return null;
    }
    try {
      return JSON.readTree(line);
    } catch (JacksonException e) {
      return null;
    }
  }

  /** The bytes up to and including the next line break; null at the end. */
  private static byte @Nullable [] line(InputStream input) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
    for (int next = input.read(); next >= 0; next = input.read()) {
      bytes.write(next);
      if (next == '\n') {
        break;
      }
    }
    return bytes.size() == 0 ? null : bytes.toByteArray();
  }
}
