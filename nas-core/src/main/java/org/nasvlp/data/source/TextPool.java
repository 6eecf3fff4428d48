package org.nasvlp.data.source;

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
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Texts one after the other, as UTF-8 behind their length: in memory while they are few, beyond
 * that in a temporary file that goes with the pool. Built by one thread; once {@link #finish}ed,
 * read by many.
 */
final class TextPool implements AutoCloseable {
  private static final ValueLayout.OfInt LENGTH =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

  /** Bytes of the length in front of a text. */
  private static final int PREFIX = Integer.BYTES;

  private final int mostInMemory;
  private byte[] buffer = new byte[1 << 12];
  private int used;
  private long spilled;
  private @Nullable FileChannel channel;
  private final Arena arena = Arena.ofShared();
  private @Nullable MemorySegment finished;

  /**
   * @param mostInMemory bytes beyond which the texts go into a file
   */
  TextPool(int mostInMemory) {
    this.mostInMemory = mostInMemory;
  }

  /** Adds a text; returns its place. */
  long add(String text) throws IOException {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    if (used + (long) PREFIX + utf8.length > mostInMemory) {
      spill();
    }
    int needed = Math.addExact(used, PREFIX + utf8.length);
    if (needed > buffer.length) {
      buffer = Arrays.copyOf(buffer, Math.max(needed, buffer.length * 2));
    }
    long at = spilled + used;
    ByteBuffer.wrap(buffer, used, PREFIX).putInt(utf8.length);
    System.arraycopy(utf8, 0, buffer, used + PREFIX, utf8.length);
    used = needed;
    return at;
  }

  /** The text at a place. */
  String get(long at) {
    return new String(bytes(at), StandardCharsets.UTF_8);
  }

  /** The place behind the text at a place: that of the text added next. */
  long after(long at) {
    return at + PREFIX + bytes(at).length;
  }

  private byte[] bytes(long at) {
    MemorySegment all = finished;
    if (all != null) {
      int length = all.get(LENGTH, at);
      return all.asSlice(at + PREFIX, length).toArray(ValueLayout.JAVA_BYTE);
    }
    try {
      int length = read(at, PREFIX).getInt();
      return read(at + PREFIX, length).array();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private ByteBuffer read(long at, int length) throws IOException {
    if (at >= spilled) {
      int from = (int) (at - spilled);
      return ByteBuffer.wrap(Arrays.copyOfRange(buffer, from, from + length));
    }
    ByteBuffer part = ByteBuffer.allocate(length);
    while (part.hasRemaining()) {
      if (file().read(part, at + part.position()) < 0) {
        throw new IOException("the temporary file of captions was cut short");
      }
    }
    return part.flip();
  }

  private void spill() throws IOException {
    ByteBuffer all = ByteBuffer.wrap(buffer, 0, used);
    try {
      while (all.hasRemaining()) {
        spilled += file().write(all, spilled);
      }
    } catch (IOException e) {
      throw new IOException(
          "%s has no room for the captions (%s); name another folder with -Djava.io.tmpdir=DIR"
              .formatted(System.getProperty("java.io.tmpdir"), e.getMessage()),
          e);
    }
    used = 0;
  }

  private FileChannel file() throws IOException {
    FileChannel open = channel;
    if (open == null) {
      Path file = Files.createTempFile("nas-captions", ".tmp");
      open =
          FileChannel.open(
              file,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE,
              StandardOpenOption.DELETE_ON_CLOSE);
      channel = open;
    }
    return open;
  }

  /** Ends the building. */
  void finish() throws IOException {
    if (channel == null) {
      finished = MemorySegment.ofArray(Arrays.copyOf(buffer, used));
    } else {
      spill();
      finished = file().map(FileChannel.MapMode.READ_ONLY, 0, spilled, arena);
      channel.close();
    }
    buffer = new byte[0];
  }

  @Override
  public void close() {
    try {
      if (channel != null) {
        channel.close();
      }
    } catch (IOException e) {
      // Its file is a temporary one that nobody reads again.
      System.getLogger(TextPool.class.getName()).log(System.Logger.Level.DEBUG, "close", e);
    }
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
