package org.nasvlp.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.checkpoint.TorchFiles.Pickle;

class TorchFileTest {
  /** Files that PyTorch wrote, by the make.py beside them. */
  private static final Path MADE = Path.of("src/test/resources/torch");

  private static final byte[] FOUR = new byte[16];

  @TempDir Path folder;

  private static float[] floats(Safetensors.Entry entry) {
    float[] out = new float[Math.toIntExact(entry.count())];
    MemorySegment memory = Arena.ofAuto().allocate(4L * out.length, 4);
    entry.copyFloats(memory);
    MemorySegment.copy(memory, ValueLayout.JAVA_FLOAT, 0, out, 0, out.length);
    return out;
  }

  /** Elements of the ramp -1, -0.75, ... that make.py fills tensors with. */
  private static float[] ramp(int count, IntUnaryOperator place) {
    float[] out = new float[count];
    for (int i = 0; i < count; i++) {
      out[i] = place.applyAsInt(i) * 0.25f - 1;
    }
    return out;
  }

  @ParameterizedTest
  @CsvSource({"state.pt,'',''", "checkpoint-2.pth,model,module.", "checkpoint-4.pth,model,module."})
  void tensorsAreThoseThatPyTorchWrote(String name, String key, String prefix) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      TorchFile.Contents contents = TorchFile.open(MADE.resolve(name), arena);
      assertThat(contents.key()).isEqualTo(key);
      assertThat(contents.prefix()).isEqualTo(prefix);
      Map<String, Safetensors.Entry> tensors = contents.tensors();
      assertThat(tensors.keySet())
          .containsExactly(
              "a.weight",
              "a.bias",
              "n.weight",
              "n.bias",
              "transposed",
              "part",
              "same",
              "column",
              "permuted",
              "half",
              "bfloat",
              "double",
              "ids",
              "flags",
              "bytes",
              "scalar",
              "none",
              "parameter");
      Map<String, float[]> expected = new LinkedHashMap<>();
      expected.put("a.weight", ramp(6, i -> i));
      expected.put("n.bias", ramp(2, i -> i));
      expected.put("transposed", ramp(24, i -> i % 4 * 6 + i / 4));
      expected.put("part", ramp(7, i -> 3 + 2 * i));
      expected.put("same", ramp(24, i -> i));
      expected.put("column", ramp(4, i -> 6 * i + 2));
      // Axes 2, 0, 1 of 2 x 3 x 4.
      expected.put("permuted", ramp(24, i -> i / 3 % 2 * 12 + i % 3 * 4 + i / 6));
      expected.put("half", ramp(5, i -> i));
      expected.put("bfloat", ramp(5, i -> i));
      expected.put("double", ramp(5, i -> i));
      expected.put("scalar", new float[] {0.07f});
      expected.put("none", new float[0]);
      expected.put("parameter", ramp(4, i -> i));
      expected.forEach(
          (of, values) -> assertThat(floats(tensors.get(of))).as(of).containsExactly(values));
      assertThat(tensors.get("transposed").shape()).containsExactly(6, 4);
      assertThat(tensors.get("permuted").shape()).containsExactly(4, 2, 3);
      assertThat(tensors.get("none").shape()).containsExactly(0, 3);
      assertThat(tensors.get("scalar").shape()).isEmpty();
      assertThat(tensors.get("half").type()).isEqualTo(Safetensors.Type.F16);
      assertThat(tensors.get("bfloat").type()).isEqualTo(Safetensors.Type.BF16);
      assertThat(tensors.get("ids").type()).isEqualTo(Safetensors.Type.I64);
      assertThat(tensors.get("ids").data().toArray(ValueLayout.JAVA_LONG_UNALIGNED))
          .containsExactly(-2, -1, 0, 1, 2);
      assertThat(tensors.get("flags").data().toArray(ValueLayout.JAVA_BYTE))
          .containsExactly(1, 0, 1);
      assertThat(tensors.get("bytes").data().toArray(ValueLayout.JAVA_BYTE))
          .containsExactly(1, 255);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "evil.pt,posix.system,nothing of it was executed",
    "legacy.pt,before version 1.6,torch.save(torch.load(",
    "script.pt,TorchScript,torch.jit.load(file).state_dict()"
  })
  void otherFormsOfPyTorchAreRefusedWithARemedy(String name, String first, String second) {
    try (Arena arena = Arena.ofConfined()) {
      assertThatThrownBy(() -> TorchFile.open(MADE.resolve(name), arena))
          .isInstanceOf(IOException.class)
          .hasMessageContainingAll(name, first, second);
    }
  }

  private TorchFile.Contents open(byte[] bytes, Arena arena) throws IOException {
    return TorchFile.open(Files.write(folder.resolve("w.pth"), bytes), arena);
  }

  private void refused(byte[] bytes, String... message) {
    try (Arena arena = Arena.ofConfined()) {
      assertThatThrownBy(() -> open(bytes, arena))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("w.pth is not a readable PyTorch file")
          .message()
          .contains(message)
          .hasSizeLessThan(1000);
    }
  }

  private void refusedPickle(Pickle pickle, String... message) throws IOException {
    refused(TorchFiles.zip("x", pickle.bytes(), Map.of("data/0", FOUR)), message);
  }

  /** One tensor "w" of a storage of four floats. */
  private void refusedTensor(
      String key, long count, long offset, long[] shape, long[] strides, String... message)
      throws IOException {
    refusedPickle(
        new Pickle(2)
            .ops("}")
            .text("w")
            .tensor("FloatStorage", key, count, offset, shape, strides)
            .ops("s."),
        message);
  }

  private static long[] of(long... values) {
    return values;
  }

  @Test
  void tensorsBeyondTheirStorageAreRefused() throws IOException {
    refusedTensor("0", 4, 1, of(4), of(1), "element 4 of a storage of 4");
    refusedTensor("0", 4, 0, of(2, 2), of(3, 1), "element 4 of a storage of 4");
    refusedTensor("0", 4, Long.MAX_VALUE, of(2), of(1), "no storage holds");
    refusedTensor("0", 4, 0, of(3), of(Long.MAX_VALUE), "no storage holds");
    refusedTensor("0", 4, 0, of(1L << 40, 1L << 40), of(0, 0), "no storage holds");
    refusedTensor("0", 4, 0, of(1L << 62, 1L << 62, 0), of(1, 1, 1), "no storage holds");
    refusedTensor("0", 4, 0, of(1L << 40), of(0), "repeats elements");
    refusedTensor("0", 4, -1, of(1), of(1), "not described as torch.save does");
    refusedTensor("0", 4, 0, of(-1), of(1), "numbers of 0 or more");
    refusedTensor("0", 4, 0, of(2), of(1, 1), "not described as torch.save does");
    refusedTensor("0", 4, 0, new long[65], new long[65], "64 dimensions");
    refusedTensor("0", 5, 0, of(1), of(1), "5 F32 elements", "16 bytes");
    refusedTensor("0", 1L << 62, 0, of(1), of(1), "no storage holds");
    refusedTensor("1", 4, 0, of(1), of(1), "data/1", "lacks");
    refusedTensor("../data.pkl", 4, 0, of(1), of(1), "data/../data.pkl", "lacks");
  }

  @Test
  void copiesAreBoundedByTheFilesLength() throws IOException {
    // Each is a transposed view of the same storage of 64 KiB.
    Pickle pickle = new Pickle(2).ops("}(");
    for (int i = 0; i < 100; i++) {
      pickle.text("w" + i).tensor("FloatStorage", "0", 1 << 14, 0, of(128, 128), of(1, 128));
    }
    refused(
        TorchFiles.zip("x", pickle.ops("u.").bytes(), Map.of("data/0", new byte[1 << 16])),
        "repeats elements");
  }

  @ParameterizedTest
  @CsvSource({
    "os,system",
    "builtins,eval",
    "torch,load",
    "torch.nn.modules.linear,Linear",
    "torch,Tensor"
  })
  void otherNamesAreRefusedByName(String module, String name) throws IOException {
    String shown = module + "." + name;
    refusedPickle(
        new Pickle(2).global(module, name).ops("(").text("x").ops("tR."), shown, "executed");
    refusedPickle(new Pickle(4).text(module).text(name).op(0x93), shown, "executed");
    // Also where nothing is called.
    refusedPickle(new Pickle(2).ops("}").text("a").global(module, name).ops("s."), shown);
  }

  @Test
  void brokenPicklesAreRefused() throws IOException {
    refusedPickle(new Pickle(5).ops("}."), "protocol 2, 3 or 4");
    refusedPickle(new Pickle(2).ops("}"), "cut short");
    refusedPickle(new Pickle(2).ops("X").op(255, 255, 255, 255), "cut short");
    refusedPickle(new Pickle(4).op(0x8d, 0, 0, 0, 0, 0, 0, 0, 0x80), "cut short");
    refusedPickle(new Pickle(2).op(0x8b, 0, 0, 0, 0x80), "cut short");
    refusedPickle(new Pickle(2).ops("."), "lacks its values");
    refusedPickle(new Pickle(2).ops("(."), "lacks its values");
    refusedPickle(new Pickle(2).ops("N(0."), "lacks its values");
    refusedPickle(new Pickle(2).ops("t."), "without its mark");
    refusedPickle(new Pickle(2).ops("h").op(9), "not remembered");
    refusedPickle(new Pickle(2).ops("j").op(0, 0, 0, 0x80), "not remembered");
    refusedPickle(new Pickle(2).ops("NNa."), "no list");
    refusedPickle(new Pickle(2).ops("}(Nu."), "no dict");
    refusedPickle(new Pickle(2).ops("]NNs."), "no dict");
    refusedPickle(new Pickle(2).ops("N)R."), "no name");
    refusedPickle(new Pickle(2).ops("NN").op(0x93), "no text");
    refusedPickle(new Pickle(2).ops("NQ."), "storage");
    refusedPickle(new Pickle(2).ops("I01\n."), "opcode 0x49");
    refusedPickle(new Pickle(2).ops("c" + "x".repeat(2000)), "1000 bytes");
    refusedPickle(new Pickle(2).ops("]."), "no dict of tensors");
    refusedPickle(
        new Pickle(2).global("torch._utils", "_rebuild_parameter").ops(")R."), "without a tensor");
    refusedPickle(new Pickle(2).global("torch", "Size").ops(")R."), "torch.Size");
    refusedPickle(
        new Pickle(2).global("collections", "OrderedDict").ops("](NNNe").op(0x85).ops("R."),
        "no pairs");
  }

  @Test
  void containersThatHoldThemselvesAndDeepOnesEnd() throws IOException {
    // A dict that is its own "model", without end.
    refusedPickle(
        new Pickle(2).ops("}q").op(0).text("model").ops("h").op(0).ops("s."), "no tensors");
    // A list as a key, and in itself.
    refusedPickle(new Pickle(2).ops("}]q").op(0).ops("h").op(0).ops("aNs."), "no tensors");
    Pickle deep = new Pickle(2);
    for (int i = 0; i < 200_000; i++) {
      deep.ops("](");
    }
    for (int i = 0; i < 200_000; i++) {
      deep.ops("e");
    }
    refusedPickle(deep.ops("."), "no dict of tensors");
    Pickle tuples = new Pickle(2).ops("}N");
    for (int i = 0; i < 200_000; i++) {
      tuples.op(0x85);
    }
    refusedPickle(tuples.ops("Ns."), "no tensors");
    // The same list of pairs, made a dict over and over.
    Pickle pairs = new Pickle(2).ops("](");
    for (int i = 0; i < 1000; i++) {
      pairs.ops("NN").op(0x86);
    }
    pairs.ops("eq").op(0);
    for (int i = 0; i < 1000; i++) {
      pairs.global("collections", "OrderedDict").ops("h").op(0).op(0x85).ops("R");
    }
    refusedPickle(pairs.ops("."), "many an OrderedDict");
  }

  @Test
  void theWeightsOfACheckpointAreFoundUnderTheirKey() throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Pickle one = nested(new Pickle(2), "anything").ops("ss.");
      assertThat(open(TorchFiles.zip("y", one.bytes(), Map.of("data/0", FOUR)), arena).key())
          .isEqualTo("anything");
      Pickle two = nested(nested(new Pickle(2), "student").ops("ss"), "teacher", false).ops("ss.");
      TorchFile.Contents contents =
          open(TorchFiles.zip("y", two.bytes(), Map.of("data/0", FOUR)), arena);
      assertThat(contents.key()).isEqualTo("teacher");
      assertThat(contents.tensors().keySet()).containsExactly("w");
      Pickle inner = new Pickle(2).ops("}").text("model");
      nested(inner, "state_dict").ops("sss.");
      assertThat(open(TorchFiles.zip("y", inner.bytes(), Map.of("data/0", FOUR)), arena).key())
          .isEqualTo("model.state_dict");
    }
    refusedPickle(
        nested(nested(new Pickle(2), "a").ops("ss"), "b", false).ops("ss."),
        "state_dict",
        "its keys are [a, b]");
  }

  /** A dict with a dict with a tensor under a key; its end is two SETITEM away. */
  private static Pickle nested(Pickle pickle, String key) {
    return nested(pickle, key, true);
  }

  private static Pickle nested(Pickle pickle, String key, boolean begins) {
    return (begins ? pickle.ops("}") : pickle)
        .text(key)
        .ops("}")
        .text("w")
        .tensor("FloatStorage", "0", 4, 0, of(2, 2), of(2, 1));
  }

  @Test
  void damagedArchivesAreRefused() throws IOException {
    byte[] whole = Files.readAllBytes(MADE.resolve("state.pt"));
    refused(new byte[0], "no zip archive");
    refused(Arrays.copyOf(whole, whole.length - 30), "it was cut");
    byte[] flipped = whole.clone();
    int at = indexOf(whole, new byte[] {0, 0, (byte) 0x80, (byte) 0xbf});
    flipped[at + 1] ^= 1;
    refused(flipped, "checksum", "data/");
    byte[] lost = whole.clone();
    lost[indexOf(whole, new byte[] {'P', 'K', 1, 2}) + 2] ^= 1;
    refused(lost, "its list of entries is damaged");
    byte[] long64 = whole.clone();
    // The count of entries in the 64-bit end.
    long64[indexOf(whole, new byte[] {'P', 'K', 6, 6}) + 32 + 7] ^= 1;
    refused(long64, "its list of entries is damaged");
    refused(TorchFiles.zip(Map.of("x/other", FOUR)), "no data.pkl");
    refused(TorchFiles.zip(Map.of("x/data.pkl", FOUR, "y/data.pkl", FOUR)), "two data.pkl");
    Map<String, byte[]> big = Map.of("x/data.pkl", FOUR, "x/byteorder", new byte[] {'b', 'i', 'g'});
    refused(TorchFiles.zip(big), "little-endian");
    for (int cut = 4; cut < whole.length; cut += 97) {
      byte[] part = Arrays.copyOf(whole, cut);
      refused(part, "it was cut");
    }
  }

  private static int indexOf(byte[] all, byte[] part) {
    return IntStream.range(0, all.length - part.length)
        .filter(i -> Arrays.equals(all, i, i + part.length, part, 0, part.length))
        .findFirst()
        .orElseThrow();
  }
}
