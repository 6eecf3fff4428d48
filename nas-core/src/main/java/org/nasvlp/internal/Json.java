package org.nasvlp.internal;

import java.io.IOException;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.exc.MismatchedInputException;
import tools.jackson.databind.json.JsonMapper;

/** How JSON is read: a value with nothing behind it, and in an object every field once. */
public final class Json {
  /** For a text of one value. */
  public static final JsonMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private Json() {}

  /**
   * Reads a file of up to {@link InputFiles#MAX_TEXT_BYTES}.
   *
   * @throws IOException naming the file, and the place where it is not JSON
   */
  public static JsonNode read(Path file) throws IOException {
    return parse(InputFiles.text(file), file.toString());
  }

  /**
   * Reads a text.
   *
   * @param where what the message begins with
   * @throws IOException naming the place where it is not JSON
   */
  public static JsonNode parse(String text, String where) throws IOException {
    try {
      return MAPPER.readTree(text);
    } catch (JacksonException e) {
      throw new IOException(where + ": not JSON: " + problem(e), e);
    }
  }

  /** What is wrong with a text of JSON or YAML and, if it is known, where. */
  public static String problem(JacksonException e) {
    String text = Excerpt.of(e.getOriginalMessage());
    if (e instanceof MismatchedInputException && text.startsWith("Trailing token")) {
      text = "more text follows the end of the value; remove it";
    } else if (text.startsWith("Duplicate ")) {
      text += "; keep one";
    }
    return e.getLocation() == null || e.getLocation().getLineNr() < 1
        ? text
        : "line %d, column %d: %s"
            .formatted(e.getLocation().getLineNr(), e.getLocation().getColumnNr(), text);
  }
}
