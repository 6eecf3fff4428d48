package org.nasvlp.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.checkpoint.TensorRange;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.kernels.CodebookState;

/** A dictionary's tensors: a checkpoint's dictionary.safetensors, and in an exported file. */
final class DictionaryFile {
  static final String NAME = "dictionary.safetensors";

  /** Before the tensors' names in a file that holds others too. */
  static final String PREFIX = "visual_dictionary.";

  private static final TensorRange COUNT = TensorRange.of(0, Long.MAX_VALUE);

  private DictionaryFile() {}

  /**
   * Reads a dictionary of k codewords of width d.
   *
   * @throws IOException naming the file, if it is damaged, holds another one, or numbers that no
   *     dictionary has
   */
  static VisualDictionary.Saved read(Path file, int k, int d) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      return read(file, Safetensors.read(file, arena), k, d);
    }
  }

  /**
   * Reads a dictionary of k codewords of width d from a file's tensors.
   *
   * @param found the dictionary's own, without {@link #PREFIX}
   * @throws IOException as {@link #read(Path, int, int)} does
   */
  static VisualDictionary.Saved read(Path file, Map<String, Safetensors.Entry> found, int k, int d)
      throws IOException {
    float[] codewords =
        entry(file, found, "codewords", TensorRange.FINITE, Safetensors.Type.F32, k, d)
            .toArray(ValueLayout.JAVA_FLOAT);
    double[] n =
        entry(file, found, "n", TensorRange.NOT_NEGATIVE, Safetensors.Type.F64, k)
            .toArray(ValueLayout.JAVA_DOUBLE);
    float[] m =
        entry(file, found, "m", TensorRange.FINITE, Safetensors.Type.F32, k, d)
            .toArray(ValueLayout.JAVA_FLOAT);
    int[] dead =
        entry(file, found, "dead_steps", COUNT, Safetensors.Type.I32, k)
            .toArray(ValueLayout.JAVA_INT);
    Safetensors.Entry lists = found.get("neighbours");
    int[] neighbours = new int[0];
    int neighbourCount = 0;
    if (lists != null) {
      neighbourCount = lists.shape().length == 2 ? (int) lists.shape()[1] : 0;
      TensorRange codes = TensorRange.of(-1, k - 1);
      neighbours =
          entry(file, found, "neighbours", codes, Safetensors.Type.I32, k, neighbourCount)
              .toArray(ValueLayout.JAVA_INT);
    }
    long restarts =
        entry(file, found, "restarts", COUNT, Safetensors.Type.I64, 1)
            .get(ValueLayout.JAVA_LONG, 0);
    long[] epochCounts =
        entry(file, found, "epoch_counts", COUNT, Safetensors.Type.I64, k)
            .toArray(ValueLayout.JAVA_LONG);
    return new VisualDictionary.Saved(
        new CodebookState(codewords, n, m, dead),
        neighbours,
        neighbourCount,
        restarts,
        epochCounts);
  }

  private static MemorySegment entry(
      Path file,
      Map<String, Safetensors.Entry> found,
      String name,
      TensorRange range,
      Safetensors.Type type,
      long... shape)
      throws IOException {
    Safetensors.Entry entry = found.get(name);
    if (entry == null || entry.type() != type || !Arrays.equals(entry.shape(), shape)) {
      throw new IOException(
          file
              + " does not fit the checkpoint's configuration: "
              + name
              + (entry == null
                  ? " is missing"
                  : " is " + entry.type() + " " + Arrays.toString(entry.shape()))
              + ", expected "
              + type
              + " "
              + Arrays.toString(shape));
    }
    range.require(file, name, entry);
    // Copied: a mapped file promises no more than byte alignment.
    MemorySegment copy = MemorySegment.ofArray(new long[(int) ((entry.data().byteSize() + 7) / 8)]);
    return copy.asSlice(0, entry.data().byteSize()).copyFrom(entry.data());
  }

  /** Writes a dictionary of k codewords of width d. */
  static void write(Path file, VisualDictionary.Saved saved, long k, long d) throws IOException {
    Safetensors.write(file, tensors(saved, k, d));
  }

  /** The tensors of a dictionary of k codewords of width d, by name. */
  static Map<String, Safetensors.Entry> tensors(VisualDictionary.Saved saved, long k, long d) {
    CodebookState codebook = saved.codebook();
    Map<String, Safetensors.Entry> state = new TreeMap<>();
    state.put(
        "codewords",
        entry(Safetensors.Type.F32, MemorySegment.ofArray(codebook.codewords()), k, d));
    state.put("m", entry(Safetensors.Type.F32, MemorySegment.ofArray(codebook.m()), k, d));
    state.put("n", entry(Safetensors.Type.F64, MemorySegment.ofArray(codebook.n()), k));
    state.put(
        "dead_steps", entry(Safetensors.Type.I32, MemorySegment.ofArray(codebook.deadSteps()), k));
    if (saved.neighbourCount() > 0) {
      MemorySegment neighbours = MemorySegment.ofArray(saved.neighbours());
      state.put("neighbours", entry(Safetensors.Type.I32, neighbours, k, saved.neighbourCount()));
    }
    state.put(
        "epoch_counts", entry(Safetensors.Type.I64, MemorySegment.ofArray(saved.epochCounts()), k));
    long[] restarts = {saved.restarts()};
    state.put("restarts", entry(Safetensors.Type.I64, MemorySegment.ofArray(restarts), 1));
    return state;
  }

  private static Safetensors.Entry entry(
      Safetensors.Type type, MemorySegment array, long... shape) {
    // A ByteBuffer view, which writing needs, exists for byte arrays and native memory only.
    return new Safetensors.Entry(
        type, shape, MemorySegment.ofArray(array.toArray(ValueLayout.JAVA_BYTE)));
  }
}
