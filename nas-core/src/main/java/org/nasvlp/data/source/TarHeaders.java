package org.nasvlp.data.source;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.jspecify.annotations.Nullable;

/** Finds the pairs of a shard by the headers of its entries, without what is between them. */
final class TarHeaders {
  /** Endings of pictures' names. */
  static final List<String> IMAGES = List.of("png", "jpg", "jpeg");

  private static final int RECORD = ShardIndex.RECORD;

  /** Bytes of an entry's header with all its extensions: long names, PAX records, sparse maps. */
  private static final int MAX_HEADER_BYTES = 1 << 20;

  private final Path file;
  private final ArchiveBytes archive;
  private final ShardIndex index = new ShardIndex();

  /** The entry before. */
  private @Nullable String last;

  private TarHeaders(Path file, ArchiveBytes archive) {
    this.file = file;
    this.archive = archive;
  }

  /**
   * Reads all headers.
   *
   * @throws IOException naming the file, if it is too large or has data behind its end mark
   */
  static ShardIndex read(Path file, ArchiveBytes archive) throws IOException {
    if (archive.size() > ShardIndex.MAX_ARCHIVE_BYTES) {
      throw new IOException(
          file + " has " + archive.size() + " bytes; divide it into shards of 2 TiB at most");
    }
    TarHeaders headers = new TarHeaders(file, archive);
    try {
      return headers.read();
    } catch (ArithmeticException e) {
      throw new IOException(file + " holds too many pairs; divide it into several shards", e);
    }
  }

  private ShardIndex read() throws IOException {
    String damage = readAll();
    if (damage != null) {
      String where = last == null ? "its start" : last;
      String key = damage.contains("this entry") || last == null ? where : "after " + where;
      index.addDamage(key, damage + "; fetch the file again");
    }
    index.finish();
    if (index.size() == 0) {
      index.addDamage("all of it", "the archive holds no pair");
    }
    return index;
  }

  /** Reads to the end, or to what it returns. */
  private @Nullable String readAll() throws IOException {
    HeaderStream stream = new HeaderStream(archive);
    while (true) {
      long start = stream.position();
      TarArchiveEntry entry;
      try {
        // A reader for each entry: a reader kept on would read through all the data between.
        entry = new TarArchiveInputStream(stream).getNextEntry();
      } catch (IOException | RuntimeException e) {
        return archive.size() - start < RECORD
            ? "the archive is cut short inside a header"
            : stream.isPastLimit()
                ? "the header at byte %d has more than %d bytes".formatted(start, MAX_HEADER_BYTES)
                : "the archive is damaged or cut short: no valid header at byte " + start;
      }
      if (entry == null) {
        return afterEnd(start);
      }
      if (!entry.isCheckSumOK() || entry.getSize() < 0) {
        return "the archive is damaged: the header at byte " + start + " has a wrong checksum";
      }
      long offset = stream.position();
      long end = offset + entry.getSize();
      last = entry.getName();
      if (end > archive.size() || end < offset) {
        return "the archive is cut short inside this entry: %d of its %d bytes are there"
            .formatted(archive.size() - offset, entry.getSize());
      }
      add(entry, offset);
      stream.position(offset + (entry.getSize() + RECORD - 1) / RECORD * RECORD);
    }
  }

  /** What is wrong with an end mark; null for nothing. */
  private @Nullable String afterEnd(long start) throws IOException {
    long data = firstData(start);
    if (archive.size() - start < RECORD) {
      return "the archive is cut short: it has no end mark";
    }
    if (data >= 0 && data < start + RECORD) {
      return "the archive is cut short behind the header at byte " + start;
    }
    if (data >= 0) {
      throw new IOException(
          ("%s: damaged, or several archives in one file: data at byte %d follow the end mark"
                  + " at byte %d; fetch the file again, or join archives with tar --concatenate")
              .formatted(file, data, start));
    }
    return null;
  }

  /** The place of the first byte that is not 0; −1 if there is none. */
  private long firstData(long start) throws IOException {
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

  private void add(TarArchiveEntry entry, long offset) {
    String name = entry.getName();
    int slash = name.lastIndexOf('/');
    int dot = name.indexOf('.', slash + 1);
    // As in WebDataset the key ends at the first dot; hidden files are no data.
    if (entry.isDirectory() || dot <= slash + 1) {
      return;
    }
    String extension = name.substring(dot + 1).toLowerCase(Locale.ROOT);
    if (!IMAGES.contains(extension) && !extension.equals("txt") && !extension.equals("json")) {
      return;
    }
    int pair = index.pair(name.substring(0, dot));
    index.add(pair, extension, new ShardIndex.Part(name, offset, entry.getSize()));
    if (!entry.isFile() || entry.isLink() || entry.isSymbolicLink() || entry.isSparse()) {
      index.fail(pair, name + " is a link or special entry, not a plain file");
    }
    if (name.startsWith("/") || List.of(name.split("/")).contains("..")) {
      index.fail(pair, "the entry's name " + name + " points outside the archive");
    }
    if (name.chars().anyMatch(c -> c < 0x20 || c == 0x7F)) {
      index.fail(pair, "the entry's name holds control characters");
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
