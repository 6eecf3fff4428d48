package org.nasvlp.negatives;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.zip.CRC32C;
import org.nasvlp.config.EditType;
import org.nasvlp.random.StableHash;

/**
 * The edits of captions, in memory or in a file that is mapped. Thread-safe once complete.
 *
 * <p>A file holds, big-endian: the magic number; 32 bytes of key; blocks, each with its length
 * (int) before it; −1 (int); the number of captions, of those without an edit, and of the edits of
 * each type (longs); the CRC-32C of all before it (long). A block is a sequence of captions with
 * their edits; an edit holds the words in which its caption differs.
 */
final class EditStore {
  private static final long MAGIC = 0x4E_41_53_4E_54_41_00_01L; // NASNTA, format 1
  private static final int KEY_BYTES = 32;
  private static final int HEADER = 8 + KEY_BYTES;

  /** The numbers of the types in a file are their places here. */
  static final List<EditType> TYPES = List.of(EditType.values());

  private static final int FOOTER = 8 * (3 + TYPES.size());
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

  /** A caption with its edits. */
  record Entry(String caption, List<CaptionEdit> edits) {}

  private final List<MemorySegment> blocks = new ArrayList<>();
  // Block number in the high half, place in it in the low half.
  private final LongTable places = new LongTable();
  private long captions;
  private long withoutEdit;
  private final long[] byType = new long[TYPES.size()];

  EditStore() {}

  long captions() {
    return captions;
  }

  long withoutEdit() {
    return withoutEdit;
  }

  Map<EditType, Long> byType() {
    Map<EditType, Long> counts = new EnumMap<>(EditType.class);
    for (int i = 0; i < byType.length; i++) {
      if (byType[i] > 0) {
        counts.put(TYPES.get(i), byType[i]);
      }
    }
    return counts;
  }

  /** The edits of a caption; null if the store does not have the caption. */
  List<CaptionEdit> get(String caption) {
    long place = places.get(StableHash.of(caption));
    if (place == LongTable.ABSENT) {
      return null;
    }
    Reader reader = new Reader(blocks.get((int) (place >>> 32)), (int) place);
    // Two captions of one hash: the later is not in the table, and not known.
    return reader.string().equals(caption) ? reader.edits(caption) : null;
  }

  /** Adds a block; several captions of one hash keep the first. */
  private void add(MemorySegment block) {
    int number = blocks.size();
    blocks.add(block);
    Reader reader = new Reader(block, 0);
    while (reader.position < block.byteSize()) {
      long place = ((long) number << 32) | reader.position;
      places.putIfAbsent(StableHash.of(reader.string()), place);
      reader.skipEdits();
    }
  }

  /** Hands on every edit. */
  void forEach(Consumer<CaptionEdit> action) {
    for (MemorySegment block : blocks) {
      Reader reader = new Reader(block, 0);
      while (reader.position < block.byteSize()) {
        String caption = reader.string();
        reader.edits(caption).forEach(action);
      }
    }
  }

  private void count(List<Entry> entries) {
    for (Entry entry : entries) {
      captions++;
      withoutEdit += entry.edits().isEmpty() ? 1 : 0;
      for (CaptionEdit edit : entry.edits()) {
        byType[TYPES.indexOf(edit.type())]++;
      }
    }
  }

  private void count(MemorySegment block) {
    Reader reader = new Reader(block, 0);
    while (reader.position < block.byteSize()) {
      captions++;
      reader.skipString();
      int edits = reader.number();
      withoutEdit += edits == 0 ? 1 : 0;
      for (int i = 0; i < edits; i++) {
        byType[block.get(ValueLayout.JAVA_BYTE, reader.position)]++;
        reader.skipEdit();
      }
    }
  }

  /** Adds captions to a store in memory. */
  void add(List<Entry> entries) {
    count(entries);
    add(MemorySegment.ofArray(encode(entries)));
  }

  static byte[] encode(List<Entry> entries) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    try {
      for (Entry entry : entries) {
        string(out, entry.caption());
        String[] words = entry.caption().split(" ", -1);
        out.writeInt(entry.edits().size());
        for (CaptionEdit edit : entry.edits()) {
          String[] changed = edit.caption().split(" ", -1);
          int least = Math.min(words.length, changed.length);
          int front = 0;
          while (front < least && words[front].equals(changed[front])) {
            front++;
          }
          int back = 0;
          while (back < least - front
              && words[words.length - 1 - back].equals(changed[changed.length - 1 - back])) {
            back++;
          }
          out.writeByte(TYPES.indexOf(edit.type()));
          out.writeInt(front);
          out.writeInt(back);
          string(
              out, String.join(" ", Arrays.asList(changed).subList(front, changed.length - back)));
          string(out, edit.replaced());
          string(out, edit.replacement());
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  private static void string(DataOutputStream out, String text) throws IOException {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    out.writeInt(utf8.length);
    out.write(utf8);
  }

  /** Reads the records of a block. */
  private static final class Reader {
    private final MemorySegment block;
    private int position;

    Reader(MemorySegment block, int position) {
      this.block = block;
      this.position = position;
    }

    int number() {
      int value = block.get(INT, position);
      position += 4;
      return value;
    }

    String string() {
      byte[] utf8 = new byte[number()];
      MemorySegment.copy(block, ValueLayout.JAVA_BYTE, position, utf8, 0, utf8.length);
      position += utf8.length;
      return new String(utf8, StandardCharsets.UTF_8);
    }

    void skipString() {
      int length = number();
      position += length;
    }

    List<CaptionEdit> edits(String caption) {
      List<String> words = Arrays.asList(caption.split(" ", -1));
      List<CaptionEdit> edits = new ArrayList<>();
      for (int n = number(); n > 0; n--) {
        EditType type = TYPES.get(block.get(ValueLayout.JAVA_BYTE, position++));
        int front = number();
        int back = number();
        List<String> changed = new ArrayList<>(words.subList(0, front));
        String middle = string();
        if (!middle.isEmpty()) {
          changed.add(middle);
        }
        changed.addAll(words.subList(words.size() - back, words.size()));
        edits.add(new CaptionEdit(String.join(" ", changed), type, string(), string()));
      }
      return edits;
    }

    void skipEdits() {
      for (int n = number(); n > 0; n--) {
        skipEdit();
      }
    }

    void skipEdit() {
      position += 9;
      skipString();
      skipString();
      skipString();
    }
  }

  /** A stored file cannot be used, for the reason that the message gives. */
  static final class DamagedException extends Exception {
    private static final long serialVersionUID = 1L;

    DamagedException(String message) {
      super(message);
    }
  }

  /**
   * Maps a file.
   *
   * @throws DamagedException if it is not a complete store under this key
   */
  static EditStore load(Path file, byte[] key) throws IOException, DamagedException {
    MemorySegment all;
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      if (channel.size() < HEADER + 4 + FOOTER) {
        throw new DamagedException("it is cut short");
      }
      // Unmapped when no longer reachable: readers need not be waited for.
      all = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), Arena.ofAuto());
    }
    long end = all.byteSize() - FOOTER;
    if (all.get(LONG, 0) != MAGIC) {
      throw new DamagedException("it is no store of caption edits of this version");
    }
    if (checksum(all.asSlice(0, all.byteSize() - 8)) != all.get(LONG, all.byteSize() - 8)) {
      throw new DamagedException("its checksum is wrong");
    }
    if (!Arrays.equals(all.asSlice(8, KEY_BYTES).toArray(ValueLayout.JAVA_BYTE), key)) {
      throw new DamagedException("it belongs to other captions");
    }
    EditStore store = new EditStore();
    long at = HEADER;
    for (int length; (length = all.get(INT, at)) >= 0; at += 4L + length) {
      store.add(all.asSlice(at + 4, length));
    }
    if (at + 4 != end) {
      throw new DamagedException("its blocks do not fill it");
    }
    store.captions = all.get(LONG, end);
    store.withoutEdit = all.get(LONG, end + 8);
    for (int i = 0; i < store.byType.length; i++) {
      store.byType[i] = all.get(LONG, end + 16 + 8L * i);
    }
    return store;
  }

  private static long checksum(MemorySegment bytes) {
    CRC32C crc = new CRC32C();
    long step = 1L << 30;
    for (long at = 0; at < bytes.byteSize(); at += step) {
      crc.update(bytes.asSlice(at, Math.min(step, bytes.byteSize() - at)).asByteBuffer());
    }
    return crc.getValue();
  }

  /** Writes a store to a file beside its place, then moves it there. */
  static final class Writer implements Closeable {
    private final Path target;
    private final Path draft;
    private final byte[] key;
    private final FileChannel channel;
    private final CRC32C crc = new CRC32C();
    private final EditStore counts = new EditStore();

    Writer(Path target, byte[] key) throws IOException {
      this(target, key, draftFor(target));
    }

    Writer(Path target, byte[] key, Path draft) throws IOException {
      this.target = target;
      this.key = key.clone();
      this.draft = draft;
      this.channel = FileChannel.open(draft, StandardOpenOption.WRITE);
      try {
        write(ByteBuffer.allocate(HEADER).putLong(MAGIC).put(this.key).flip());
      } catch (IOException e) {
        close();
        throw e;
      }
    }

    private static Path draftFor(Path target) throws IOException {
      Path folder = target.toAbsolutePath().getParent();
      Files.createDirectories(folder);
      return Files.createTempFile(folder, target.getFileName().toString(), ".part");
    }

    void add(List<Entry> entries) throws IOException {
      counts.count(entries);
      byte[] block = encode(entries);
      write(ByteBuffer.allocate(4).putInt(block.length).flip());
      write(ByteBuffer.wrap(block));
    }

    /** Adds captions that are encoded already. */
    void add(byte[] block) throws IOException {
      counts.count(MemorySegment.ofArray(block));
      write(ByteBuffer.allocate(4).putInt(block.length).flip());
      write(ByteBuffer.wrap(block));
    }

    /** Completes the file and opens it. */
    EditStore finish() throws IOException {
      ByteBuffer footer = ByteBuffer.allocate(4 + FOOTER - 8).putInt(-1);
      footer.putLong(counts.captions).putLong(counts.withoutEdit);
      Arrays.stream(counts.byType).forEach(footer::putLong);
      write(footer.flip());
      write(ByteBuffer.allocate(8).putLong(crc.getValue()).flip());
      channel.force(true);
      channel.close();
      Files.move(
          draft, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      try {
        return load(target, key);
      } catch (DamagedException e) {
        throw new IOException(target + " was written but " + e.getMessage(), e);
      }
    }

    private void write(ByteBuffer bytes) throws IOException {
      crc.update(bytes.duplicate());
      while (bytes.hasRemaining()) {
        if (channel.write(bytes) == 0) {
          throw new EOFException("no byte could be written");
        }
      }
    }

    /** Removes the draft if it was not completed. */
    @Override
    public void close() throws IOException {
      channel.close();
      Files.deleteIfExists(draft);
    }
  }
}
