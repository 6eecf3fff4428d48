package org.nasvlp.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.nasvlp.internal.Excerpt;
import org.nasvlp.internal.InputFiles;
import org.nasvlp.internal.Json;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * Reads and writes safetensors files: 8 bytes little-endian header length, a JSON header of names
 * with dtype, shape and byte range, then the raw little-endian data, without gaps or overlaps.
 */
public final class Safetensors {
  private static final String METADATA = "__metadata__";
  private static final long MAX_HEADER = 100L << 20;
  // A mapped file promises no more than byte alignment.
  static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Safetensors() {}

  /** Element types, with the names and sizes of the format. */
  public enum Type {
    F64(8),
    F32(4),
    F16(2),
    BF16(2),
    F8_E4M3(1),
    F8_E5M2(1),
    I64(8),
    I32(4),
    I16(2),
    I8(1),
    U64(8),
    U32(4),
    U16(2),
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

    /** How many elements it has. */
    public long count() {
      return data.byteSize() / type.bytes;
    }

    /**
     * The elements as float32; a float64 is rounded to the nearest.
     *
     * @param into memory for {@link #count} floats
     * @throws IllegalArgumentException if the elements are not F64, F32, F16 or BF16
     */
    public void copyFloats(MemorySegment into) {
      long count = count();
      if (into.byteSize() != 4 * count) {
        throw new IllegalArgumentException(
            count + " float32 values do not fit " + into.byteSize() + " bytes");
      }
      switch (type) {
        case F32 -> into.copyFrom(data);
        case F64 -> {
          for (long i = 0; i < count; i++) {
            into.setAtIndex(FLOAT, i, (float) data.getAtIndex(DOUBLE, i));
          }
        }
        case F16 -> {
          for (long i = 0; i < count; i++) {
            into.setAtIndex(FLOAT, i, Float.float16ToFloat(data.getAtIndex(SHORT, i)));
          }
        }
        case BF16 -> {
          for (long i = 0; i < count; i++) {
            into.setAtIndex(FLOAT, i, Float.intBitsToFloat(data.getAtIndex(SHORT, i) << 16));
          }
        }
        default ->
            throw new IllegalArgumentException(
                "its elements are " + type + "; F32, F16, BF16 and F64 can be read as weights");
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
    write(file, tensors, Map.of());
  }

  /** Writes the tensors as {@link #write(Path, Map)} does, and texts about them by name. */
  public static void write(Path file, Map<String, Entry> tensors, Map<String, String> metadata)
      throws IOException {
    Map<String, Object> header = new LinkedHashMap<>();
    if (!metadata.isEmpty()) {
      header.put(METADATA, new TreeMap<>(metadata));
    }
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
    byte[] json = Json.MAPPER.writeValueAsBytes(header);
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
   * What a file holds.
   *
   * @param tensors by name, in the header's order
   * @param metadata texts by name, empty if it has none
   */
  public record Contents(Map<String, Entry> tensors, Map<String, String> metadata) {}

  /**
   * Maps a file's tensors, as {@link #open} does.
   *
   * @throws IOException naming the file, if it is cut short or not a safetensors file
   */
  public static Map<String, Entry> read(Path file, Arena arena) throws IOException {
    return open(file, arena).tensors();
  }

  /**
   * Maps a file. The entries' memory is read-only and lives as long as the arena.
   *
   * @throws IOException naming the file, if it is cut short or not a safetensors file
   */
  public static Contents open(Path file, Arena arena) throws IOException {
    InputFiles.requireRegular(file);
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
        header = Json.MAPPER.readTree(text);
      } catch (JacksonException e) {
        throw broken(file, "its header is not JSON (" + Json.problem(e) + ")");
      }
      if (!header.isObject()) {
        throw broken(file, "its header is not a JSON object");
      }
      MemorySegment data = all.asSlice(8 + headerSize);
      Map<String, Entry> tensors = new LinkedHashMap<>();
      Map<String, String> metadata = new LinkedHashMap<>();
      for (var property : header.properties()) {
        if (property.getKey().equals(METADATA)) {
          if (!property.getValue().isObject()) {
            throw broken(file, METADATA + " is not an object of texts");
          }
          for (var note : property.getValue().properties()) {
            if (!note.getValue().isString()) {
              throw broken(file, "its metadata " + Excerpt.of(note.getKey()) + " is not a text");
            }
            metadata.put(note.getKey(), note.getValue().stringValue());
          }
        } else {
          tensors.put(property.getKey(), entry(file, property.getKey(), property.getValue(), data));
        }
      }
      checkCover(file, tensors, data);
      return new Contents(tensors, metadata);
    }
  }

  /** Every byte belongs to exactly one tensor: what overlaps or is left over is damage. */
  private static void checkCover(Path file, Map<String, Entry> tensors, MemorySegment data)
      throws IOException {
    List<Map.Entry<String, Entry>> byPlace = new ArrayList<>(tensors.entrySet());
    byPlace.sort(
        Comparator.<Map.Entry<String, Entry>>comparingLong(
                tensor -> tensor.getValue().data().address())
            .thenComparingLong(tensor -> tensor.getValue().data().byteSize()));
    long covered = data.address();
    for (var tensor : byPlace) {
      MemorySegment place = tensor.getValue().data();
      if (place.address() != covered) {
        throw broken(
            file,
            "tensor "
                + Excerpt.of(tensor.getKey())
                + (place.address() < covered ? " overlaps another" : " follows a gap")
                + ": the file is damaged");
      }
      covered += place.byteSize();
    }
    long left = data.address() + data.byteSize() - covered;
    if (left != 0) {
      throw broken(file, left + " bytes at its end belong to no tensor: the file is damaged");
    }
  }

  private static Entry entry(Path file, String name, JsonNode node, MemorySegment data)
      throws IOException {
    try {
      String dtype = Excerpt.of(field(node, "dtype").asString(""));
      Type type =
          Arrays.stream(Type.values())
              .filter(known -> known.name().equals(dtype))
              .findFirst()
              .orElseThrow(
                  () ->
                      new IllegalArgumentException(
                          "dtype is "
                              + Excerpt.of(field(node, "dtype"))
                              + "; known are "
                              + Arrays.toString(Type.values())));
      long[] shape = longs(node, "shape");
      long[] range = longs(node, "data_offsets");
      if (range.length != 2
          || range[0] < 0
          || range[1] < range[0]
          || range[1] > data.byteSize()
          || Arrays.stream(shape).anyMatch(dim -> dim < 0)) {
        throw broken(
            file,
            "tensor "
                + Excerpt.of(name)
                + " lies at "
                + Excerpt.of(Arrays.toString(range))
                + " of "
                + data.byteSize()
                + " bytes: the file is cut short or damaged");
      }
      return new Entry(type, shape, data.asSlice(range[0], range[1] - range[0]));
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw broken(file, "tensor " + Excerpt.of(name) + ": " + e.getMessage());
    }
  }

  private static JsonNode field(JsonNode tensor, String name) {
    JsonNode value = tensor.get(name);
    if (value == null) {
      throw new IllegalArgumentException("has no " + name);
    }
    return value;
  }

  private static long[] longs(JsonNode tensor, String field) {
    JsonNode list = field(tensor, field);
    long[] values = new long[list.size()];
    boolean fine = list.isArray();
    for (int i = 0; fine && i < values.length; i++) {
      JsonNode value = list.get(i);
      fine = value.isIntegralNumber() && value.canConvertToLong();
      values[i] = fine ? value.longValue() : 0;
    }
    if (!fine) {
      throw new IllegalArgumentException(
          field + " is " + Excerpt.of(list) + "; a list of whole numbers is needed");
    }
    return values;
  }

  private static IOException broken(Path file, String why) {
    return new IOException(file + " is not a readable safetensors file: " + why);
  }
}
