package org.nasvlp.eval;

import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.internal.CsvRows;
import org.nasvlp.internal.Excerpt;
import org.nasvlp.internal.InputFiles;
import org.nasvlp.internal.Json;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** Reads the files of published benchmarks. */
final class BenchmarkReader {
  /** Published files have up to 60 MB. */
  private static final int MAX_FILE_BYTES = 1 << 29;

  /** VALSE's authors keep a foil if at least two of three annotators chose the caption. */
  private static final int VALSE_VOTES = 2;

  /** Those with a file for each category. */
  private static final Set<BenchmarkFormat> FOLDERS =
      Set.of(
          BenchmarkFormat.SUGARCREPE,
          BenchmarkFormat.SUGARCREPE_PP,
          BenchmarkFormat.VALSE,
          BenchmarkFormat.VL_CHECKLIST,
          BenchmarkFormat.WHATS_UP);

  /** Those with an object of JSON a line. */
  private static final Set<BenchmarkFormat> JSON_LINES =
      Set.of(BenchmarkFormat.WINOGROUND, BenchmarkFormat.VSR);

  /** Those that are tables, with the columns that they need. */
  private static final Map<BenchmarkFormat, List<String>> TABLES =
      Map.of(
          BenchmarkFormat.SVO_PROBES,
          List.of("sentence", "pos_image_id", "neg_image_id", "subj_neg", "verb_neg", "obj_neg"),
          BenchmarkFormat.COMVG,
          List.of("id", "sentence", "pos_image_id", "neg_image_id", "neg_value"),
          BenchmarkFormat.NEGBENCH,
          List.of("image_path", "correct_answer", "caption_0", "correct_answer_template"),
          BenchmarkFormat.CREPE,
          List.of("image_id", "caption", "hard_negs"),
          BenchmarkFormat.MMVP_VLM,
          List.of("Question ID", "Type", "Statement"));

  /** Stands where an item comes from a table. */
  private static final JsonNode NO_FIELDS = JsonNodeFactory.instance.objectNode();

  private final BenchmarkFormat format;
  private final Path data;
  private final Map<String, BenchmarkItem> items = new LinkedHashMap<>();
  private final Map<String, Integer> dropped = new LinkedHashMap<>();
  private @Nullable WordOrders orders;
  private int orderCaptions;

  private BenchmarkReader(BenchmarkFormat format, Path data) {
    this.format = format;
    this.data = data;
  }

  static PublishedBenchmark read(BenchmarkFormat format, Path data) throws IOException {
    BenchmarkReader reader = new BenchmarkReader(format, data);
    reader.readAll();
    if (reader.items.isEmpty()) {
      throw new IOException(data + ": holds no item of " + format.title());
    }
    return new PublishedBenchmark(format, List.copyOf(reader.items.values()), reader.dropped);
  }

  private void readAll() throws IOException {
    if (!Files.isDirectory(data)) {
      readFile(data, stem(data.getFileName().toString()));
      return;
    }
    if (!FOLDERS.contains(format)) {
      throw new IOException(data + ": is a folder; name the file of " + format.title());
    }
    boolean deep = format == BenchmarkFormat.VL_CHECKLIST;
    Path folder = data;
    List<Path> files = deep ? List.of() : jsonFiles(data.resolve("data"), false);
    if (files.isEmpty()) {
      files = jsonFiles(data, deep);
    } else {
      // The authors' repository, whose other folders hold models' outputs.
      folder = data.resolve("data");
    }
    if (files.isEmpty()) {
      throw new IOException(
          "%s: holds no .json file; name the folder of %s's files".formatted(data, format.title()));
    }
    for (Path file : files) {
      readFile(file, stem(folder.relativize(file).toString().replace('\\', '/')));
    }
  }

  private static List<Path> jsonFiles(Path folder, boolean deep) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> walk = Files.walk(folder, deep ? Integer.MAX_VALUE : 1)) {
      return walk.filter(file -> file.getFileName().toString().endsWith(".json"))
          .filter(Files::isRegularFile)
          .sorted()
          .toList();
    }
  }

  private static String stem(String name) {
    int dot = name.lastIndexOf('.');
    return dot > name.lastIndexOf('/') + 1 ? name.substring(0, dot) : name;
  }

  private void readFile(Path file, String part) throws IOException {
    String text = text(file);
    if (text.isBlank()) {
      throw new IOException(file + ": is empty");
    }
    try {
      if (TABLES.containsKey(format)) {
        table(file, part, text);
      } else if (JSON_LINES.contains(format) && !text.stripLeading().startsWith("[")) {
        int line = 0;
        for (String json : (Iterable<String>) text.lines()::iterator) {
          line++;
          if (!json.isBlank()) {
            Entry entry = new Entry(file, "line " + line, parse(file, "line " + line + ": ", json));
            if (format == BenchmarkFormat.VSR) {
              add(entry, ChoiceItems.vsr(entry, line));
            } else {
              winoground(entry);
            }
          }
        }
      } else {
        json(file, part, parse(file, "", text));
      }
    } catch (OtherFormat e) {
      String seen = guess(text);
      throw new IOException(
          seen == null || seen.equals(format.title())
              ? e.getMessage()
              : "%s: this looks like %s, not %s (%s)"
                  .formatted(file, seen, format.title(), e.getMessage()),
          e);
    }
  }

  private static String text(Path file) throws IOException {
    try {
      String text = InputFiles.text(file, MAX_FILE_BYTES);
      return text.startsWith("\uFEFF") ? text.substring(1) : text;
    } catch (NoSuchFileException e) {
      throw new IOException(file + ": no such file", e);
    }
  }

  private JsonNode parse(Path file, String where, String json) throws IOException {
    try {
      return Json.MAPPER.readTree(json);
    } catch (JacksonException e) {
      throw new OtherFormat(file + ": " + where + "not JSON: " + Json.problem(e), e);
    }
  }

  private void json(Path file, String part, JsonNode root) throws IOException {
    if (root.isArray()) {
      int number = 0;
      for (JsonNode node : root) {
        Entry entry = new Entry(file, "entry " + ++number, node);
        switch (format) {
          case ARO_RELATION, ARO_ATTRIBUTION -> aro(entry, number);
          case COCO_ORDER, FLICKR30K_ORDER -> order(entry);
          case VL_CHECKLIST -> vlChecklist(entry, part, number);
          case WINOGROUND -> winoground(entry);
          case SUGARCREPE_PP -> add(entry, ChoiceItems.sugarCrepePlus(entry, part));
          case COLA -> add(entry, ChoiceItems.cola(entry, number));
          case COLORSWAP -> add(entry, ChoiceItems.colorSwap(entry));
          case BIVLC -> add(entry, ChoiceItems.biVlc(entry, number));
          case VSR -> add(entry, ChoiceItems.vsr(entry, number));
          case WHATS_UP -> add(entry, ChoiceItems.whatsUp(entry, part, number));
          case COUNTBENCH -> {
            BenchmarkItem item = ChoiceItems.countBench(entry, number);
            if (item == null) {
              dropped.merge("the caption lacks its number's word", 1, Integer::sum);
            } else {
              add(entry, item);
            }
          }
          default -> throw new OtherFormat(file + ": must be an object of items by their id");
        }
      }
      return;
    }
    if (!root.isObject()) {
      throw new OtherFormat(file + ": holds neither a list nor an object");
    }
    if (format.task() == BenchmarkFormat.Task.ORDER) {
      karpathy(file, root);
      return;
    }
    for (Map.Entry<String, JsonNode> field : root.properties()) {
      Entry entry = new Entry(file, "entry " + Excerpt.of(field.getKey()), field.getValue());
      switch (format) {
        case VALSE -> valse(entry, part, field.getKey());
        case SUGARCREPE -> sugarCrepe(entry, part, field.getKey());
        default -> throw new OtherFormat(file + ": must be a list of items");
      }
    }
  }

  private void karpathy(Path file, JsonNode root) throws IOException {
    JsonNode images = root.get("images");
    if (images == null || !images.isArray() || !images.path(0).has("sentences")) {
      throw new OtherFormat(
          file + ": has no \"images\" with \"sentences\", as a Karpathy split has");
    }
    int number = 0;
    for (JsonNode node : images) {
      Entry entry = new Entry(file, "image " + ++number, node);
      if (!entry.text("split").equals("test")) {
        continue;
      }
      String folder = entry.has("filepath") ? entry.text("filepath") + "/" : "";
      JsonNode sentences = entry.node("sentences");
      if (!sentences.isArray()) {
        throw entry.wrong("\"sentences\" must be a list");
      }
      List<String> captions = new ArrayList<>();
      for (JsonNode sentence : sentences) {
        captions.add(new Entry(file, entry.where, sentence).text("raw"));
      }
      order(entry, entry.safe("filename", folder + entry.text("filename")), captions);
    }
  }

  private void order(Entry entry) throws IOException {
    JsonNode caption = entry.node("caption");
    order(
        entry,
        entry.path("image"),
        caption.isString() ? List.of(entry.text("caption")) : entry.texts("caption", 1));
  }

  private void order(Entry entry, String image, List<String> captions) throws IOException {
    for (String caption : captions) {
      int number = ++orderCaptions;
      if (orders == null) {
        orders = new WordOrders();
      }
      List<String> choice = orders.of(caption, number);
      if (choice.isEmpty()) {
        dropped.merge("no words", 1, Integer::sum);
      } else {
        add(
            entry,
            new BenchmarkItem(String.valueOf(number), "all", List.of(picture(image)), choice));
      }
    }
  }

  private void aro(Entry entry, int number) throws IOException {
    BenchmarkItem.Crop crop =
        entry.has("bbox_x")
            ? new BenchmarkItem.Crop(
                entry.integer("bbox_x", 0),
                entry.integer("bbox_y", 0),
                entry.integer("bbox_w", 1),
                entry.integer("bbox_h", 1))
            : null;
    String category;
    if (format == BenchmarkFormat.ARO_RELATION) {
      category = entry.text("relation_name");
    } else {
      List<String> attributes = entry.texts("attributes", 2);
      category = String.join("_", attributes);
    }
    add(
        entry,
        new BenchmarkItem(
            String.valueOf(number),
            category,
            List.of(new BenchmarkItem.Picture(entry.path("image_path"), crop)),
            List.of(entry.text("true_caption"), entry.text("false_caption"))));
  }

  private void winoground(Entry entry) throws IOException {
    add(
        entry,
        new BenchmarkItem(
            entry.id("id"),
            entry.text("collapsed_tag"),
            List.of(picture(entry.path("image_0")), picture(entry.path("image_1"))),
            List.of(entry.text("caption_0"), entry.text("caption_1"))));
  }

  private void valse(Entry entry, String part, String key) throws IOException {
    JsonNode votes = entry.node("mturk").get("caption");
    if (votes == null || !votes.isIntegralNumber()) {
      throw entry.wrong("needs an integer as \"mturk.caption\"");
    }
    if (votes.intValue() < VALSE_VOTES) {
      dropped.merge("fewer than two annotators chose the caption", 1, Integer::sum);
      return;
    }
    add(
        entry,
        new BenchmarkItem(
            part + "/" + key,
            part,
            List.of(picture(entry.path("image_file"))),
            List.of(entry.text("caption"), entry.text("foil"))));
  }

  private void sugarCrepe(Entry entry, String part, String id) throws IOException {
    add(
        entry,
        new BenchmarkItem(
            part + "/" + id,
            part,
            List.of(picture(entry.path("filename"))),
            List.of(entry.text("caption"), entry.text("negative_caption"))));
  }

  private void vlChecklist(Entry entry, String part, int number) throws IOException {
    if (!entry.node.isArray() || entry.node.size() != 2 || !entry.node.get(1).isObject()) {
      throw entry.other("must be [path, {\"POS\": […], \"NEG\": […]}]");
    }
    Entry captions = new Entry(entry.file, entry.where, entry.node.get(1));
    add(
        entry,
        new BenchmarkItem(
            part + "/" + number,
            part,
            List.of(picture(entry.relative("path", entry.node.get(0)))),
            List.of(captions.texts("POS", 1).getFirst(), captions.texts("NEG", 1).getFirst())));
  }

  private void table(Path file, String part, String text) throws IOException {
    if (text.stripLeading().startsWith("{") || text.stripLeading().startsWith("[")) {
      throw new OtherFormat(file + ": holds JSON, not comma-separated values");
    }
    try (CsvRows csv = new CsvRows(new StringReader(text), file.toString(), ',')) {
      CsvRows.Row first = csv.next();
      if (first == null) {
        throw new IOException(file + ": is empty but for marks of its byte order");
      }
      List<String> header = first.fields();
      for (String name : Objects.requireNonNull(TABLES.get(format))) {
        if (!header.contains(name)) {
          throw new OtherFormat(
              "%s: has no column %s; its columns are %s".formatted(file, name, Excerpt.of(header)));
        }
      }
      ChoiceItems.Row before = null;
      for (CsvRows.Row row = csv.next(); row != null; row = csv.next()) {
        if (row.fields().size() != header.size()) {
          throw new IOException(
              "%s line %d: has %d fields, the header has %d"
                  .formatted(file, row.line(), row.fields().size(), header.size()));
        }
        Map<String, String> fields = new HashMap<>();
        for (int i = 0; i < header.size(); i++) {
          fields.put(header.get(i), row.fields().get(i));
        }
        Entry entry = new Entry(file, "line " + row.line(), NO_FIELDS);
        ChoiceItems.Row of = new ChoiceItems.Row(entry, fields);
        switch (format) {
          case SVO_PROBES -> svoProbe(of, row.line());
          case COMVG -> add(entry, ChoiceItems.comVg(of));
          case NEGBENCH -> add(entry, ChoiceItems.negBench(of));
          case CREPE -> add(entry, ChoiceItems.crepe(of, part));
          default -> {
            if (before != null) {
              add(entry, ChoiceItems.mmvp(before, of));
            }
            before = before == null ? of : null;
          }
        }
      }
      if (before != null) {
        throw before.entry().wrong("has no partner: rows are in pairs");
      }
    }
  }

  private void svoProbe(ChoiceItems.Row row, long line) throws IOException {
    List<String> negative = new ArrayList<>();
    for (String part : List.of("subj", "verb", "obj")) {
      String value = row.fields().getOrDefault(part + "_neg", "").strip();
      if (value.equalsIgnoreCase("true") || value.equals("1")) {
        negative.add(part);
      } else if (!value.equalsIgnoreCase("false") && !value.equals("0")) {
        throw row.entry()
            .wrong(part + "_neg is '" + Excerpt.of(value) + "'; True or False is needed");
      }
    }
    if (negative.isEmpty()) {
      throw row.entry().wrong("none of subj_neg, verb_neg and obj_neg is True");
    }
    if (negative.size() > 1) {
      dropped.merge("more than one part differs", 1, Integer::sum);
      return;
    }
    String sentence = row.fields().getOrDefault("sentence", "");
    if (sentence.isBlank()) {
      dropped.merge("no sentence", 1, Integer::sum);
      return;
    }
    add(
        row.entry(),
        new BenchmarkItem(
            String.valueOf(line),
            negative.getFirst(),
            List.of(picture(row.path("pos_image_id")), picture(row.path("neg_image_id"))),
            List.of(sentence)));
  }

  private static BenchmarkItem.Picture picture(String path) {
    return new BenchmarkItem.Picture(path, null);
  }

  private void add(Entry entry, BenchmarkItem item) throws IOException {
    if (items.putIfAbsent(item.id(), item) != null) {
      throw entry.wrong("the id " + Excerpt.of(item.id()) + " occurs twice");
    }
  }

  /** The benchmark that a text looks like, by its fields' names; null if by none. */
  private static @Nullable String guess(String text) {
    String start = text.substring(0, Math.min(text.length(), 1 << 16));
    Map<String, BenchmarkFormat> marks = new LinkedHashMap<>();
    marks.put("\"caption_0\"", BenchmarkFormat.WINOGROUND);
    marks.put("\"relation_name\"", BenchmarkFormat.ARO_RELATION);
    marks.put("\"false_caption\"", BenchmarkFormat.ARO_ATTRIBUTION);
    marks.put("\"foil\"", BenchmarkFormat.VALSE);
    marks.put("\"caption2\"", BenchmarkFormat.SUGARCREPE_PP);
    marks.put("\"negative_image\"", BenchmarkFormat.BIVLC);
    marks.put("\"caption_2\"", BenchmarkFormat.COLORSWAP);
    marks.put("\"negative_caption\"", BenchmarkFormat.SUGARCREPE);
    marks.put("\"POS\"", BenchmarkFormat.VL_CHECKLIST);
    marks.put("\"caption_options\"", BenchmarkFormat.WHATS_UP);
    marks.put("\"vote_true_validator_id\"", BenchmarkFormat.VSR);
    marks.put("neg_value", BenchmarkFormat.COMVG);
    marks.put("correct_answer_template", BenchmarkFormat.NEGBENCH);
    marks.put("hard_negs", BenchmarkFormat.CREPE);
    marks.put("subj_neg", BenchmarkFormat.SVO_PROBES);
    for (Map.Entry<String, BenchmarkFormat> mark : marks.entrySet()) {
      if (start.contains(mark.getKey())) {
        return mark.getValue().title();
      }
    }
    if (start.contains("\"sentences\"")) {
      return "a Karpathy split";
    }
    return start.contains("\"annotations\"") ? "a COCO annotations file" : null;
  }

  /** The file has not the form of the benchmark; perhaps it has that of another. */
  static final class OtherFormat extends IOException {
    private static final long serialVersionUID = 1L;

    OtherFormat(String message) {
      super(message);
    }

    OtherFormat(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /** An item's JSON and where it stands. */
  record Entry(Path file, String where, JsonNode node) {
    boolean has(String field) {
      return node.has(field);
    }

    IOException wrong(String what) {
      return new IOException(file + " " + where + ": " + what);
    }

    OtherFormat other(String what) {
      return new OtherFormat(file + " " + where + ": " + what);
    }

    JsonNode node(String field) throws IOException {
      JsonNode value = node.get(field);
      if (value == null) {
        throw other("has no \"" + field + "\"");
      }
      return value;
    }

    String text(String field) throws IOException {
      return text(field, node(field));
    }

    String text(String field, JsonNode value) throws IOException {
      if (!value.isString() || value.stringValue().isBlank()) {
        throw wrong(
            "\"" + field + "\" is " + Excerpt.of(value) + "; a text that is not blank is needed");
      }
      return value.stringValue();
    }

    List<String> texts(String field, int least) throws IOException {
      JsonNode list = node(field);
      if (!list.isArray() || list.size() < least) {
        throw wrong("\"" + field + "\" must be a list of at least " + least);
      }
      List<String> texts = new ArrayList<>();
      for (JsonNode value : list) {
        texts.add(text(field, value));
      }
      return texts;
    }

    int integer(String field, int least) throws IOException {
      JsonNode value = node(field);
      if (!value.isIntegralNumber() || !value.canConvertToInt() || value.intValue() < least) {
        throw wrong(
            "\"%s\" is %s; an integer of at least %d is needed"
                .formatted(field, Excerpt.of(value), least));
      }
      return value.intValue();
    }

    String id(String field) throws IOException {
      JsonNode value = node(field);
      if (!value.isIntegralNumber() && !value.isString()) {
        throw wrong(
            "\"" + field + "\" is " + Excerpt.of(value) + "; an integer or a text is needed");
      }
      return value.asString();
    }

    String path(String field) throws IOException {
      return relative(field, node(field));
    }

    String relative(String field, JsonNode value) throws IOException {
      return safe(field, text(field, value));
    }

    /** A path that stays inside the folder of images. */
    String safe(String field, String path) throws IOException {
      try {
        Path normal = Path.of(path).normalize();
        if (path.isBlank() || normal.isAbsolute() || normal.startsWith("..")) {
          throw wrong(
              "the image path '%s' in \"%s\" leads out of the folder of images; make it relative to"
                      .formatted(Excerpt.of(path), field)
                  + " that folder");
        }
        return normal.toString();
      } catch (InvalidPathException e) {
        throw wrong("the image path in \"" + field + "\" is not valid: " + e.getReason());
      }
    }
  }
}
