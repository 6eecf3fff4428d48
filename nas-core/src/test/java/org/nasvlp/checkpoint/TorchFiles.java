package org.nasvlp.checkpoint;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Files of PyTorch's form, written by opcode. */
public final class TorchFiles {
  private static final Map<Safetensors.Type, String> STORAGES =
      Map.of(
          Safetensors.Type.F32, "FloatStorage",
          Safetensors.Type.F16, "HalfStorage",
          Safetensors.Type.BF16, "BFloat16Storage",
          Safetensors.Type.F64, "DoubleStorage",
          Safetensors.Type.I64, "LongStorage");

  private TorchFiles() {}

  /** The bytes of a pickle, of which each method writes one value or operation. */
  public static final class Pickle {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    /** Begins with the opcode of the protocol. */
    public Pickle(int protocol) {
      op(0x80).op(protocol);
    }

    public Pickle op(int... bytes) {
      for (int value : bytes) {
        out.write(value);
      }
      return this;
    }

    public Pickle ops(String opcodes) {
      out.writeBytes(opcodes.getBytes(StandardCharsets.ISO_8859_1));
      return this;
    }

    public Pickle text(String text) {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      out.write('X');
      out.writeBytes(
          ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(bytes.length).array());
      out.writeBytes(bytes);
      return this;
    }

    public Pickle number(long value) {
      op(0x8a, 8);
      out.writeBytes(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
      return this;
    }

    public Pickle numbers(long... values) {
      op('(');
      for (long value : values) {
        number(value);
      }
      return op('t');
    }

    public Pickle global(String module, String name) {
      return ops("c" + module + "\n" + name + "\n");
    }

    /** A tensor of a storage of so many elements. */
    public Pickle tensor(
        String storage, String key, long count, long offset, long[] shape, long[] strides) {
      return global("torch._utils", "_rebuild_tensor_v2")
          .ops("((")
          .text("storage")
          .global("torch", storage)
          .text(key)
          .text("cpu")
          .number(count)
          .ops("tQ")
          .number(offset)
          .numbers(shape)
          .numbers(strides)
          .op(0x89)
          .global("collections", "OrderedDict")
          .ops(")RtR");
    }

    public byte[] bytes() {
      return out.toByteArray();
    }

    /** With the opcode of the end. */
    public byte[] end() {
      return op('.').bytes();
    }
  }

  /** An archive of such a pickle and records. */
  public static byte[] zip(String folder, byte[] pickle, Map<String, byte[]> records)
      throws IOException {
    Map<String, byte[]> all = new LinkedHashMap<>();
    all.put(folder + "/data.pkl", pickle);
    records.forEach((name, bytes) -> all.put(folder + "/" + name, bytes));
    return zip(all);
  }

  /** An archive of stored entries. */
  public static byte[] zip(Map<String, byte[]> entries) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      for (var of : entries.entrySet()) {
        ZipEntry entry = new ZipEntry(of.getKey());
        entry.setMethod(ZipEntry.STORED);
        entry.setSize(of.getValue().length);
        CRC32 crc = new CRC32();
        crc.update(of.getValue());
        entry.setCrc(crc.getValue());
        zip.putNextEntry(entry);
        zip.write(of.getValue());
      }
    }
    return bytes.toByteArray();
  }

  /** A state dict, each tensor in a storage of its own. */
  public static byte[] stateDict(Map<String, Safetensors.Entry> tensors) throws IOException {
    Pickle pickle = new Pickle(2).ops("}(");
    Map<String, byte[]> records = new LinkedHashMap<>();
    for (var tensor : tensors.entrySet()) {
      Safetensors.Entry entry = tensor.getValue();
      String key = Integer.toString(records.size());
      records.put("data/" + key, entry.data().toArray(ValueLayout.JAVA_BYTE));
      long[] strides = new long[entry.shape().length];
      long step = 1;
      for (int i = strides.length - 1; i >= 0; i--) {
        strides[i] = step;
        step *= entry.shape()[i];
      }
      pickle
          .text(tensor.getKey())
          .tensor(STORAGES.get(entry.type()), key, entry.count(), 0, entry.shape(), strides);
    }
    return zip("archive", pickle.ops("u").end(), records);
  }
}
