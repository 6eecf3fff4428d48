package org.nasvlp.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32;

/**
 * The entries of a zip archive in memory (PKWARE's APPNOTE, with its 64-bit fields). Those that are
 * stored and not compressed, as in files of {@code torch.save}, can be read in place.
 */
final class StoredZip {
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private static final int LOCAL = 0x04034b50;
  private static final int CENTRAL = 0x02014b50;
  private static final int END = 0x06054b50;
  private static final int END_64 = 0x06064b50;
  private static final int LOCATOR_64 = 0x07064b50;
  private static final int END_SIZE = 22;
  private static final int CENTRAL_SIZE = 46;
  private static final int LOCAL_SIZE = 30;
  private static final int LOCATOR_SIZE = 20;
  private static final long NONE_32 = 0xffff_ffffL;

  private final MemorySegment all;
  private final Map<String, Entry> entries = new LinkedHashMap<>();

  /**
   * An entry.
   *
   * @param data its bytes, as they are in the archive
   * @param isStored whether they are what was packed, neither compressed nor encrypted
   * @param sum the CRC-32 of what was packed, as the archive tells it
   */
  record Entry(MemorySegment data, boolean isStored, int sum) {
    /** Whether a stored entry's bytes are those that were packed. */
    boolean isWhole() {
      CRC32 crc = new CRC32();
      for (long at = 0; at < data.byteSize(); at += 1 << 26) {
        crc.update(data.asSlice(at, Math.min(1 << 26, data.byteSize() - at)).asByteBuffer());
      }
      return (int) crc.getValue() == sum;
    }
  }

  private StoredZip(MemorySegment all) {
    this.all = all;
  }

  /**
   * The entries by name, in the archive's order.
   *
   * @throws IOException saying what is wrong, without the file's name
   */
  static Map<String, Entry> entries(MemorySegment archive) throws IOException {
    StoredZip zip = new StoredZip(archive);
    try {
      zip.readAll();
    } catch (IndexOutOfBoundsException e) {
      throw new IOException("its list of entries is damaged", e);
    }
    return zip.entries;
  }

  private void readAll() throws IOException {
    long end = end();
    long count = all.get(SHORT, end + 10) & 0xffffL;
    long size = all.get(INT, end + 12) & NONE_32;
    long at = all.get(INT, end + 16) & NONE_32;
    long locator = end - LOCATOR_SIZE;
    if (locator >= 0 && all.get(INT, locator) == LOCATOR_64) {
      long end64 = all.get(LONG, locator + 8);
      if (all.get(INT, end64) != END_64) {
        throw new IOException("its list of entries is damaged");
      }
      count = all.get(LONG, end64 + 32);
      size = all.get(LONG, end64 + 40);
      at = all.get(LONG, end64 + 48);
    }
    MemorySegment list = all.asSlice(at, size);
    long place = 0;
    for (long i = 0; i < count; i++) {
      place += read(list, place);
    }
  }

  private long end() throws IOException {
    // A comment of up to 65,535 bytes may follow.
    long last = all.byteSize() - END_SIZE;
    for (long at = last; at >= Math.max(0, last - 0xffff); at--) {
      if (all.get(INT, at) == END) {
        return at;
      }
    }
    throw new IOException("its list of entries, which stands at the end, is missing: it was cut");
  }

  /** Reads one entry of the list, and tells how long that is. */
  private long read(MemorySegment list, long at) throws IOException {
    if (list.get(INT, at) != CENTRAL) {
      throw new IOException("its list of entries is damaged");
    }
    int flags = list.get(SHORT, at + 8);
    int method = list.get(SHORT, at + 10);
    int sum = list.get(INT, at + 16);
    long packed = list.get(INT, at + 20) & NONE_32;
    long size = list.get(INT, at + 24) & NONE_32;
    int nameSize = list.get(SHORT, at + 28) & 0xffff;
    int extraSize = list.get(SHORT, at + 30) & 0xffff;
    int commentSize = list.get(SHORT, at + 32) & 0xffff;
    long local = list.get(INT, at + 42) & NONE_32;
    String name =
        StandardCharsets.UTF_8
            .decode(list.asSlice(at + CENTRAL_SIZE, nameSize).asByteBuffer())
            .toString();
    MemorySegment extra = list.asSlice(at + CENTRAL_SIZE + nameSize, extraSize);
    for (long field = 0; field + 4 <= extraSize; ) {
      long value = field + 4;
      if (extra.get(SHORT, field) == 1) {
        // The 64-bit sizes and place, of those that the 32 bits above do not hold.
        if (size == NONE_32) {
          size = extra.get(LONG, value);
          value += 8;
        }
        if (packed == NONE_32) {
          packed = extra.get(LONG, value);
          value += 8;
        }
        if (local == NONE_32) {
          local = extra.get(LONG, value);
        }
        break;
      }
      field = value + (extra.get(SHORT, field + 2) & 0xffff);
    }
    boolean stored = method == 0 && (flags & 1) == 0 && packed == size;
    if (all.get(INT, local) != LOCAL) {
      throw new IOException("its entry " + TorchFile.shown(name) + " is not where its list says");
    }
    long data =
        local
            + LOCAL_SIZE
            + (all.get(SHORT, local + 26) & 0xffff)
            + (all.get(SHORT, local + 28) & 0xffff);
    if (entries.putIfAbsent(name, new Entry(all.asSlice(data, packed), stored, sum)) != null) {
      throw new IOException("it holds the entry " + TorchFile.shown(name) + " twice");
    }
    return (long) CENTRAL_SIZE + nameSize + extraSize + commentSize;
  }
}
