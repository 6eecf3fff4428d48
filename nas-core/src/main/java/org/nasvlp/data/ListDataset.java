package org.nasvlp.data;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.nasvlp.internal.StableHash;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A JSON or JSON-lines list of images in the list's folder with their captions. Symbolic links
 * inside the folder are followed; paths that lead out of it are refused. Thread-safe.
 */
final class ListDataset implements ImageTextDataset {
  private static final int MAX_LINE_BYTES = 1 << 24;
  private static final int SHOWN = 10;
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final JsonMapper JSON_ENTRIES =
      JsonMapper.builder().disable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

  /** A pair, or the place of one that cannot be used, with the reason. */
  private record Slot(String sample, String image, String key, long id, String caption) {
    static Slot bad(String sample, String reason) {
      return new Slot(sample, null, null, 0, reason);
    }

    boolean isBad() {
      return image == null;
    }
  }

  private final Path file;
  private final Path root;
  private final int background;
  private final Slot[] slots;
  private volatile boolean closed;

  private ListDataset(Path file, int background, List<Slot> slots) {
    this.file = file;
    this.root = rootOf(file);
    this.background = background;
    this.slots = slots.toArray(Slot[]::new);
  }

  private static Path rootOf(Path file) {
    return file.toAbsolutePath().normalize().getParent();
  }

  static ListDataset open(Path file, int background) throws IOException {
    Reader reader = new Reader(file);
    if (file.getFileName().toString().toLowerCase(Locale.ROOT).endsWith(".jsonl")) {
      reader.readLines();
    } else {
      reader.readArray();
    }
    List<Slot> slots = reader.slots;
    if (slots.stream().allMatch(Slot::isBad)) {
      throw DatasetOpener.nothingUsable(
          file,
          "entries {\"image\": path, \"caption\": text}",
          slots.stream()
              .limit(SHOWN)
              .map(slot -> new BadSampleException(slot.sample(), slot.caption()).getMessage())
              .toList());
    }
    return new ListDataset(file, background, slots);
  }

  @Override
  public long size() {
    return slots.length;
  }

  @Override
  public String name() {
    return file.toString();
  }

  @Override
  public ImageTextPair get(long index) throws BadSampleException {
    Slot slot = slot(index);
    String name = slot.sample() + " (" + slot.image() + ")";
    RgbImage image =
        RgbImage.decode(RgbImage.readFile(root.resolve(slot.image()), name), name, background);
    return new ImageTextPair(slot.key(), slot.id(), image, slot.caption());
  }

  @Override
  public ImageCaption caption(long index) throws BadSampleException {
    Slot slot = slot(index);
    return new ImageCaption(slot.id(), slot.caption());
  }

  private Slot slot(long index) throws BadSampleException {
    Slot slot = slots[(int) Objects.checkIndex(index, (long) slots.length)];
    if (closed) {
      throw new IllegalStateException(file + " is closed");
    }
    if (slot.isBad()) {
      throw new BadSampleException(slot.sample(), slot.caption());
    }
    return slot;
  }

  @Override
  public void close() {
    closed = true;
  }

  /** An {@code image_id}: an integer as it is, a string by its hash. */
  static long imageId(JsonNode id, String sample) throws BadSampleException {
    if (id.isIntegralNumber() && id.canConvertToLong()) {
      return id.longValue();
    }
    if (id.isString()) {
      return StableHash.of(id.stringValue());
    }
    throw new BadSampleException(
        sample, "\"image_id\" is " + kind(id) + "; an integer or a string is needed");
  }

  private static String kind(JsonNode node) {
    return switch (node.getNodeType()) {
      case OBJECT -> "an object";
      case ARRAY -> "a list";
      case STRING -> "a string";
      case NUMBER -> "the number " + node;
      case BOOLEAN -> node.toString();
      case NULL -> "null";
      default -> node.getNodeType().toString();
    };
  }

  private static final class Reader {
    private final Path file;
    private final Path root;
    private final String fileName;
    private final List<Slot> slots = new ArrayList<>();
    private final Map<String, String> seen = new HashMap<>();
    private final Map<String, Integer> pairsOfImage = new HashMap<>();

    Reader(Path file) {
      this.file = file;
      this.root = rootOf(file);
      this.fileName = file.getFileName().toString();
    }

    void readArray() throws IOException {
      int index = 0;
      try (JsonParser parser = JSON_ENTRIES.createParser(file)) {
        if (parser.nextToken() != JsonToken.START_ARRAY) {
          throw new IOException(
              file
                  + " does not hold a list: [{\"image\": path, \"caption\": text}, …] is needed"
                  + " (one object a line goes into a .jsonl file)");
        }
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          add(fileName + "[" + index + "]", JSON_ENTRIES.readTree(parser));
          index++;
        }
      } catch (JacksonException e) {
        throw new IOException(
            "%s is not valid JSON after %d entries%s: %s"
                .formatted(
                    file,
                    index,
                    e.getLocation() == null ? "" : ", in line " + e.getLocation().getLineNr(),
                    e.getOriginalMessage()),
            e);
      }
    }

    void readLines() throws IOException {
      try (InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16)) {
        int line = 0;
        byte[] bytes;
        while ((bytes = readLine(in)) != null) {
          line++;
          String sample = fileName + " line " + line;
          try {
            JsonNode node = JSON.readTree(bytes);
            if (!node.isMissingNode()) {
              add(sample, node);
            }
          } catch (JacksonException e) {
            slots.add(Slot.bad(sample, "is not valid JSON: " + e.getOriginalMessage()));
          }
        }
      }
    }

    private byte[] readLine(InputStream in) throws IOException {
      ByteArrayOutputStream line = new ByteArrayOutputStream();
      int b = in.read();
      if (b < 0) {
        return null;
      }
      while (b >= 0 && b != '\n') {
        line.write(b);
        if (line.size() > MAX_LINE_BYTES) {
          throw new IOException(
              file + " has a line of more than " + MAX_LINE_BYTES + " bytes; is it a .jsonl list?");
        }
        b = in.read();
      }
      return line.toByteArray();
    }

    private void add(String sample, JsonNode entry) {
      try {
        addPairs(sample, entry);
      } catch (BadSampleException e) {
        slots.add(Slot.bad(e.sample(), e.reason()));
      }
    }

    private void addPairs(String sample, JsonNode entry) throws BadSampleException {
      if (!entry.isObject()) {
        throw new BadSampleException(
            sample, "is " + kind(entry) + "; an object {\"image\", \"caption\"} is needed");
      }
      String image = imagePath(sample, entry.get("image"));
      JsonNode captions = entry.get("caption");
      if (captions == null) {
        throw new BadSampleException(sample, "has no \"caption\"");
      }
      JsonNode given = entry.get("image_id");
      long id = given == null || given.isNull() ? StableHash.of(image) : imageId(given, sample);
      if (!captions.isArray()) {
        addPair(sample, image, id, captions);
        return;
      }
      if (captions.isEmpty()) {
        throw new BadSampleException(sample, "has an empty list of captions");
      }
      for (int i = 0; i < captions.size(); i++) {
        String which = captions.size() == 1 ? sample : sample + " caption " + i;
        try {
          addPair(which, image, id, captions.get(i));
        } catch (BadSampleException e) {
          slots.add(Slot.bad(e.sample(), e.reason()));
        }
      }
    }

    private void addPair(String sample, String image, long id, JsonNode caption)
        throws BadSampleException {
      if (!caption.isString()) {
        throw new BadSampleException(
            sample, "\"caption\" is " + kind(caption) + "; a string or strings are needed");
      }
      String text = CaptionText.clean(caption.stringValue(), sample);
      String earlier = seen.putIfAbsent(image + "\n" + text, sample);
      if (earlier != null) {
        throw new BadSampleException(sample, "repeats the image and caption of " + earlier);
      }
      int before = pairsOfImage.merge(image, 1, Integer::sum) - 1;
      slots.add(new Slot(sample, image, before == 0 ? image : image + "#" + before, id, text));
    }

    private String imagePath(String sample, JsonNode image) throws BadSampleException {
      if (image == null) {
        throw new BadSampleException(sample, "has no \"image\"");
      }
      if (!image.isString()) {
        throw new BadSampleException(
            sample, "\"image\" is " + kind(image) + "; a path as a string is needed");
      }
      String text = image.stringValue();
      if (text.isBlank()) {
        throw new BadSampleException(sample, "\"image\" is empty; a path is needed");
      }
      try {
        Path path = root.resolve(text).normalize();
        if (Path.of(text).isAbsolute() || !path.startsWith(root) || path.equals(root)) {
          throw new BadSampleException(
              sample,
              "the image path " + text + " leads out of the list's folder; move the image into it");
        }
        return root.relativize(path).toString().replace(path.getFileSystem().getSeparator(), "/");
      } catch (InvalidPathException e) {
        throw new BadSampleException(sample, "the image path is not valid: " + e.getReason(), e);
      }
    }
  }
}
