package org.nasvlp.data.source;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.text.CaptionText;
import org.nasvlp.internal.CsvRows;
import org.nasvlp.internal.Excerpt;
import org.nasvlp.internal.InputFiles;
import org.nasvlp.internal.Json;
import org.nasvlp.random.StableHash;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Reads a list of images and captions in any of its forms. */
final class ListReader {
  private static final int MAX_LINE_BYTES = 1 << 24;
  private static final JsonMapper JSON_ENTRIES =
      Json.MAPPER.rebuild().disable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
  private static final List<String> IMAGE_COLUMNS =
      List.of("image", "image_path", "filepath", "file_path", "file_name", "filename", "path");
  private static final List<String> CAPTION_COLUMNS = List.of("caption", "title", "text");
  private static final List<String> TRAINING_SPLITS = List.of("train", "restval");
  private static final List<String> TEST_SPLITS = List.of("test");

  /** What an entry's number counts. */
  enum Naming {
    ENTRY("[%d]"),
    LINE(" line %d"),
    ANNOTATION(" annotation %d"),
    IMAGE(" image %d");

    private final String form;

    Naming(String form) {
      this.form = form;
    }

    String sample(String file, int entry, int part) {
      String name = file + form.formatted(entry);
      return part < 0 ? name : name + " caption " + part;
    }
  }

  private final Path file;
  private final String fileName;
  private final Path root;
  private final DatasetOptions options;
  private final PairTable pairs = new PairTable();
  private Naming naming = Naming.ENTRY;

  ListReader(Path file, Path root, DatasetOptions options) {
    this.file = file;
    this.fileName = file.getFileName().toString();
    this.root = root;
    this.options = options;
  }

  /** The pairs, finished. */
  PairTable read() throws IOException {
    try {
      String name = fileName.toLowerCase(Locale.ROOT);
      if (name.endsWith(".jsonl")) {
        readLines();
      } else if (name.endsWith(".csv")) {
        readTable(',');
      } else if (name.endsWith(".tsv")) {
        readTable('\t');
      } else {
        readJson();
      }
      boolean table = name.endsWith(".csv") || name.endsWith(".tsv");
      refuse(
          !table && (options.imageColumn() != null || options.captionColumn() != null), "columns");
      refuse(naming != Naming.IMAGE && !options.splits().isEmpty(), "splits");
      pairs.finish();
      return pairs;
    } catch (IOException | RuntimeException e) {
      pairs.close();
      throw e;
    }
  }

  Naming naming() {
    return naming;
  }

  private void refuse(boolean notItsOwn, String what) throws IOException {
    if (notItsOwn) {
      throw new IOException(file + " is a list without " + what + "; leave that option away");
    }
  }

  private void readJson() throws IOException {
    int[] index = {0};
    try (JsonParser parser = JSON_ENTRIES.createParser(file)) {
      JsonToken first = parser.nextToken();
      if (first == JsonToken.START_OBJECT) {
        readObject(parser, index);
      } else if (first == JsonToken.START_ARRAY) {
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          add(index[0], JSON_ENTRIES.readTree(parser));
          index[0]++;
        }
      } else {
        throw noList();
      }
      if (parser.nextToken() != null) {
        throw new IOException(
            "%s: line %d: more JSON follows the end of the list; keep one list a file"
                .formatted(file, parser.currentTokenLocation().getLineNr()));
      }
    } catch (JacksonException e) {
      throw new IOException(
          "%s is not valid JSON after %d entries, in %s".formatted(file, index[0], Json.problem(e)),
          e);
    }
  }

  private IOException noList() {
    return new IOException(
        file
            + " does not hold a list: [{\"image\": path, \"caption\": text}, …], COCO's captions or"
            + " a Karpathy split are needed (one object a line goes into a .jsonl file)");
  }

  /** COCO's captions ("images" and "annotations") or a Karpathy split ("images" alone). */
  private void readObject(JsonParser parser, int[] index) throws IOException {
    Map<Long, String> files = new HashMap<>();
    List<CocoCaption> captions = new ArrayList<>();
    boolean karpathy = false;
    boolean coco = false;
    Set<String> otherSplits = new TreeSet<>();
    while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
      String field = parser.currentName();
      JsonToken value = parser.nextToken();
      boolean list = value == JsonToken.START_ARRAY;
      if (field.equals("images") && list) {
        int number = 0;
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          JsonNode image = JSON_ENTRIES.readTree(parser);
          if (image.has("sentences")) {
            karpathy = true;
            naming = Naming.IMAGE;
            addKarpathy(number, image, otherSplits);
          } else {
            addCocoImage(number, image, files);
          }
          number++;
          index[0]++;
        }
      } else if (field.equals("annotations") && list) {
        coco = true;
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          captions.add(CocoCaption.of(JSON_ENTRIES.readTree(parser)));
          index[0]++;
        }
      } else {
        parser.skipChildren();
      }
    }
    if (karpathy && pairs.size() == 0) {
      throw new IOException(
          "%s has no image of the splits %s; it has %s"
              .formatted(
                  file, String.join(", ", splits()), Excerpt.of(String.join(", ", otherSplits))));
    }
    if (karpathy) {
      return;
    }
    if (!coco) {
      throw noList();
    }
    naming = Naming.ANNOTATION;
    for (int i = 0; i < captions.size(); i++) {
      addCoco(i, captions.get(i), files);
    }
  }

  private List<String> splits() {
    if (!options.splits().isEmpty()) {
      return options.splits();
    }
    return options.test() ? TEST_SPLITS : TRAINING_SPLITS;
  }

  /**
   * An annotation of COCO's captions.
   *
   * @param problem what is wrong with it; null for nothing
   */
  private record CocoCaption(long image, String caption, @Nullable String problem) {
    static CocoCaption of(JsonNode node) {
      JsonNode image = node.get("image_id");
      JsonNode caption = node.get("caption");
      if (!node.isObject()) {
        return new CocoCaption(0, "", "is " + ListReader.kind(node) + "; an object is needed");
      }
      if (image == null || !image.isIntegralNumber() || !image.canConvertToLong()) {
        return new CocoCaption(0, "", "needs an integer as \"image_id\"");
      }
      if (caption == null || !caption.isString()) {
        return new CocoCaption(
            0,
            "",
            caption == null
                ? "has no \"caption\""
                : "\"caption\" is " + ListReader.kind(caption) + "; a string is needed");
      }
      return new CocoCaption(image.longValue(), caption.stringValue(), null);
    }
  }

  private void addCocoImage(int number, JsonNode image, Map<Long, String> files)
      throws IOException {
    JsonNode id = image.get("id");
    JsonNode name = image.get("file_name");
    if (id == null || !id.isIntegralNumber() || name == null || !name.isString()) {
      throw new IOException(
          "%s image %d needs an integer \"id\" and a text \"file_name\" (COCO), or \"filename\" and"
                  .formatted(file, number)
              + " \"sentences\" (Karpathy)");
    }
    String before = files.put(id.longValue(), name.stringValue());
    if (before != null) {
      throw new IOException(
          "%s has two images with the id %d: %s and %s"
              .formatted(file, id.longValue(), Excerpt.of(before), Excerpt.of(name.stringValue())));
    }
  }

  private void addCoco(int number, CocoCaption annotation, Map<Long, String> files)
      throws IOException {
    try {
      if (annotation.problem() != null) {
        throw wrong(number, annotation.problem());
      }
      String image = files.get(annotation.image());
      if (image == null) {
        throw wrong(
            number, "is of the image " + annotation.image() + ", which \"images\" does not have");
      }
      addPair(
          number,
          -1,
          imagePath(number, image, "file_name"),
          annotation.image(),
          annotation.caption());
    } catch (BadSampleException e) {
      pairs.addBad(e.sample(), e.reason());
    }
  }

  private void addKarpathy(int number, JsonNode image, Set<String> otherSplits) throws IOException {
    try {
      JsonNode split = image.get("split");
      if (split == null || !split.isString()) {
        throw wrong(number, "needs a text as \"split\"");
      }
      if (!splits().contains(split.stringValue())) {
        otherSplits.add(split.stringValue());
        return;
      }
      JsonNode name = image.get("filename");
      if (name == null || !name.isString()) {
        throw wrong(number, "needs a text as \"filename\"");
      }
      JsonNode folder = image.get("filepath");
      String path =
          folder != null && folder.isString() && !folder.stringValue().isBlank()
              ? folder.stringValue() + "/" + name.stringValue()
              : name.stringValue();
      path = imagePath(number, path, "filename");
      JsonNode given = image.has("cocoid") ? image.get("cocoid") : image.get("imgid");
      long id =
          given == null
              ? StableHash.of(path)
              : ListDataset.imageId(given, naming.sample(fileName, number, -1));
      JsonNode sentences = image.get("sentences");
      if (!sentences.isArray() || sentences.isEmpty()) {
        throw wrong(number, "\"sentences\" must be a list of at least one");
      }
      for (int i = 0; i < sentences.size(); i++) {
        JsonNode raw = sentences.get(i).get("raw");
        String which = naming.sample(fileName, number, i);
        if (raw == null || !raw.isString()) {
          pairs.addBad(which, "needs a text as \"raw\"");
        } else {
          addText(number, i, path, id, raw.stringValue());
        }
      }
    } catch (BadSampleException e) {
      pairs.addBad(e.sample(), e.reason());
    }
  }

  private void readLines() throws IOException {
    naming = Naming.LINE;
    try (InputStream in = Files.newInputStream(file)) {
      byte[] block = new byte[1 << 16];
      ByteArrayOutputStream begun = new ByteArrayOutputStream();
      int line = 1;
      for (int count = in.read(block); count >= 0; count = in.read(block)) {
        int from = 0;
        for (int i = 0; i < count; i++) {
          if (block[i] == '\n') {
            begun.write(block, from, i - from);
            addLine(line++, begun.toByteArray());
            begun.reset();
            from = i + 1;
          }
        }
        begun.write(block, from, count - from);
        if (begun.size() > MAX_LINE_BYTES) {
          throw new IOException(
              file + " has a line of more than " + MAX_LINE_BYTES + " bytes; is it a .jsonl list?");
        }
      }
      addLine(line, begun.toByteArray());
    }
  }

  private void addLine(int line, byte[] json) throws IOException {
    try {
      JsonNode node = Json.MAPPER.readTree(json);
      if (!node.isMissingNode()) {
        add(line, node);
      }
    } catch (JacksonException e) {
      pairs.addBad(naming.sample(fileName, line, -1), "is not valid JSON: " + Json.problem(e));
    }
  }

  private void readTable(char separator) throws IOException {
    naming = Naming.LINE;
    try (CsvRows rows =
        new CsvRows(
            new InputStreamReader(
                Files.newInputStream(file),
                StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)),
            file.toString(),
            separator)) {
      CsvRows.Row header = rows.next();
      if (header == null) {
        throw new IOException(file + " is empty; a line with the columns' names is needed");
      }
      int image = column(header, options.imageColumn(), "image", IMAGE_COLUMNS);
      int caption = column(header, options.captionColumn(), "caption", CAPTION_COLUMNS);
      for (CsvRows.Row row = rows.next(); row != null; row = rows.next()) {
        int fields = row.fields().size();
        if (fields != header.fields().size()) {
          pairs.addBad(
              naming.sample(fileName, row.line(), -1),
              "has %d fields; the first line has %d".formatted(fields, header.fields().size()));
          continue;
        }
        try {
          String path = imagePath(row.line(), row.fields().get(image), header.fields().get(image));
          addText(row.line(), -1, path, StableHash.of(path), row.fields().get(caption));
        } catch (BadSampleException e) {
          pairs.addBad(e.sample(), e.reason());
        }
      }
    } catch (CharacterCodingException e) {
      throw InputFiles.notUtf8(file.toString(), e);
    }
  }

  private int column(CsvRows.Row header, @Nullable String wanted, String what, List<String> usual)
      throws IOException {
    List<String> names = wanted == null ? usual : List.of(wanted);
    List<Integer> found = new ArrayList<>();
    for (int i = 0; i < header.fields().size(); i++) {
      String name = header.fields().get(i).strip();
      if (names.contains(wanted == null ? name.toLowerCase(Locale.ROOT) : name)) {
        found.add(i);
      }
    }
    if (found.size() != 1) {
      throw new IOException(
          "%s has %s for the %s (%s); its columns are %s: name the one that is meant"
              .formatted(
                  file,
                  found.isEmpty() ? "no column" : found.size() + " columns",
                  what,
                  String.join(", ", names),
                  Excerpt.of(String.join(", ", header.fields()))));
    }
    return found.getFirst();
  }

  private void add(int number, JsonNode entry) throws IOException {
    try {
      addPairs(number, entry);
    } catch (BadSampleException e) {
      pairs.addBad(e.sample(), e.reason());
    }
  }

  private void addPairs(int number, JsonNode entry) throws IOException, BadSampleException {
    if (!entry.isObject()) {
      throw wrong(number, "is " + kind(entry) + "; an object {\"image\", \"caption\"} is needed");
    }
    String image = imagePath(number, entry.get("image"));
    JsonNode captions = entry.get("caption");
    if (captions == null) {
      throw wrong(number, "has no \"caption\"");
    }
    JsonNode given = entry.get("image_id");
    long id =
        given == null || given.isNull()
            ? StableHash.of(image)
            : ListDataset.imageId(given, naming.sample(fileName, number, -1));
    if (!captions.isArray()) {
      addCaption(number, -1, image, id, captions);
      return;
    }
    if (captions.isEmpty()) {
      throw wrong(number, "has an empty list of captions");
    }
    for (int i = 0; i < captions.size(); i++) {
      addCaption(number, captions.size() == 1 ? -1 : i, image, id, captions.get(i));
    }
  }

  private void addCaption(int number, int part, String image, long id, JsonNode caption)
      throws IOException {
    if (caption.isString()) {
      addText(number, part, image, id, caption.stringValue());
    } else {
      pairs.addBad(
          naming.sample(fileName, number, part),
          "\"caption\" is " + kind(caption) + "; a string or strings are needed");
    }
  }

  private void addText(int number, int part, String image, long id, String caption)
      throws IOException {
    try {
      addPair(number, part, image, id, caption);
    } catch (BadSampleException e) {
      pairs.addBad(e.sample(), e.reason());
    }
  }

  private void addPair(int number, int part, String image, long id, String caption)
      throws IOException, BadSampleException {
    String clean;
    try {
      clean = CaptionText.clean(caption, fileName);
    } catch (BadSampleException e) {
      throw new BadSampleException(naming.sample(fileName, number, part), e.reason(), e);
    }
    int earlier = pairs.add(number, part, image, id, clean, options.test());
    if (earlier >= 0) {
      throw new BadSampleException(
          naming.sample(fileName, number, part),
          "repeats the image and caption of "
              + naming.sample(fileName, pairs.entry(earlier), pairs.part(earlier)));
    }
  }

  /**
   * Whether a path is plain names that begin with no dot: most are, and need no more looking at.
   */
  private static boolean isPlain(String path) {
    boolean begins = true;
    for (int i = 0; i < path.length(); i++) {
      char c = path.charAt(i);
      boolean name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      boolean plain = begins ? name : name || c == '.' || c == '-' || c == '_' || c == '/';
      if (!plain) {
        return false;
      }
      begins = c == '/';
    }
    return !begins;
  }

  private BadSampleException wrong(int number, String reason) {
    return new BadSampleException(naming.sample(fileName, number, -1), reason);
  }

  private String imagePath(int number, @Nullable JsonNode image) throws BadSampleException {
    if (image == null) {
      throw wrong(number, "has no \"image\"");
    }
    if (!image.isString()) {
      throw wrong(number, "\"image\" is " + kind(image) + "; a path as a string is needed");
    }
    return imagePath(number, image.stringValue(), "image");
  }

  private String imagePath(int number, String text, String field) throws BadSampleException {
    if (isPlain(text)) {
      return text;
    }
    if (text.isBlank()) {
      throw wrong(number, "\"" + field + "\" is empty; a path is needed");
    }
    try {
      Path path = root.resolve(text).normalize();
      if (Path.of(text).isAbsolute() || !path.startsWith(root) || path.equals(root)) {
        throw wrong(
            number,
            "the image path "
                + text
                + " leads out of the folder of images; move the image into it");
      }
      return root.relativize(path).toString().replace(path.getFileSystem().getSeparator(), "/");
    } catch (InvalidPathException e) {
      throw wrong(number, "the image path is not valid: " + e.getReason());
    }
  }

  static String kind(JsonNode node) {
    return switch (node.getNodeType()) {
      case OBJECT -> "an object";
      case ARRAY -> "a list";
      case STRING -> "a string";
      case NUMBER -> "the number " + Excerpt.of(node);
      case BOOLEAN -> node.toString();
      case NULL -> "null";
      default -> node.getNodeType().toString();
    };
  }
}
