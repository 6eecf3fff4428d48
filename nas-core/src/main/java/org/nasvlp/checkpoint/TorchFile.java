package org.nasvlp.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.nasvlp.internal.Excerpt;
import org.nasvlp.internal.InputFiles;

/**
 * Reads the tensors of files that PyTorch's {@code torch.save} writes since version 1.6: a zip
 * archive of stored entries, {@code FOLDER/data.pkl} being a pickle and {@code FOLDER/data/KEY} the
 * raw elements of the storages that it names. The pickle is read by {@link Unpickler}: nothing in a
 * file is executed.
 */
public final class TorchFile {
  private static final long MAX_PICKLE = 100L << 20;
  private static final byte[] ZIP = {'P', 'K', 3, 4};

  /** A pickle of protocol 2 whose first value is 0x1950a86a20f9469cfc6c. */
  private static final byte[] LEGACY = {
    (byte) 0x80,
    2,
    (byte) 0x8a,
    10,
    0x6c,
    (byte) 0xfc,
    (byte) 0x9c,
    0x46,
    (byte) 0xf9,
    0x20,
    0x6a,
    (byte) 0xa8,
    0x50,
    0x19
  };

  /** Where training programs keep the weights among other things; the first one counts. */
  private static final List<String> KEYS =
      List.of("model", "state_dict", "model_state_dict", "module", "network", "net", "teacher");

  private static final String PARALLEL = "module.";
  private static final String BYTE_ORDER = "byteorder";

  private final Map<String, StoredZip.Entry> entries;
  private final String folder;
  private final Set<String> whole = new HashSet<>();
  private final Arena arena;
  private long copies;

  /**
   * What a file holds.
   *
   * @param tensors by name, in the file's order
   * @param key the keys, joined by dots, under which the tensors were found; empty if at the top
   * @param prefix what was taken off the names, since all had it; empty if nothing was
   */
  public record Contents(Map<String, Safetensors.Entry> tensors, String key, String prefix) {}

  private TorchFile(Map<String, StoredZip.Entry> entries, String folder, long size, Arena arena) {
    this.entries = entries;
    this.folder = folder;
    this.arena = arena;
    copies = 2 * size;
  }

  /** Whether a file begins as PyTorch's do, those that are refused included. */
  public static boolean isOne(byte[] start) {
    return begins(start, ZIP) || begins(start, LEGACY);
  }

  private static boolean begins(byte[] start, byte[] with) {
    return start.length >= with.length
        && Arrays.equals(start, 0, with.length, with, 0, with.length);
  }

  /** How many bytes {@link #isOne} needs. */
  public static int startBytes() {
    return LEGACY.length;
  }

  /**
   * Maps a file. The entries' memory is not to be written, and lives as long as the arena; only
   * tensors whose elements do not lie in order are copies.
   *
   * @throws IOException naming the file, if it is damaged, of another form, or names a Python
   *     object that weights do not need
   */
  public static Contents open(Path file, Arena arena) throws IOException {
    InputFiles.requireRegular(file);
    MemorySegment all;
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      all = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
    }
    try {
      byte[] start =
          all.asSlice(0, Math.min(startBytes(), all.byteSize())).toArray(ValueLayout.JAVA_BYTE);
      if (begins(start, LEGACY)) {
        throw new IOException(
            "it has the form that PyTorch wrote before version 1.6: save it again, in Python:"
                + " torch.save(torch.load(file, map_location='cpu', weights_only=True), other)");
      }
      if (!begins(start, ZIP)) {
        throw new IOException("it is no zip archive");
      }
      Map<String, StoredZip.Entry> entries = StoredZip.entries(all);
      TorchFile reader = new TorchFile(entries, folder(entries), all.byteSize(), arena);
      return reader.read();
    } catch (IOException e) {
      throw new IOException(file + " is not a readable PyTorch file: " + e.getMessage(), e);
    }
  }

  /** The archive's own folder, with its slash. */
  private static String folder(Map<String, StoredZip.Entry> entries) throws IOException {
    @Nullable String found = null;
    for (String name : entries.keySet()) {
      if (name.endsWith("/data.pkl") && name.indexOf('/') == name.length() - 9) {
        if (found != null) {
          throw new IOException("it holds two data.pkl");
        }
        found = name.substring(0, name.length() - 8);
      }
    }
    if (found == null) {
      throw new IOException("the archive holds no data.pkl: torch.save did not write it");
    }
    if (entries.containsKey(found + "constants.pkl")) {
      throw new IOException(
          "it is a TorchScript archive, a program: save its weights alone, in Python:"
              + " torch.save(torch.jit.load(file).state_dict(), other)");
    }
    return found;
  }

  private Contents read() throws IOException {
    if (entries.containsKey(folder + BYTE_ORDER) && !isLittle(record(BYTE_ORDER))) {
      throw new IOException("its elements are not little-endian: save it on another machine");
    }
    MemorySegment pickle = record("data.pkl");
    if (pickle.byteSize() > MAX_PICKLE) {
      throw new IOException(
          "its data.pkl has "
              + pickle.byteSize()
              + " bytes, up to "
              + MAX_PICKLE
              + " are read: save its tensors alone");
    }
    Object top = Unpickler.read(pickle);
    if (!(top instanceof Unpickler.Dict dict)) {
      throw new IOException("it holds no dict of tensors: save model.state_dict()");
    }
    StringBuilder key = new StringBuilder();
    while (true) {
      Map<String, Unpickler.Dict> inner = inner(dict);
      // First, since a program may keep a measure as a tensor beside its weights.
      @Nullable String chosen = KEYS.stream().filter(inner::containsKey).findFirst().orElse(null);
      if (chosen == null && holdsTensors(dict)) {
        break;
      }
      if (chosen == null && inner.size() == 1) {
        chosen = inner.keySet().iterator().next();
      }
      if (chosen == null || key.length() > 200) {
        throw new IOException(
            "it holds no tensors under "
                + String.join(", ", KEYS)
                + ", nor at its top; its keys are "
                + shown(
                    dict.values.keySet().stream()
                        .filter(String.class::isInstance)
                        .limit(20)
                        .toList()
                        .toString())
                + ": save the state_dict alone");
      }
      key.append(key.isEmpty() ? "" : ".").append(chosen);
      dict = Objects.requireNonNull(inner.get(chosen));
    }
    Map<String, Unpickler.View> views = new LinkedHashMap<>();
    dict.values.forEach(
        (name, value) -> {
          if (name instanceof String text && value instanceof Unpickler.View view) {
            views.put(text, view);
          }
        });
    String prefix = views.keySet().stream().allMatch(n -> n.startsWith(PARALLEL)) ? PARALLEL : "";
    Map<String, Safetensors.Entry> tensors = new LinkedHashMap<>();
    for (var view : views.entrySet()) {
      tensors.put(view.getKey().substring(prefix.length()), tensor(view.getKey(), view.getValue()));
    }
    return new Contents(tensors, key.toString(), prefix);
  }

  private static boolean isLittle(MemorySegment order) {
    return order.byteSize() == 6
        && StandardCharsets.US_ASCII.decode(order.asByteBuffer()).toString().equals("little");
  }

  private static boolean holdsTensors(Unpickler.Dict dict) {
    return dict.values.entrySet().stream()
        .anyMatch(
            item -> item.getKey() instanceof String && item.getValue() instanceof Unpickler.View);
  }

  /** The dicts in a dict, by key, that hold tensors, or else dicts. */
  private static Map<String, Unpickler.Dict> inner(Unpickler.Dict dict) {
    Map<String, Unpickler.Dict> direct = new LinkedHashMap<>();
    Map<String, Unpickler.Dict> deeper = new LinkedHashMap<>();
    dict.values.forEach(
        (key, value) -> {
          if (key instanceof String name && value instanceof Unpickler.Dict inner) {
            if (holdsTensors(inner)) {
              direct.put(name, inner);
            } else if (KEYS.contains(name)) {
              deeper.put(name, inner);
            }
          }
        });
    return direct.isEmpty() ? deeper : direct;
  }

  private Safetensors.Entry tensor(String name, Unpickler.View view) throws IOException {
    try {
      return place(view);
    } catch (ArithmeticException e) {
      throw new IOException("its tensor " + shown(name) + " has sizes that no storage holds", e);
    } catch (IOException e) {
      throw new IOException("its tensor " + shown(name) + " " + e.getMessage(), e);
    }
  }

  private Safetensors.Entry place(Unpickler.View view) throws IOException {
    Safetensors.Type type = view.storage().type();
    long[] shape = view.shape();
    long[] strides = view.strides();
    if (Arrays.stream(shape).anyMatch(size -> size == 0)) {
      return new Safetensors.Entry(type, shape, MemorySegment.NULL);
    }
    long last = view.offset();
    long count = 1;
    for (int i = 0; i < shape.length; i++) {
      last = Math.addExact(last, Math.multiplyExact(shape[i] - 1, strides[i]));
      count = Math.multiplyExact(count, shape[i]);
    }
    if (last >= view.storage().count()) {
      throw new IOException(
          "reaches to element "
              + last
              + " of a storage of "
              + view.storage().count()
              + ": the file is damaged");
    }
    MemorySegment storage = record("data/" + view.storage().key());
    if (storage.byteSize() != Math.multiplyExact(view.storage().count(), (long) type.bytes)) {
      throw new IOException(
          "lies in a storage of "
              + view.storage().count()
              + " "
              + type
              + " elements, whose record has "
              + storage.byteSize()
              + " bytes: the file is damaged");
    }
    long bytes = count * type.bytes;
    MemorySegment from = storage.asSlice(view.offset() * type.bytes);
    if (isInOrder(shape, strides)) {
      return new Safetensors.Entry(type, shape, from.asSlice(0, bytes));
    }
    // More elements than a storage has were expanded; many such copies are made to fill memory.
    copies -= bytes;
    if (count > view.storage().count() || copies < 0) {
      throw new IOException(
          "repeats elements of a storage: save it with contiguous().clone() of each tensor");
    }
    MemorySegment copy = arena.allocate(bytes, 8);
    gather(from, copy, type.bytes, count, shape, strides);
    return new Safetensors.Entry(type, shape, copy);
  }

  private static boolean isInOrder(long[] shape, long[] strides) {
    long step = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      if (shape[i] != 1 && strides[i] != step) {
        return false;
      }
      step *= shape[i];
    }
    return true;
  }

  private static void gather(
      MemorySegment from, MemorySegment to, int bytes, long count, long[] shape, long[] strides) {
    long[] index = new long[shape.length];
    long at = 0;
    for (long i = 0; i < count; i++) {
      MemorySegment.copy(from, at * bytes, to, i * bytes, bytes);
      for (int k = shape.length - 1; k >= 0; k--) {
        at += strides[k];
        if (++index[k] < shape[k]) {
          break;
        }
        at -= strides[k] * shape[k];
        index[k] = 0;
      }
    }
  }

  /** The bytes of a record, once found whole. */
  private MemorySegment record(String name) throws IOException {
    StoredZip.Entry entry = entries.get(folder + name);
    if (entry == null) {
      throw new IOException("needs the record " + shown(name) + ", which the archive lacks");
    }
    if (!entry.isStored()) {
      throw new IOException(
          "needs the record "
              + shown(name)
              + ", which is compressed: unpack the archive and pack it without (zip -0 -r)");
    }
    if (whole.add(name) && !entry.isWhole()) {
      throw new IOException(
          "needs the record "
              + shown(name)
              + ", whose checksum is wrong: the file is damaged, or was saved with"
              + " torch.serialization.set_crc32_options(False)");
    }
    return entry.data();
  }

  static String shown(String text) {
    return Excerpt.of(text);
  }
}
