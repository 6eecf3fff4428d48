package org.nasvlp.eval;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.nasvlp.internal.Excerpt;
import tools.jackson.databind.JsonNode;

/**
 * Items of three forms: an image with several captions, the right one first; two images with two
 * captions; and an image with a caption that is true of it or not.
 */
final class ChoiceItems {
  private static final List<String> NUMBERS =
      List.of("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten");

  private ChoiceItems() {}

  /**
   * A line of a table.
   *
   * @param fields by the column's name
   */
  record Row(BenchmarkReader.Entry entry, Map<String, String> fields) {
    boolean has(String column) {
      return fields.containsKey(column);
    }

    String text(String column) throws IOException {
      String value = fields.get(column);
      if (value == null || value.isBlank()) {
        throw entry.wrong(column + " is blank");
      }
      return value.strip();
    }

    String path(String column) throws IOException {
      return entry.safe(column, text(column));
    }

    int integer(String column, int least) throws IOException {
      String value = text(column);
      try {
        double number = Double.parseDouble(value);
        if (number == Math.rint(number) && number >= least && number <= Integer.MAX_VALUE) {
          return (int) number;
        }
      } catch (NumberFormatException e) {
        // Told below.
      }
      throw entry.wrong(
          "%s is '%s'; an integer of at least %d is needed"
              .formatted(column, Excerpt.of(value), least));
    }
  }

  /** An image, two captions that say the same, and a wrong one. */
  static BenchmarkItem sugarCrepePlus(BenchmarkReader.Entry entry, String part) throws IOException {
    return new BenchmarkItem(
        part + "/" + entry.id("id"),
        part,
        pictures(entry.path("filename")),
        List.of(entry.text("caption"), entry.text("caption2"), entry.text("negative_caption")));
  }

  /** {@code [url, caption, url, caption]}; images have the names that the URLs end in. */
  static BenchmarkItem cola(BenchmarkReader.Entry entry, int number) throws IOException {
    if (!entry.node().isArray() || entry.node().size() != 4) {
      throw entry.other("must be [url, caption, url, caption]");
    }
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      texts.add(entry.text("field " + (i + 1), entry.node().get(i)));
    }
    return new BenchmarkItem(
        String.valueOf(number),
        "all",
        pictures(lastName(entry, texts.get(0)), lastName(entry, texts.get(2))),
        List.of(texts.get(1), texts.get(3)));
  }

  static BenchmarkItem colorSwap(BenchmarkReader.Entry entry) throws IOException {
    return new BenchmarkItem(
        entry.id("id"),
        "all",
        pictures(entry.path("image_1"), entry.path("image_2")),
        List.of(entry.text("caption_1"), entry.text("caption_2")));
  }

  static BenchmarkItem biVlc(BenchmarkReader.Entry entry, int number) throws IOException {
    return new BenchmarkItem(
        String.valueOf(number),
        entry.text("type"),
        pictures(entry.path("image"), entry.path("negative_image")),
        List.of(entry.text("caption"), entry.text("negative_caption")));
  }

  /**
   * The controlled images, {@code {"image_path", "caption_options"}}, or those of COCO and Visual
   * Genome, {@code [number, right, wrong]}, which the file's name tells apart.
   */
  static BenchmarkItem whatsUp(BenchmarkReader.Entry entry, String part, int number)
      throws IOException {
    String path;
    List<String> captions;
    JsonNode node = entry.node();
    if (node.isArray()) {
      if (node.size() != 3 || !node.get(0).isIntegralNumber()) {
        throw entry.other("must be [image number, right caption, wrong caption]");
      }
      long image = node.get(0).longValue();
      path = part.contains("vg_") ? image + ".jpg" : "%012d.jpg".formatted(image);
      captions = List.of(entry.text("field 2", node.get(1)), entry.text("field 3", node.get(2)));
    } else {
      path = entry.path("image_path");
      captions = entry.texts("caption_options", 2);
    }
    return new BenchmarkItem(
        part + "/" + number,
        part + "/" + preposition(captions.getFirst()),
        pictures(path),
        captions);
  }

  /** {@code label} is 1 where the caption is true of the image, else 0. */
  static BenchmarkItem vsr(BenchmarkReader.Entry entry, int number) throws IOException {
    int label = entry.integer("label", 0);
    if (label > 1) {
      throw entry.wrong("\"label\" is " + label + "; it must be 0 or 1");
    }
    return new BenchmarkItem(
        String.valueOf(number),
        entry.text("relation"),
        pictures(entry.path("image")),
        List.of(entry.text("caption")),
        label == 1);
  }

  private static String preposition(String caption) {
    String text = " " + caption.toLowerCase(Locale.ROOT).replace(".", "") + " ";
    for (String name : List.of("left", "right", "front", "behind", "under", "above", "below")) {
      if (text.contains(" " + name + " ")) {
        return name;
      }
    }
    for (String name : List.of("top", "bottom", "on")) {
      if (text.contains(" " + name + " ")) {
        return name;
      }
    }
    return "other";
  }

  /**
   * A caption that counts things, then the same with each other number from two to ten.
   *
   * @return null if the caption lacks its number's word
   */
  static @Nullable BenchmarkItem countBench(BenchmarkReader.Entry entry, int number)
      throws IOException {
    int count = entry.integer("number", 2);
    if (count > NUMBERS.size() + 1) {
      throw entry.wrong("\"number\" is " + count + "; it must be from 2 to 10");
    }
    String text = entry.text("text");
    String word = NUMBERS.get(count - 2);
    Matcher found = Pattern.compile("\\b" + word + "\\b", Pattern.CASE_INSENSITIVE).matcher(text);
    if (!found.find()) {
      return null;
    }
    List<String> captions = new ArrayList<>();
    captions.add(text);
    for (String other : NUMBERS) {
      if (!other.equals(word)) {
        captions.add(found.replaceAll(other));
      }
    }
    String image =
        entry.has("image") ? entry.path("image") : lastName(entry, entry.text("image_url"));
    return new BenchmarkItem(String.valueOf(number), word, pictures(image), captions);
  }

  /** A sentence and two images that differ in one part of it. */
  static BenchmarkItem comVg(Row row) throws IOException {
    return new BenchmarkItem(
        row.text("id"),
        row.text("neg_value"),
        pictures(row.path("pos_image_id"), row.path("neg_image_id")),
        List.of(row.text("sentence")));
  }

  /** Four captions, of which {@code correct_answer} is the right one's number from 0. */
  static BenchmarkItem negBench(Row row) throws IOException {
    List<String> captions = new ArrayList<>();
    for (int i = 0; row.has("caption_" + i); i++) {
      captions.add(row.text("caption_" + i));
    }
    int right = row.integer("correct_answer", 0);
    if (right >= captions.size()) {
      throw row.entry.wrong(
          "correct_answer is %d; there are %d captions, from 0".formatted(right, captions.size()));
    }
    captions.addFirst(captions.remove(right));
    return new BenchmarkItem(
        row.entry.where().substring("line ".length()),
        row.text("correct_answer_template"),
        pictures(row.path("image_path")),
        captions);
  }

  /** A caption and its hard negatives, a list in Python's notation, of a part of an image. */
  static BenchmarkItem crepe(Row row, String part) throws IOException {
    List<String> captions = new ArrayList<>();
    captions.add(row.text("caption"));
    captions.addAll(pythonList(row, "hard_negs"));
    BenchmarkItem.Crop crop =
        row.has("x") && row.has("y") && row.has("width") && row.has("height")
            ? new BenchmarkItem.Crop(
                row.integer("x", 0),
                row.integer("y", 0),
                row.integer("width", 1),
                row.integer("height", 1))
            : null;
    return new BenchmarkItem(
        row.entry.where().substring("line ".length()),
        part,
        List.of(new BenchmarkItem.Picture(row.path("image_id"), crop)),
        captions);
  }

  /** Texts between brackets, each between single or double quotes; a backslash escapes. */
  private static List<String> pythonList(Row row, String column) throws IOException {
    String source = row.text(column);
    List<String> texts = new ArrayList<>();
    boolean wellFormed = source.startsWith("[") && source.endsWith("]");
    int at = 1;
    while (wellFormed && at < source.length() - 1) {
      char quote = source.charAt(at++);
      if (quote == ' ') {
        continue;
      }
      StringBuilder text = new StringBuilder();
      while (at < source.length() && source.charAt(at) != quote) {
        at += source.charAt(at) == '\\' ? 1 : 0;
        text.append(at < source.length() ? source.charAt(at++) : quote);
      }
      texts.add(text.toString());
      at++;
      while (at < source.length() && source.charAt(at) == ' ') {
        at++;
      }
      wellFormed =
          (quote == '\'' || quote == '"')
              && at < source.length()
              && (source.charAt(at) == ',' || at == source.length() - 1);
      at++;
    }
    if (!wellFormed || texts.isEmpty() || texts.stream().anyMatch(String::isBlank)) {
      throw row.entry.wrong(
          column + " is " + Excerpt.of(source) + "; a list of texts, as ['a', \"b\"], is needed");
    }
    return texts;
  }

  /** Two rows that follow each other, each a statement on an image of its own. */
  static BenchmarkItem mmvp(Row one, Row two) throws IOException {
    String type = one.text("Type");
    if (!two.text("Type").equals(type)) {
      throw two.entry.wrong("is of another type than the row before, its partner");
    }
    return new BenchmarkItem(
        one.text("Question ID"),
        type,
        pictures(mmvpPath(one, type), mmvpPath(two, type)),
        List.of("a photo of " + one.text("Statement"), "a photo of " + two.text("Statement")));
  }

  private static String mmvpPath(Row row, String type) throws IOException {
    return row.entry.safe("Type", type + "/" + row.integer("Question ID", 0) + ".jpg");
  }

  private static String lastName(BenchmarkReader.Entry entry, String url) throws IOException {
    return entry.safe("url", url.substring(url.lastIndexOf('/') + 1));
  }

  private static List<BenchmarkItem.Picture> pictures(String... paths) {
    List<BenchmarkItem.Picture> pictures = new ArrayList<>();
    for (String path : paths) {
      pictures.add(new BenchmarkItem.Picture(path, null));
    }
    return pictures;
  }
}
