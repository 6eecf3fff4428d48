package org.nasvlp.train;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.nasvlp.checkpoint.Safetensors;

/** Changes checkpoints behind the library's back. */
public final class Sums {
  private Sums() {}

  /** Makes the list of a checkpoint's sums anew, as {@code sha256sum} does. */
  public static void seal(Path checkpoint) throws IOException {
    StringBuilder lines = new StringBuilder();
    try (Stream<Path> files = Files.list(checkpoint)) {
      for (Path file : files.sorted().toList()) {
        String name = file.getFileName().toString();
        if (!name.equals("SHA256SUMS")) {
          byte[] sum = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
          lines.append(HexFormat.of().formatHex(sum)).append("  ").append(name).append('\n');
        }
      }
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
    Files.writeString(checkpoint.resolve("SHA256SUMS"), lines);
  }

  /** Changes a tensor of a checkpoint's file and makes the sums fit. */
  public static void change(Path file, String name, UnaryOperator<Safetensors.Entry> change)
      throws IOException {
    Map<String, Safetensors.Entry> tensors = new HashMap<>();
    try (Arena arena = Arena.ofConfined()) {
      Safetensors.read(file, arena)
          .forEach(
              (key, entry) ->
                  tensors.put(
                      key,
                      new Safetensors.Entry(
                          entry.type(),
                          entry.shape(),
                          MemorySegment.ofArray(entry.data().toArray(ValueLayout.JAVA_BYTE)))));
    }
    if (!tensors.containsKey(name)) {
      throw new AssertionError(file + " has no " + name + " among " + tensors.keySet());
    }
    Safetensors.Entry changed = change.apply(tensors.remove(name));
    if (changed != null) {
      tensors.put(name, changed);
    }
    Files.delete(file);
    Safetensors.write(file, tensors);
    seal(file.getParent());
  }

  /** Sets all elements of an F32 tensor of a checkpoint's file and makes the sums fit. */
  public static void fill(Path file, String name, float value) throws IOException {
    change(
        file,
        name,
        entry -> {
          for (long i = 0; i < entry.count(); i++) {
            entry.data().setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i, value);
          }
          return entry;
        });
  }

  /** Sets the last element of a tensor of a checkpoint's file and makes the sums fit. */
  public static void set(Path file, String name, double value) throws IOException {
    change(
        file,
        name,
        entry -> {
          MemorySegment data = entry.data();
          long last = entry.count() - 1;
          switch (entry.type()) {
            case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, last, (float) value);
            case F64 -> data.setAtIndex(ValueLayout.JAVA_DOUBLE_UNALIGNED, last, value);
            case I32 -> data.setAtIndex(ValueLayout.JAVA_INT_UNALIGNED, last, (int) value);
            case I64 -> data.setAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, last, (long) value);
            default -> throw new AssertionError(entry.type());
          }
          return entry;
        });
  }
}
