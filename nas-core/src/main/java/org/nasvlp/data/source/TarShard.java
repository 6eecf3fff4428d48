package org.nasvlp.data.source;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageCaption;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionText;
import org.nasvlp.internal.InputFiles;
import org.nasvlp.internal.Json;
import org.nasvlp.random.StableHash;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * A WebDataset shard: a tar whose entries {@code key.extension} with the same key form a pair.
 * Opening reads the headers only; pairs are then read by position, of an archive with gzip from a
 * copy without it. Thread-safe.
 */
final class TarShard implements ImageTextDataset {
  private static final long MAX_IMAGE_BYTES = 1L << 28;
  private static final int MAX_JSON_BYTES = 1 << 22;
  private static final int SHOWN = 10;

  private final Path file;
  private final ArchiveBytes archive;
  private final String fileName;
  private final int background;
  private final ShardIndex index;
  private volatile boolean closed;

  private TarShard(Path file, ArchiveBytes archive, int background, ShardIndex index) {
    this.file = file;
    this.archive = archive;
    this.fileName = file.getFileName().toString();
    this.background = background;
    this.index = index;
  }

  /**
   * Opens a shard, which may hold bad slots only: see {@link #usable()}.
   *
   * @throws IOException naming the file, if it is not regular, cannot be decompressed or has data
   *     behind its end mark
   */
  static TarShard open(Path file, DatasetOptions options) throws IOException {
    InputFiles.requireRegular(file);
    ArchiveBytes archive =
        isCompressed(file)
            ? new UnpackedArchive(file, options.maxUnpackedBytes())
            : new ArchiveFile(file);
    try {
      return new TarShard(file, archive, options.background(), TarHeaders.read(file, archive));
    } catch (IOException | RuntimeException e) {
      archive.close();
      throw e;
    }
  }

  /** Whether a file's name is that of a shard. */
  static boolean isShard(Path file) {
    return name(file).endsWith(".tar") || isCompressed(file);
  }

  private static boolean isCompressed(Path file) {
    return name(file).endsWith(".tar.gz") || name(file).endsWith(".tgz");
  }

  private static String name(Path file) {
    return file.getFileName().toString().toLowerCase(Locale.ROOT);
  }

  long usable() {
    return index.usable();
  }

  List<String> firstProblems() {
    List<String> problems = new ArrayList<>();
    for (int pair = 0; pair < index.size() && problems.size() < SHOWN; pair++) {
      String problem = index.problem(pair);
      if (problem != null) {
        problems.add(new BadSampleException(sample(index.key(pair)), problem).getMessage());
      }
    }
    return problems;
  }

  @Override
  public long size() {
    return index.size();
  }

  @Override
  public String name() {
    return file.toString();
  }

  @Override
  public ImageTextPair get(long number) throws BadSampleException {
    int pair = usable(number);
    ImageCaption caption = captionOf(pair);
    ShardIndex.Part file = index.image(pair);
    RgbImage image = RgbImage.decode(read(file, MAX_IMAGE_BYTES), sample(file.entry()), background);
    return new ImageTextPair(index.key(pair), caption.imageId(), image, caption.caption());
  }

  @Override
  public ImageCaption caption(long number) throws BadSampleException {
    return captionOf(usable(number));
  }

  @Override
  public byte[] encodedImage(long number) throws BadSampleException {
    return read(index.image(usable(number)), MAX_IMAGE_BYTES);
  }

  private int usable(long number) throws BadSampleException {
    int pair = (int) Objects.checkIndex(number, (long) index.size());
    if (closed) {
      throw new IllegalStateException(file + " is closed");
    }
    String problem = index.problem(pair);
    if (problem != null) {
      throw new BadSampleException(sample(index.key(pair)), problem);
    }
    return pair;
  }

  private ImageCaption captionOf(int pair) throws BadSampleException {
    ShardIndex.Part text = index.text(pair);
    String caption = CaptionText.decode(read(text, CaptionText.MAX_BYTES), sample(text.entry()));
    ShardIndex.Part json = index.json(pair);
    return new ImageCaption(json == null ? idOfKey(pair) : imageId(json, pair), caption);
  }

  private long imageId(ShardIndex.Part json, int pair) throws BadSampleException {
    String sample = sample(json.entry());
    JsonNode id;
    try {
      JsonNode root = Json.MAPPER.readTree(read(json, MAX_JSON_BYTES));
      if (!root.isObject()) {
        throw new BadSampleException(sample, "is not a JSON object");
      }
      id = root.get("image_id");
    } catch (JacksonException e) {
      throw new BadSampleException(sample, "is not valid JSON: " + Json.problem(e), e);
    }
    return id == null || id.isNull() ? idOfKey(pair) : ListDataset.imageId(id, sample);
  }

  /** The same with compression and without. */
  private long idOfKey(int pair) {
    return StableHash.of(
        fileName.replaceFirst("(?i)\\.(tar\\.gz|tgz)$", ".tar") + "/" + index.key(pair));
  }

  private String sample(String entry) {
    return fileName + ": " + entry;
  }

  private byte[] read(ShardIndex.Part part, long limit) throws BadSampleException {
    if (part.length() > limit) {
      throw new BadSampleException(
          sample(part.entry()), "has " + part.length() + " bytes; up to " + limit + " are read");
    }
    ByteBuffer bytes = ByteBuffer.allocate((int) part.length());
    try {
      archive.read(bytes, part.offset());
    } catch (IOException e) {
      throw new BadSampleException(sample(part.entry()), "cannot be read (" + e + ")", e);
    }
    if (bytes.hasRemaining()) {
      throw new BadSampleException(
          sample(part.entry()), "the archive has become shorter since it was opened");
    }
    return bytes.array();
  }

  @Override
  public void close() {
    closed = true;
    try {
      archive.close();
    } catch (IOException e) {
      throw new UncheckedIOException(file + " cannot be closed", e);
    }
  }
}
