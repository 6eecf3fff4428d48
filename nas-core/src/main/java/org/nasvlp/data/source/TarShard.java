package org.nasvlp.data.source;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
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
  private static final int RECORD = 512;

  /** Bytes of an entry's header with all its extensions: long names, PAX records, sparse maps. */
  private static final int MAX_HEADER_BYTES = 1 << 20;

  private static final long MAX_IMAGE_BYTES = 1L << 28;
  private static final int MAX_JSON_BYTES = 1 << 22;
  private static final int SHOWN = 10;

  /** A file inside the archive. */
  private record Part(String entry, long offset, long length) {}

  /** A pair, or the place of one that cannot be used, with the reason. */
  private record Slot(String key, Part image, Part text, Part json, String problem) {}

  private static final class Draft {
    private Part image;
    private Part text;
    private Part json;
    private String problem;

    void add(String extension, Part part) {
      switch (extension) {
        case "txt" -> {
          once(text, part);
          text = part;
        }
        case "json" -> {
          once(json, part);
          json = part;
        }
        default -> {
          once(image, part);
          image = part;
        }
      }
    }

    private void once(Part earlier, Part part) {
      if (earlier != null) {
        fail("has both " + earlier.entry() + " and " + part.entry() + "; keep one");
      }
    }

    void fail(String reason) {
      problem = problem == null ? reason : problem;
    }

    boolean isPair() {
      return problem != null || image != null || text != null;
    }

    Slot finish(String key) {
      if (image == null) {
        fail("has a caption but no image (" + key + ".png, .jpg or .jpeg)");
      }
      if (text == null) {
        fail("has an image but no caption (" + key + ".txt)");
      }
      return new Slot(key, image, text, json, problem);
    }
  }

  private final Path file;
  private final ArchiveBytes archive;
  private final String fileName;
  private final int background;
  private final Slot[] slots;
  private final long usable;
  private volatile boolean closed;

  private TarShard(Path file, ArchiveBytes archive, int background, List<Slot> slots) {
    this.file = file;
    this.archive = archive;
    this.fileName = file.getFileName().toString();
    this.background = background;
    this.slots = slots.toArray(Slot[]::new);
    this.usable = slots.stream().filter(slot -> slot.problem() == null).count();
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
      return new TarShard(file, archive, options.background(), index(file, archive));
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

  private static List<Slot> index(Path file, ArchiveBytes archive) throws IOException {
    Map<String, Draft> drafts = new LinkedHashMap<>();
    String damage = null;
    String last = null;
    HeaderStream stream = new HeaderStream(archive);
    while (damage == null) {
      long start = stream.position();
      TarArchiveEntry entry;
      try {
        // A reader for each entry: a reader kept on would read through all the data between.
        entry = new TarArchiveInputStream(stream).getNextEntry();
      } catch (IOException | RuntimeException e) {
        damage =
            archive.size() - start < RECORD
                ? "the archive is cut short inside a header"
                : stream.isPastLimit()
                    ? "the header at byte %d has more than %d bytes"
                        .formatted(start, MAX_HEADER_BYTES)
                    : "the archive is damaged or cut short: no valid header at byte " + start;
        break;
      }
      if (entry == null) {
        long data = firstData(archive, start);
        if (archive.size() - start < RECORD) {
          damage = "the archive is cut short: it has no end mark";
        } else if (data >= 0 && data < start + RECORD) {
          damage = "the archive is cut short behind the header at byte " + start;
        } else if (data >= 0) {
          throw new IOException(
              ("%s: damaged, or several archives in one file: data at byte %d follow the end mark"
                      + " at byte %d; fetch the file again, or join archives with tar"
                      + " --concatenate")
                  .formatted(file, data, start));
        }
        break;
      }
      if (!entry.isCheckSumOK() || entry.getSize() < 0) {
        damage = "the archive is damaged: the header at byte " + start + " has a wrong checksum";
        break;
      }
      long offset = stream.position();
      long end = offset + entry.getSize();
      last = entry.getName();
      if (end > archive.size() || end < offset) {
        damage =
            "the archive is cut short inside this entry: %d of its %d bytes are there"
                .formatted(archive.size() - offset, entry.getSize());
        break;
      }
      add(drafts, entry, offset);
      stream.position(offset + (entry.getSize() + RECORD - 1) / RECORD * RECORD);
    }
    List<Slot> slots = new ArrayList<>(drafts.size() + 1);
    drafts.forEach(
        (key, draft) -> {
          if (draft.isPair()) {
            slots.add(draft.finish(key));
          }
        });
    if (damage != null) {
      String where = last == null ? "its start" : last;
      String key = damage.contains("this entry") || last == null ? where : "after " + where;
      slots.add(new Slot(key, null, null, null, damage + "; fetch the file again"));
    } else if (slots.isEmpty()) {
      slots.add(new Slot("all of it", null, null, null, "the archive holds no pair"));
    }
    return slots;
  }

  /** The place of the first byte that is not 0; -1 if there is none. */
  private static long firstData(ArchiveBytes archive, long start) throws IOException {
    ByteBuffer block = ByteBuffer.allocate(1 << 16);
    for (long at = start; at < archive.size(); at += block.limit()) {
      archive.read(block.clear(), at);
      if (block.flip().limit() == 0) {
        // It has become shorter since; whoever reads a pair of it will tell.
        return -1;
      }
      for (int i = 0; i < block.limit(); i++) {
        if (block.get(i) != 0) {
          return at + i;
        }
      }
    }
    return -1;
  }

  private static void add(Map<String, Draft> drafts, TarArchiveEntry entry, long offset) {
    String name = entry.getName();
    int slash = name.lastIndexOf('/');
    int dot = name.indexOf('.', slash + 1);
    // As in WebDataset the key ends at the first dot; hidden files are no data.
    if (entry.isDirectory() || dot <= slash + 1) {
      return;
    }
    String extension = name.substring(dot + 1).toLowerCase(Locale.ROOT);
    if (!List.of("png", "jpg", "jpeg", "txt", "json").contains(extension)) {
      return;
    }
    Draft draft = drafts.computeIfAbsent(name.substring(0, dot), key -> new Draft());
    draft.add(extension, new Part(name, offset, entry.getSize()));
    if (!entry.isFile() || entry.isLink() || entry.isSymbolicLink() || entry.isSparse()) {
      draft.fail(name + " is a link or special entry, not a plain file");
    }
    if (name.startsWith("/") || List.of(name.split("/")).contains("..")) {
      draft.fail("the entry's name " + name + " points outside the archive");
    }
    if (name.chars().anyMatch(c -> c < 0x20 || c == 0x7F)) {
      draft.fail("the entry's name holds control characters");
    }
  }

  long usable() {
    return usable;
  }

  List<String> firstProblems() {
    List<String> problems = new ArrayList<>();
    for (Slot slot : slots) {
      if (slot.problem() != null && problems.size() < SHOWN) {
        problems.add(new BadSampleException(sample(slot.key()), slot.problem()).getMessage());
      }
    }
    return problems;
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
    ImageCaption caption = caption(slot);
    RgbImage image =
        RgbImage.decode(
            read(slot.image(), MAX_IMAGE_BYTES), sample(slot.image().entry()), background);
    return new ImageTextPair(slot.key(), caption.imageId(), image, caption.caption());
  }

  @Override
  public ImageCaption caption(long index) throws BadSampleException {
    return caption(slot(index));
  }

  @Override
  public byte[] encodedImage(long index) throws BadSampleException {
    return read(slot(index).image(), MAX_IMAGE_BYTES);
  }

  private Slot slot(long index) throws BadSampleException {
    Slot slot = slots[(int) Objects.checkIndex(index, (long) slots.length)];
    if (closed) {
      throw new IllegalStateException(file + " is closed");
    }
    if (slot.problem() != null) {
      throw new BadSampleException(sample(slot.key()), slot.problem());
    }
    return slot;
  }

  private ImageCaption caption(Slot slot) throws BadSampleException {
    String caption =
        CaptionText.decode(read(slot.text(), CaptionText.MAX_BYTES), sample(slot.text().entry()));
    long imageId = slot.json() == null ? StableHash.of(idPrefix() + slot.key()) : imageId(slot);
    return new ImageCaption(imageId, caption);
  }

  private long imageId(Slot slot) throws BadSampleException {
    String sample = sample(slot.json().entry());
    JsonNode id;
    try {
      JsonNode root = Json.MAPPER.readTree(read(slot.json(), MAX_JSON_BYTES));
      if (!root.isObject()) {
        throw new BadSampleException(sample, "is not a JSON object");
      }
      id = root.get("image_id");
    } catch (JacksonException e) {
      throw new BadSampleException(sample, "is not valid JSON: " + Json.problem(e), e);
    }
    return id == null || id.isNull()
        ? StableHash.of(idPrefix() + slot.key())
        : ListDataset.imageId(id, sample);
  }

  /** The same with compression and without. */
  private String idPrefix() {
    return fileName.replaceFirst("(?i)\\.(tar\\.gz|tgz)$", ".tar") + "/";
  }

  private String sample(String entry) {
    return fileName + ": " + entry;
  }

  private byte[] read(Part part, long limit) throws BadSampleException {
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

  /** Reads headers from a settable position through a small buffer. */
  private static final class HeaderStream extends InputStream {
    private final ArchiveBytes archive;
    private final ByteBuffer buffer = ByteBuffer.allocate(4096).limit(0);
    private long bufferStart;
    private long position;
    private long limit = MAX_HEADER_BYTES;

    HeaderStream(ArchiveBytes archive) {
      this.archive = archive;
    }

    long position() {
      return position;
    }

    /** Goes to the next header, which may have {@link #MAX_HEADER_BYTES}. */
    void position(long newPosition) {
      position = newPosition;
      limit = newPosition + MAX_HEADER_BYTES;
    }

    /** Whether a header was longer. */
    boolean isPastLimit() {
      return position >= limit;
    }

    private boolean fill() throws IOException {
      if (position >= archive.size()) {
        return false;
      }
      if (isPastLimit()) {
        throw new IOException("a header of more than " + MAX_HEADER_BYTES + " bytes");
      }
      if (position < bufferStart || position >= bufferStart + buffer.limit()) {
        archive.read(buffer.clear(), position);
        buffer.flip();
        bufferStart = position;
      }
      return buffer.limit() > 0;
    }

    @Override
    public int read() throws IOException {
      return fill() ? buffer.get((int) (position++ - bufferStart)) & 0xFF : -1;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      Objects.checkFromIndexSize(offset, length, target.length);
      if (length == 0) {
        return 0;
      }
      if (!fill()) {
        return -1;
      }
      int from = (int) (position - bufferStart);
      int count = Math.min(length, buffer.limit() - from);
      buffer.get(from, target, offset, count);
      position += count;
      return count;
    }

    @Override
    public long skip(long n) {
      long count = Math.clamp(n, 0, Math.max(0, archive.size() - position));
      position += count;
      return count;
    }

    @Override
    public int available() {
      return Math.clamp(archive.size() - position, 0, Integer.MAX_VALUE);
    }
  }
}
