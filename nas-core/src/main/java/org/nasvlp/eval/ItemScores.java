package org.nasvlp.eval;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.nasvlp.internal.Excerpt;
import org.nasvlp.internal.InputFiles;
import org.nasvlp.internal.Json;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Scores of a benchmark's items, by item id: for each way of scoring a matrix of images by
 * captions. Higher is a better fit; nothing is NaN. {@code itm} holds log-odds of a match, so that
 * above 0 means that image and caption belong together.
 *
 * <p>As a file, JSON lines: {@code {"id": "7", "itc": [[0.31, 0.28]], "itm": [[2.1, -0.4]]}}, one
 * row for each image. Winoground's are read as well, as way {@code score}: {@code {"id": 7,
 * "c0_i0": …, "c0_i1": …, "c1_i0": …, "c1_i1": …}}, or four lines an item as its authors publish
 * them, {@code {"label": "7_c0_i0", "score": …}}.
 *
 * @param byItem ids in order; each way of scoring with its matrix
 */
public record ItemScores(Map<String, Map<String, double[][]>> byItem) {
  private static final List<String> WINOGROUND = List.of("c0_i0", "c1_i0", "c0_i1", "c1_i1");
  private static final int MOST_SIDE = 256;

  /** Copies the maps. */
  public ItemScores {
    byItem = Collections.unmodifiableMap(new LinkedHashMap<>(byItem));
  }

  /** The ways of scoring that occur, in alphabetical order. */
  public List<String> ways() {
    TreeSet<String> ways = new TreeSet<>();
    byItem.values().forEach(scores -> ways.addAll(scores.keySet()));
    return List.copyOf(ways);
  }

  /**
   * An item's scores.
   *
   * @param way of scoring, one of {@link #ways}
   * @return images by captions; null if there are none
   */
  public double @Nullable [][] of(String id, String way) {
    Map<String, double[][]> scores = byItem.get(id);
    return scores == null ? null : scores.get(way);
  }

  /**
   * Writes JSON lines, to a file beside it first, so that a file of that name is whole.
   *
   * @throws IOException if the file cannot be written
   */
  public void write(Path file) throws IOException {
    Path folder = file.toAbsolutePath().getParent();
    Files.createDirectories(folder);
    Path part = folder.resolve(file.getFileName() + ".part");
    try {
      try (BufferedWriter writer = Files.newBufferedWriter(part)) {
        for (Map.Entry<String, Map<String, double[][]>> item : byItem.entrySet()) {
          ObjectNode line = JsonNodeFactory.instance.objectNode().put("id", item.getKey());
          item.getValue()
              .forEach(
                  (way, matrix) -> {
                    ArrayNode rows = line.putArray(way);
                    for (double[] row : matrix) {
                      ArrayNode values = rows.addArray();
                      Arrays.stream(row).forEach(values::add);
                    }
                  });
          writer.write(JsonMapper.shared().writeValueAsString(line));
          writer.newLine();
        }
      }
      Files.move(part, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(part);
    }
  }

  /**
   * Reads JSON lines in any of these forms.
   *
   * @throws IOException naming file and line, for another form, an id or label that occurs twice,
   *     an item that lacks one of its four labels, or a score that is no finite number
   */
  public static ItemScores read(Path file) throws IOException {
    Map<String, Map<String, double[][]>> items = new LinkedHashMap<>();
    Map<String, Map<String, Double>> labels = new LinkedHashMap<>();
    try {
      int number = 0;
      for (String text : (Iterable<String>) InputFiles.text(file).lines()::iterator) {
        number++;
        if (text.isBlank()) {
          continue;
        }
        String where = file + " line " + number;
        JsonNode line = Json.parse(text, where);
        if (!line.has("id") && line.has("label")) {
          label(where, line, labels);
          continue;
        }
        JsonNode id = line.get("id");
        if (id == null || !(id.isString() || id.isIntegralNumber())) {
          throw new IOException(where + ": needs a text or an integer as \"id\"");
        }
        if (items.put(id.asString(), scores(where, line)) != null) {
          throw new IOException(where + ": the id " + Excerpt.of(id.asString()) + " occurs twice");
        }
      }
    } catch (NoSuchFileException e) {
      throw new IOException(file + ": no such file; it should hold scores as JSON lines", e);
    }
    for (Map.Entry<String, Map<String, Double>> item : labels.entrySet()) {
      String where = file + " item " + Excerpt.of(item.getKey());
      for (String combination : WINOGROUND) {
        if (!item.getValue().containsKey(combination)) {
          throw new IOException(where + ": has no label with " + combination);
        }
      }
      double[] s = WINOGROUND.stream().mapToDouble(item.getValue()::get).toArray();
      if (items.put(item.getKey(), winoground(s)) != null) {
        throw new IOException(where + ": occurs both as an id and in labels");
      }
    }
    if (items.isEmpty()) {
      throw new IOException(file + ": holds no scores");
    }
    return new ItemScores(items);
  }

  /** Adds one of an item's four scores. */
  private static void label(String where, JsonNode line, Map<String, Map<String, Double>> labels)
      throws IOException {
    JsonNode node = line.get("label");
    String label = node.isString() ? node.stringValue() : "";
    int end = label.length() - "_c0_i0".length();
    if (end < 1 || !WINOGROUND.contains(label.substring(end + 1)) || label.charAt(end) != '_') {
      throw new IOException(
          "%s: \"label\" is %s; an item's id with _c0_i0, _c0_i1, _c1_i0 or _c1_i1 is needed"
              .formatted(where, Excerpt.of(node)));
    }
    Map<String, Double> item =
        labels.computeIfAbsent(label.substring(0, end), id -> new LinkedHashMap<>());
    double score = number(where, "score", line.get("score"));
    if (item.put(label.substring(end + 1), score) != null) {
      throw new IOException(where + ": the label " + Excerpt.of(label) + " occurs twice");
    }
  }

  /** The way {@code score} of values in the order of {@link #WINOGROUND}. */
  private static Map<String, double[][]> winoground(double[] s) {
    return Map.of("score", new double[][] {{s[0], s[1]}, {s[2], s[3]}});
  }

  private static Map<String, double[][]> scores(String where, JsonNode line) throws IOException {
    if (line.has(WINOGROUND.getFirst())) {
      double[] values = new double[WINOGROUND.size()];
      for (int i = 0; i < values.length; i++) {
        values[i] = number(where, WINOGROUND.get(i), line.get(WINOGROUND.get(i)));
      }
      return winoground(values);
    }
    Map<String, double[][]> ways = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> field : line.properties()) {
      if (field.getValue().isArray()) {
        ways.put(field.getKey(), matrix(where, field.getKey(), field.getValue()));
      }
    }
    if (ways.isEmpty()) {
      throw new IOException(
          where
              + ": needs scores, as \"itm\": [[…]] with a row for each image, or Winoground's"
              + " c0_i0, c1_i0, c0_i1 and c1_i1");
    }
    return ways;
  }

  private static double[][] matrix(String where, String way, JsonNode rows) throws IOException {
    List<double[]> matrix = new ArrayList<>();
    for (JsonNode row : rows) {
      if (!row.isArray() || row.size() != rows.get(0).size() || row.size() > MOST_SIDE) {
        throw new IOException(
            where
                + ": \""
                + Excerpt.of(way)
                + "\" must be a list of rows of the same length, images by captions");
      }
      double[] values = new double[row.size()];
      for (int i = 0; i < values.length; i++) {
        values[i] = number(where, way, row.get(i));
      }
      matrix.add(values);
    }
    return matrix.toArray(double[][]::new);
  }

  private static double number(String where, String field, @Nullable JsonNode node)
      throws IOException {
    if (node == null || !node.isNumber() || !Double.isFinite(node.doubleValue())) {
      throw new IOException(
          "%s: \"%s\" is %s; a finite number is needed"
              .formatted(where, Excerpt.of(field), Excerpt.of(node)));
    }
    return node.doubleValue();
  }
}
