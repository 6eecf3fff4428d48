package org.nasvlp.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Reads and writes safetensors files: 8 bytes little-endian header length, a JSON header of names
 * with dtype, shape and byte range, then the raw little-endian data.
 */
public final class Safetensors {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final long MAX_HEADER = 100L << 20;

  private Safetensors() {}

  /** Element types, with the names and sizes of the format. */
  public enum Type {
    F64(8),
    F32(4),
    F16(2),
    BF16(2),
    I64(8),
    I32(4),
    I16(2),
    I8(1),
    U8(1),
    BOOL(1);

    final int bytes;

    Type(int bytes) {
      this.bytes = bytes;
    }
  }

  /**
   * A tensor's description and memory.
   *
   * @param type element type
   * @param shape sizes, outermost first; empty for a scalar
   * @param data row-major little-endian elements
   */
  public record Entry(Type type, long[] shape, MemorySegment data) {
    /** Checks that the memory fits type and shape. */
    public Entry {
      if (data.byteSize() != byteSize(type, shape)) {
        throw new IllegalArgumentException(
            "a "
                + type
                + " tensor of shape "
                + Arrays.toString(shape)
                + " takes "
                + byteSize(type, shape)
                + " bytes, got "
                + data.byteSize());
      }
    }
  }

  private static long byteSize(Type type, long[] shape) {
    long size = type.bytes;
    for (long dim : shape) {
      size = Math.multiplyExact(size, dim);
    }
    return size;
  }

  /** Writes the tensors, in order of name, and forces them to the disk. */
  public static void write(Path file, Map<String, Entry> tensors) throws IOException {
    Map<String, Object> header = new LinkedHashMap<>();
    long offset = 0;
    Map<String, Entry> sorted = new TreeMap<>(tensors);
    for (var tensor : sorted.entrySet()) {
      long end = Math.addExact(offset, tensor.getValue().data().byteSize());
      Map<String, Object> description = new LinkedHashMap<>();
      description.put("dtype", tensor.getValue().type().name());
      description.put("shape", tensor.getValue().shape());
      description.put("data_offsets", new long[] {offset, end});
      header.put(tensor.getKey(), description);
      offset = end;
    }
    byte[] json = JSON.writeValueAsBytes(header);
    int padded = (json.length + 7) / 8 * 8;
    ByteBuffer head = ByteBuffer.allocate(8 + padded).order(ByteOrder.LITTLE_ENDIAN);
    head.putLong(padded).put(json);
    while (head.hasRemaining()) {
      head.put((byte) ' ');
    }
    head.flip();
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      writeFully(channel, head);
      for (Entry entry : sorted.values()) {
        long size = entry.data().byteSize();
        for (long at = 0; at < size; at += 1 << 26) {
          writeFully(
              channel, entry.data().asSlice(at, Math.min(1 << 26, size - at)).asByteBuffer());
        }
      }
      channel.force(true);
    }
  }

  private static void writeFully(FileChannel channel, ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      int _ = channel.write(buffer);
    }
  }

  /**
   * Maps a file. The entries' memory is read-only and lives as long as the arena.
   *
   * @throws IOException naming the file, if it is cut short or not a safetensors file
   */
  public static Map<String, Entry> read(Path file, Arena arena) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long size = channel.size();
      if (size < 8) {
        throw broken(file, "it has " + size + " bytes, too few for a header");
      }
      MemorySegment all = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
      long headerSize = all.asSlice(0, 8).asByteBuffer().order(ByteOrder.LITTLE_ENDIAN).getLong();
      if (headerSize < 2 || headerSize > MAX_HEADER || headerSize > size - 8) {
        throw broken(file, "its header length is " + headerSize + " in a file of " + size);
      }
      String text =
          StandardCharsets.UTF_8.decode(all.asSlice(8, headerSize).asByteBuffer()).toString();
      JsonNode header;
      try {
        header = JSON.readTree(text);
      } catch (JacksonException e) {
        throw broken(file, "its header is not JSON (" + e.getOriginalMessage() + ")");
      }
      if (!header.isObject()) {
        throw broken(file, "its header is not a JSON object");
      }
      MemorySegment data = all.asSlice(8 + headerSize);
      Map<String, Entry> tensors = new LinkedHashMap<>();
      for (var property : header.properties()) {
        if (!property.getKey().equals("__metadata__")) {
          tensors.put(property.getKey(), entry(file, property.getKey(), property.getValue(), data));
        }
      }
      return tensors;
    }
  }

  private static Entry entry(Path file, String name, JsonNode node, MemorySegment data)
      throws IOException {
    try {
      Type type = Type.valueOf(node.required("dtype").asString());
      long[] shape = longs(node.required("shape"));
      long[] range = longs(node.required("data_offsets"));
      if (range.length != 2
          || range[0] < 0
          || range[1] < range[0]
          || range[1] > data.byteSize()
          || Arrays.stream(shape).anyMatch(dim -> dim < 0)) {
        throw broken(
            file,
            "tensor "
                + name
                + " lies at "
                + Arrays.toString(range)
                + " of "
                + data.byteSize()
                + " bytes: the file is cut short or damaged");
      }
      return new Entry(type, shape, data.asSlice(range[0], range[1] - range[0]));
    } catch (IllegalArgumentException | ArithmeticException | JacksonException e) {
      throw broken(file, "tensor " + name + ": " + e.getMessage());
    }
  }

  private static long[] longs(JsonNode node) {
    long[] values = new long[node.size()];
    for (int i = 0; i < values.length; i++) {
      if (!node.get(i).isIntegralNumber()) {
        throw new IllegalArgumentException("expected whole numbers, got " + node);
      }
      values[i] = node.get(i).asLong();
    }
    return values;
  }

  private static IOException broken(Path file, String why) {
    return new IOException(file + " is not a readable safetensors file: " + why);
  }
}
