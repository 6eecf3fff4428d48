package org.nasvlp.data.source;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageCaption;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.internal.Excerpt;
import org.nasvlp.internal.InputFiles;
import org.nasvlp.internal.Json;
import org.nasvlp.random.StableHash;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.JsonNode;

/**
 * Several data sets as one, each with a weight: an epoch holds every pair of a source as often as
 * its weight says. Image ids of different sources are kept apart. Thread-safe.
 */
final class MixedDataset implements ImageTextDataset {
  private static final String SOURCES = "sources";
  private static final int MOST_BYTES = 1 << 20;
  private static final int MOST_WEIGHT = 1000;
  private static final int MOST_PATH = 4096;
  private static final Set<String> FIELDS =
      Set.of("path", "weight", "images", "imageColumn", "captionColumn", "splits");

  /**
   * @param end index after its last pair, repeats included
   * @param salt tells its image ids from other sources'
   */
  private record Source(ImageTextDataset dataset, long begin, long end, long salt) {}

  private final Path file;
  private final List<Source> sources;

  private MixedDataset(Path file, List<Source> sources) {
    this.file = file;
    this.sources = List.copyOf(sources);
  }

  /** Whether a JSON file is a mixture: an object whose first field is {@code sources}. */
  static boolean isMixture(Path file) throws IOException {
    if (!file.getFileName().toString().toLowerCase(Locale.ROOT).endsWith(".json")) {
      return false;
    }
    try (InputStream in = Files.newInputStream(file);
        JsonParser parser = Json.MAPPER.createParser(in)) {
      return parser.nextToken() == JsonToken.START_OBJECT
          && parser.nextToken() == JsonToken.PROPERTY_NAME
          && parser.currentName().equals(SOURCES);
    } catch (JacksonException e) {
      return false;
    }
  }

  /**
   * Opens a mixture: {@code {"sources": [{"path": …, "weight": 2, "images": …}, …]}}, paths
   * relative to the file's folder.
   */
  static MixedDataset open(Path file, DatasetOptions options) throws IOException {
    if (options.describesAList()) {
      throw new IOException(
          file
              + " is a mixture, whose sources say themselves where images, columns and splits are;"
              + " leave those options away");
    }
    JsonNode list = parse(file);
    List<Source> sources = new ArrayList<>();
    try {
      long end = 0;
      for (JsonNode node : list) {
        Entry entry = new Entry(file, sources.size() + 1, node);
        ImageTextDataset dataset = entry.open(options);
        long begin = end;
        end = Math.addExact(begin, Math.multiplyExact(dataset.size(), (long) entry.weight()));
        long salt = StableHash.of(node.get("path").stringValue());
        sources.add(new Source(dataset, begin, end, sources.isEmpty() ? 0 : salt));
      }
      return new MixedDataset(file, sources);
    } catch (IOException | RuntimeException e) {
      sources.forEach(source -> source.dataset().close());
      throw e;
    }
  }

  private static JsonNode parse(Path file) throws IOException {
    JsonNode list = Json.parse(InputFiles.text(file, MOST_BYTES), file.toString()).get(SOURCES);
    if (!list.isArray() || list.isEmpty()) {
      throw new IOException(file + ": \"sources\" must be a list of at least one data set");
    }
    return list;
  }

  /** A source as the file says it. */
  private record Entry(Path file, int number, JsonNode node) {
    private IOException wrong(String what) {
      return new IOException(file + ": source " + number + ": " + what);
    }

    ImageTextDataset open(DatasetOptions options) throws IOException {
      if (!node.isObject()) {
        throw wrong("must be an object with a \"path\"");
      }
      for (String field : node.propertyNames()) {
        if (!FIELDS.contains(field)) {
          throw wrong(
              "has the unknown field \""
                  + Excerpt.of(field)
                  + "\"; there are "
                  + String.join(", ", FIELDS.stream().sorted().toList()));
        }
      }
      String path = text("path");
      if (path == null) {
        throw wrong("has no \"path\"");
      }
      Path data = resolve(path);
      if (Files.isRegularFile(data) && isMixture(data)) {
        throw wrong(Excerpt.of(path) + " is a mixture itself; name its sources");
      }
      weight();
      DatasetOptions own =
          options.withColumns(text("imageColumn"), text("captionColumn")).withSplits(splits());
      String images = text("images");
      try {
        return ImageTextDataset.open(data, images == null ? own : own.withImages(resolve(images)));
      } catch (IOException e) {
        throw new IOException(file + ": source " + number + ": " + e.getMessage(), e);
      }
    }

    private Path resolve(String path) throws IOException {
      if (path.length() > MOST_PATH) {
        throw wrong(
            "'" + Excerpt.of(path) + "' is no path: it has more than " + MOST_PATH + " characters");
      }
      try {
        return file.toAbsolutePath().resolveSibling(path).normalize();
      } catch (InvalidPathException e) {
        throw wrong("'" + Excerpt.of(path) + "' is no path: " + e.getReason());
      }
    }

    private @Nullable String text(String field) throws IOException {
      JsonNode value = node.get(field);
      if (value == null) {
        return null;
      }
      if (!value.isString() || value.stringValue().isBlank()) {
        throw wrong("\"" + field + "\" must be a text that is not blank");
      }
      return value.stringValue();
    }

    private List<String> splits() throws IOException {
      List<String> splits = new ArrayList<>();
      JsonNode value = node.get("splits");
      if (value != null) {
        if (!value.isArray()) {
          throw wrong("\"splits\" must be a list");
        }
        for (JsonNode split : value) {
          if (!split.isString()) {
            throw wrong("\"splits\" must be a list of names");
          }
          splits.add(split.stringValue());
        }
      }
      return splits;
    }

    int weight() throws IOException {
      JsonNode value = node.get("weight");
      if (value == null) {
        return 1;
      }
      if (!value.isIntegralNumber()
          || !value.canConvertToInt()
          || value.intValue() < 1
          || value.intValue() > MOST_WEIGHT) {
        throw wrong(
            "\"weight\" is %s; it must be a whole number of 1 to %d, how often an epoch holds each"
                    .formatted(Excerpt.of(value), MOST_WEIGHT)
                + " pair");
      }
      return value.intValue();
    }
  }

  @Override
  public long size() {
    return sources.getLast().end();
  }

  @Override
  public String name() {
    return file.toString();
  }

  private Source source(long index) {
    Objects.checkIndex(index, size());
    for (Source source : sources) {
      if (index < source.end()) {
        return source;
      }
    }
    throw new AssertionError(index);
  }

  private static long within(Source source, long index) {
    return (index - source.begin()) % source.dataset().size();
  }

  @Override
  public ImageTextPair get(long index) throws BadSampleException {
    Source source = source(index);
    ImageTextPair pair = source.dataset().get(within(source, index));
    return new ImageTextPair(
        pair.key(), pair.imageId() ^ source.salt(), pair.image(), pair.caption());
  }

  @Override
  public ImageCaption caption(long index) throws BadSampleException {
    Source source = source(index);
    ImageCaption caption = source.dataset().caption(within(source, index));
    return new ImageCaption(caption.imageId() ^ source.salt(), caption.caption());
  }

  @Override
  public byte[] encodedImage(long index) throws BadSampleException {
    Source source = source(index);
    return source.dataset().encodedImage(within(source, index));
  }

  @Override
  public void close() {
    sources.forEach(source -> source.dataset().close());
  }
}
