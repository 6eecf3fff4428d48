package org.nasvlp.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads the values of a pickle of protocol 2 to 4 (opcodes as Python's {@code pickletools} lists
 * them) as far as files of weights need them: numbers, texts, containers and descriptions of
 * tensors. Names of Python objects are looked up in a fixed list and mean what is written here;
 * none is imported or called, and any other name is an error. Nothing here recurses, and what is
 * built is in proportion to the pickle's length.
 */
final class Unpickler {
  private static final Map<String, Safetensors.Type> STORAGES =
      Map.ofEntries(
          Map.entry("torch.DoubleStorage", Safetensors.Type.F64),
          Map.entry("torch.FloatStorage", Safetensors.Type.F32),
          Map.entry("torch.HalfStorage", Safetensors.Type.F16),
          Map.entry("torch.BFloat16Storage", Safetensors.Type.BF16),
          Map.entry("torch.LongStorage", Safetensors.Type.I64),
          Map.entry("torch.IntStorage", Safetensors.Type.I32),
          Map.entry("torch.ShortStorage", Safetensors.Type.I16),
          Map.entry("torch.CharStorage", Safetensors.Type.I8),
          Map.entry("torch.ByteStorage", Safetensors.Type.U8),
          Map.entry("torch.BoolStorage", Safetensors.Type.BOOL));

  private static final int MAX_DIMENSIONS = 64;

  private final ByteBuffer in;
  private final int length;
  private final List<Object> stack = new ArrayList<>();
  private final List<Integer> marks = new ArrayList<>();
  private final Map<Integer, Object> memo = new HashMap<>();
  private long copied;

  /** Python's None. */
  enum None {
    NONE
  }

  /** A value whose contents are of no use here. */
  enum Ignored {
    IGNORED
  }

  /** A name that stands for a Python object, one of those known. */
  private enum Known {
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
    ORDERED_DICT,
    SIZE,
    NAMESPACE
  }

  /** A dict or an OrderedDict; unlike a Map the same as itself only, so that it may hold itself. */
  static final class Dict {
    final Map<Object, Object> values = new LinkedHashMap<>();

    private void put(Object key, Object value) {
      boolean plain =
          key instanceof String
              || key instanceof Long
              || key instanceof Double
              || key instanceof Boolean
              || key == None.NONE;
      values.put(plain ? key : new Object(), value);
    }
  }

  private record Tuple(List<Object> values) {
    @Override
    public boolean equals(@Nullable Object other) {
      return this == other;
    }

    @Override
    public int hashCode() {
      return System.identityHashCode(this);
    }
  }

  /**
   * A storage that tensors are views of.
   *
   * @param key the name of its record in the file
   * @param count elements
   */
  record Storage(Safetensors.Type type, String key, long count) {}

  /**
   * A tensor's description.
   *
   * @param offset of its first element in the storage, in elements
   * @param shape sizes, each 0 or more
   * @param strides steps in the storage, in elements, 0 or more; as many as sizes
   */
  record View(Storage storage, long offset, long[] shape, long[] strides) {}

  private Unpickler(MemorySegment pickle) {
    in = pickle.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
    length = in.remaining();
  }

  /**
   * The value that a pickle describes: a {@link Dict}, a {@link View}, a List, a String, a Long, a
   * Double, a Boolean or something of no use here.
   *
   * @param pickle of fewer than 2^31 bytes
   * @throws IOException saying what is wrong, without the file's name
   */
  static Object read(MemorySegment pickle) throws IOException {
    Unpickler unpickler = new Unpickler(pickle);
    try {
      return unpickler.run();
    } catch (BufferUnderflowException e) {
      throw new IOException("its pickle is cut short", e);
    }
  }

  private Object run() throws IOException {
    int start = in.get() & 0xff;
    int protocol = in.get() & 0xff;
    if (start != 0x80 || protocol < 2 || protocol > 4) {
      throw new IOException(
          "its pickle is not of protocol 2, 3 or 4: save it again with torch.save's own"
              + " pickle_protocol");
    }
    while (true) {
      int opcode = in.get() & 0xff;
      if (opcode == '.') {
        return pop();
      }
      step(opcode);
    }
  }

  private void step(int opcode) throws IOException {
    switch (opcode) {
      case 0x80 -> skip(1);
      // A frame only groups what follows.
      case 0x95 -> skip(8);
      case '(' -> marks.add(stack.size());
      case '0' -> pop();
      case '1' -> popToMark();
      case '2' -> {
        Object top = peek();
        stack.add(top);
      }
      case 'N' -> stack.add(None.NONE);
      case 0x88 -> stack.add(true);
      case 0x89 -> stack.add(false);
      case 'J' -> stack.add((long) in.getInt());
      case 'K' -> stack.add((long) (in.get() & 0xff));
      case 'M' -> stack.add((long) (in.getShort() & 0xffff));
      case 0x8a -> stack.add(integer(bytes(in.get() & 0xff)));
      case 0x8b -> stack.add(integer(bytes(in.getInt())));
      case 'G' -> stack.add(Double.longBitsToDouble(Long.reverseBytes(in.getLong())));
      case 'U' -> stack.add(text(bytes(in.get() & 0xff)));
      case 'T' -> stack.add(text(bytes(in.getInt())));
      case 0x8c -> stack.add(text(bytes(in.get() & 0xff)));
      case 'X' -> stack.add(text(bytes(in.getInt() & 0xffff_ffffL)));
      case 0x8d -> stack.add(text(bytes(in.getLong())));
      case 'C' -> ignored(in.get() & 0xff);
      case 'B' -> ignored(in.getInt() & 0xffff_ffffL);
      case 0x8e -> ignored(in.getLong());
      case ']', 0x8f -> stack.add(new ArrayList<>());
      case 'l', 0x91 -> stack.add(popToMark());
      case 'a' -> {
        Object value = pop();
        list().add(value);
      }
      case 'e', 0x90 -> {
        List<Object> values = popToMark();
        list().addAll(values);
      }
      case ')' -> stack.add(new Tuple(List.of()));
      case 't' -> stack.add(new Tuple(popToMark()));
      case 0x85, 0x86, 0x87 -> {
        List<Object> values = new ArrayList<>();
        for (int i = 0; i <= opcode - 0x85; i++) {
          values.add(pop());
        }
        Collections.reverse(values);
        stack.add(new Tuple(values));
      }
      case '}' -> stack.add(new Dict());
      case 'd' -> {
        List<Object> values = popToMark();
        stack.add(new Dict());
        putAll(values);
      }
      case 's' -> {
        Object value = pop();
        Object key = pop();
        putAll(List.of(key, value));
      }
      case 'u' -> putAll(popToMark());
      case 'h' -> stack.add(remembered(in.get() & 0xff));
      case 'j' -> stack.add(remembered(in.getInt()));
      case 'q' -> memo.put(in.get() & 0xff, peek());
      case 'r' -> memo.put(in.getInt(), peek());
      case 0x94 -> memo.put(memo.size(), peek());
      case 'c' -> {
        String module = line();
        stack.add(global(module, line()));
      }
      case 0x93 -> {
        Object name = pop();
        Object module = pop();
        if (!(name instanceof String of) || !(module instanceof String in)) {
          throw damaged("a name that is no text");
        }
        stack.add(global(in, of));
      }
      case 'R', 0x81 -> {
        Object arguments = pop();
        Object called = pop();
        if (!(arguments instanceof Tuple tuple)) {
          throw damaged("arguments that are no tuple");
        }
        stack.add(made(called, tuple.values()));
      }
      case 'b' -> {
        // Attributes, such as the version numbers of a state dict.
        pop();
        peek();
      }
      case 'Q' -> stack.add(storage(pop()));
      default ->
          throw damaged("the opcode 0x%02x, which no file of weights needs".formatted(opcode));
    }
  }

  /** What a name stands for. */
  private static Object global(String module, String name) throws IOException {
    String full = module + "." + name;
    Safetensors.Type type = STORAGES.get(full);
    if (type != null) {
      return type;
    }
    return switch (full) {
      case "torch._utils._rebuild_tensor_v2" -> Known.REBUILD_TENSOR;
      case "torch._utils._rebuild_parameter" -> Known.REBUILD_PARAMETER;
      case "collections.OrderedDict" -> Known.ORDERED_DICT;
      case "torch.Size" -> Known.SIZE;
      case "argparse.Namespace" -> Known.NAMESPACE;
      default ->
          throw new IOException(
              "it names "
                  + TorchFile.shown(full)
                  + ", a Python object that weights do not need; nothing of it was executed. If"
                  + " you trust the file, save its tensors alone, in Python:"
                  + " torch.save(model.state_dict(), other)");
    };
  }

  /** What a known name gives with arguments. */
  private Object made(Object called, List<Object> arguments) throws IOException {
    if (!(called instanceof Known known)) {
      throw damaged("a call of something that is no name");
    }
    return switch (known) {
      case REBUILD_TENSOR -> view(arguments);
      case REBUILD_PARAMETER -> {
        if (arguments.isEmpty() || !(arguments.getFirst() instanceof View view)) {
          throw damaged("a parameter without a tensor");
        }
        yield view;
      }
      case ORDERED_DICT -> ordered(arguments);
      case SIZE -> {
        if (arguments.size() != 1 || !(arguments.getFirst() instanceof Tuple sizes)) {
          throw damaged("a torch.Size of something that is no tuple");
        }
        yield sizes;
      }
      case NAMESPACE -> Ignored.IGNORED;
    };
  }

  private Dict ordered(List<Object> arguments) throws IOException {
    Dict dict = new Dict();
    if (arguments.isEmpty()) {
      return dict;
    }
    if (!(arguments.getFirst() instanceof List<?> pairs)) {
      throw damaged("an OrderedDict of something that is no list");
    }
    // A list may be remembered, and so be given time and again.
    copied += pairs.size();
    if (copied > length) {
      throw damaged("the same list in many an OrderedDict");
    }
    for (Object pair : pairs) {
      List<?> two =
          pair instanceof Tuple tuple
              ? tuple.values()
              : pair instanceof List<?> list ? list : List.of();
      if (two.size() != 2) {
        throw damaged("an OrderedDict of something that is no pairs");
      }
      dict.put(two.getFirst(), two.getLast());
    }
    return dict;
  }

  private Storage storage(Object id) throws IOException {
    if (id instanceof Tuple(List<Object> values)
        && values.size() == 5
        && "storage".equals(values.getFirst())
        && values.get(1) instanceof Safetensors.Type type
        && values.get(2) instanceof String key
        && values.get(4) instanceof Long count
        && count >= 0) {
      return new Storage(type, key, count);
    }
    throw damaged("a storage that is not described as torch.save does");
  }

  private View view(List<Object> arguments) throws IOException {
    if (arguments.size() < 4
        || !(arguments.get(0) instanceof Storage storage)
        || !(arguments.get(1) instanceof Long offset)
        || !(arguments.get(2) instanceof Tuple shape)
        || !(arguments.get(3) instanceof Tuple strides)
        || offset < 0
        || shape.values().size() != strides.values().size()) {
      throw damaged("a tensor that is not described as torch.save does");
    }
    return new View(storage, offset, longs(shape), longs(strides));
  }

  private long[] longs(Tuple tuple) throws IOException {
    if (tuple.values().size() > MAX_DIMENSIONS) {
      throw damaged("a tensor of more than " + MAX_DIMENSIONS + " dimensions");
    }
    long[] out = new long[tuple.values().size()];
    for (int i = 0; i < out.length; i++) {
      if (!(tuple.values().get(i) instanceof Long value) || value < 0) {
        throw damaged("a tensor whose sizes or strides are no numbers of 0 or more");
      }
      out[i] = value;
    }
    return out;
  }

  private void putAll(List<Object> keysAndValues) throws IOException {
    if (!(peek() instanceof Dict dict) || keysAndValues.size() % 2 != 0) {
      throw damaged("items for something that is no dict");
    }
    for (int i = 0; i < keysAndValues.size(); i += 2) {
      dict.put(keysAndValues.get(i), keysAndValues.get(i + 1));
    }
  }

  @SuppressWarnings("unchecked")
  private List<Object> list() throws IOException {
    if (peek() instanceof ArrayList<?> list) {
      return (List<Object>) list;
    }
    throw damaged("items for something that is no list");
  }

  private Object remembered(int at) throws IOException {
    Object value = memo.get(at);
    if (value == null) {
      throw damaged("a reference to something that was not remembered");
    }
    return value;
  }

  private Object peek() throws IOException {
    if (stack.size() <= bottom()) {
      throw damaged("an operation that lacks its values");
    }
    return stack.getLast();
  }

  private Object pop() throws IOException {
    peek();
    return stack.removeLast();
  }

  /** What is below a mark stays until the mark is gone. */
  private int bottom() {
    return marks.isEmpty() ? 0 : marks.getLast();
  }

  private List<Object> popToMark() throws IOException {
    if (marks.isEmpty()) {
      throw damaged("an end without its mark");
    }
    List<Object> top = stack.subList(marks.removeLast(), stack.size());
    ArrayList<Object> values = new ArrayList<>(top);
    top.clear();
    return values;
  }

  private void skip(long count) {
    if (count < 0 || count > in.remaining()) {
      throw new BufferUnderflowException();
    }
    in.position(in.position() + (int) count);
  }

  private byte[] bytes(long count) {
    int from = in.position();
    skip(count);
    byte[] out = new byte[(int) count];
    in.get(from, out);
    return out;
  }

  private void ignored(long count) {
    skip(count);
    stack.add(Ignored.IGNORED);
  }

  private String line() throws IOException {
    int from = in.position();
    while (in.get() != '\n') {
      if (in.position() - from > 1000) {
        throw damaged("a name of more than 1000 bytes");
      }
    }
    byte[] out = new byte[in.position() - 1 - from];
    in.get(from, out);
    return text(out);
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** A little-endian two's complement; one that no long holds is of no use. */
  private static Object integer(byte[] bytes) {
    if (bytes.length > Long.BYTES) {
      return Ignored.IGNORED;
    }
    if (bytes.length == 0) {
      return 0L;
    }
    byte[] big = Arrays.copyOf(bytes, bytes.length);
    for (int i = 0; i < big.length; i++) {
      big[i] = bytes[bytes.length - 1 - i];
    }
    return new BigInteger(big).longValue();
  }

  private IOException damaged(String what) {
    return new IOException(
        "its pickle is damaged or not one of weights: it has "
            + what
            + " (before byte "
            + in.position()
            + ")");
  }
}
