package org.nasvlp.search;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.nasvlp.checkpoint.Safetensors;

/**
 * L2-normalized embeddings under keys, searched exactly by their dot products with a query. For as
 * many as memory holds: a million of width 256 take 1 GiB, and a search of them some 0.1 s.
 * Immutable and thread-safe.
 */
public final class EmbeddingIndex {
  private static final String EMBEDDINGS = "embeddings";
  private static final String KEYS = "keys";
  private static final String KEY_ENDS = "key_ends";

  // A mapped file promises no more than byte alignment.
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** Embeddings that one thread looks at in one go. */
  private static final int PART = 1 << 14;

  private static final Comparator<Hit> WORST_FIRST =
      Comparator.comparingDouble(Hit::similarity)
          .thenComparing(Comparator.comparingInt(Hit::place).reversed());

  private final int width;
  private final String[] keys;
  private final float[][] parts;
  private final Map<String, String> about;

  /**
   * What was found.
   *
   * @param key of the embedding
   * @param place of the embedding in the index, from 0
   * @param similarity the dot product with the query, a cosine where both have length 1
   */
  public record Hit(String key, int place, double similarity) {}

  private EmbeddingIndex(int width, String[] keys, float[][] parts, Map<String, String> about) {
    this.width = width;
    this.keys = keys;
    this.parts = parts;
    this.about = Collections.unmodifiableMap(new TreeMap<>(about));
  }

  /**
   * An index.
   *
   * @param width of each embedding, 1 or more
   * @param keys one of each embedding, all different
   * @param embeddings of {@code width} finite numbers each; copied
   * @param about texts that are kept with it, such as which model made it
   * @throws IllegalArgumentException naming the key, if an embedding has another width or a number
   *     that is not finite, or if a key occurs twice
   */
  public static EmbeddingIndex of(
      int width, List<String> keys, float[][] embeddings, Map<String, String> about) {
    if (width < 1) {
      throw new IllegalArgumentException("width is " + width + ": it must be 1 or more");
    }
    if (keys.size() != embeddings.length) {
      throw new IllegalArgumentException(
          keys.size() + " keys were given for " + embeddings.length + " embeddings");
    }
    Set<String> seen = new HashSet<>();
    float[][] parts = parts(embeddings.length, width);
    for (int i = 0; i < embeddings.length; i++) {
      String key = keys.get(i);
      if (!seen.add(key)) {
        throw new IllegalArgumentException("the key " + key + " occurs twice");
      }
      if (embeddings[i].length != width) {
        throw new IllegalArgumentException(
            "the embedding of %s has %d numbers, and the index a width of %d"
                .formatted(key, embeddings[i].length, width));
      }
      System.arraycopy(embeddings[i], 0, parts[i / PART], i % PART * width, width);
    }
    return new EmbeddingIndex(
        width, keys.toArray(String[]::new), finite(parts, width, keys), about);
  }

  /** Room for embeddings: arrays that no index overflows, however wide. */
  private static float[][] parts(int count, int width) {
    float[][] parts = new float[(count + PART - 1) / PART][];
    for (int part = 0; part < parts.length; part++) {
      parts[part] = new float[Math.multiplyExact(Math.min(PART, count - part * PART), width)];
    }
    return parts;
  }

  private static float[][] finite(float[][] parts, int width, List<String> keys) {
    for (int part = 0; part < parts.length; part++) {
      for (int i = 0; i < parts[part].length; i++) {
        if (!Float.isFinite(parts[part][i])) {
          throw new IllegalArgumentException(
              "the embedding of %s holds %s"
                  .formatted(keys.get(part * PART + i / width), parts[part][i]));
        }
      }
    }
    return parts;
  }

  /** How many embeddings there are. */
  public int size() {
    return keys.length;
  }

  /** Numbers in an embedding. */
  public int width() {
    return width;
  }

  /** The key of the embedding at a place. */
  public String key(int place) {
    return keys[place];
  }

  /** The texts that are kept with the index. */
  public Map<String, String> about() {
    return about;
  }

  /** The embedding at a place, copied. */
  public float[] embedding(int place) {
    int at = place % PART * width;
    return Arrays.copyOfRange(parts[place / PART], at, at + width);
  }

  /** The place of each key. */
  public Map<String, Integer> places() {
    Map<String, Integer> places = HashMap.newHashMap(keys.length);
    for (int place = 0; place < keys.length; place++) {
      places.put(keys[place], place);
    }
    return places;
  }

  /**
   * Finds the embeddings that are most similar to a query, on all processors. Dot products are
   * summed in float64; of equal ones the lower place is first.
   *
   * @param query {@link #width} finite numbers
   * @param top how many to find, 1 or more; fewer if the index has fewer
   * @return best first
   * @throws IllegalArgumentException if the query has another width or a number that is not finite,
   *     or {@code top} is below 1
   */
  public List<Hit> search(float[] query, int top) {
    if (query.length != width) {
      throw new IllegalArgumentException(
          "the query has %d numbers, and the index a width of %d".formatted(query.length, width));
    }
    if (top < 1) {
      throw new IllegalArgumentException("top is " + top + ": it must be 1 or more");
    }
    for (float number : query) {
      if (!Float.isFinite(number)) {
        throw new IllegalArgumentException("the query holds " + number);
      }
    }
    List<Hit> hits =
        new ArrayList<>(
            IntStream.range(0, parts.length)
                .parallel()
                .mapToObj(part -> best(part, query, top))
                .flatMap(List::stream)
                .toList());
    hits.sort(WORST_FIRST.reversed());
    return List.copyOf(hits.subList(0, Math.min(top, hits.size())));
  }

  private List<Hit> best(int part, float[] query, int top) {
    PriorityQueue<Hit> best = new PriorityQueue<>(WORST_FIRST);
    float[] embeddings = parts[part];
    for (int i = 0; i < embeddings.length / width; i++) {
      double similarity = dot(embeddings, i * width, query);
      if (best.size() < top) {
        best.add(new Hit(keys[part * PART + i], part * PART + i, similarity));
      } else if (similarity > best.element().similarity()) {
        best.remove();
        best.add(new Hit(keys[part * PART + i], part * PART + i, similarity));
      }
    }
    return List.copyOf(best);
  }

  private static double dot(float[] a, int from, float[] b) {
    // Four sums, since one would wait for itself.
    double s0 = 0;
    double s1 = 0;
    double s2 = 0;
    double s3 = 0;
    int i = 0;
    for (; i + 4 <= b.length; i += 4) {
      s0 += (double) a[from + i] * b[i];
      s1 += (double) a[from + i + 1] * b[i + 1];
      s2 += (double) a[from + i + 2] * b[i + 2];
      s3 += (double) a[from + i + 3] * b[i + 3];
    }
    for (; i < b.length; i++) {
      s0 += (double) a[from + i] * b[i];
    }
    return s0 + s1 + (s2 + s3);
  }

  /**
   * Writes the index into a safetensors file, in the place of one that is there. The file appears
   * whole or not at all.
   */
  public void save(Path file) throws IOException {
    ByteArrayOutputStream names = new ByteArrayOutputStream();
    MemorySegment ends = MemorySegment.ofArray(new byte[8 * keys.length]);
    for (int i = 0; i < keys.length; i++) {
      names.writeBytes(keys[i].getBytes(StandardCharsets.UTF_8));
      ends.setAtIndex(LONG, i, names.size());
    }
    Path target = file.toAbsolutePath();
    Path part = target.resolveSibling("." + target.getFileName() + ".writing");
    Files.deleteIfExists(part);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment all = arena.allocate(4L * keys.length * width, 4);
      long at = 0;
      for (float[] numbers : parts) {
        MemorySegment.copy(numbers, 0, all, FLOAT, at, numbers.length);
        at += 4L * numbers.length;
      }
      Safetensors.write(
          part,
          Map.of(
              EMBEDDINGS,
              new Safetensors.Entry(Safetensors.Type.F32, new long[] {keys.length, width}, all),
              KEYS,
              new Safetensors.Entry(
                  Safetensors.Type.U8,
                  new long[] {names.size()},
                  MemorySegment.ofArray(names.toByteArray())),
              KEY_ENDS,
              new Safetensors.Entry(Safetensors.Type.I64, new long[] {keys.length}, ends)),
          about);
      Files.move(part, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(part);
    }
  }

  /**
   * Reads an index that {@link #save} wrote.
   *
   * @throws IOException naming the file, if it is damaged or no index
   */
  public static EmbeddingIndex load(Path file) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Safetensors.Contents contents = Safetensors.open(file, arena);
      Safetensors.Entry embeddings = entry(file, contents, EMBEDDINGS, Safetensors.Type.F32, 2);
      Safetensors.Entry names = entry(file, contents, KEYS, Safetensors.Type.U8, 1);
      Safetensors.Entry ends = entry(file, contents, KEY_ENDS, Safetensors.Type.I64, 1);
      long count = embeddings.shape()[0];
      long width = embeddings.shape()[1];
      if (ends.count() != count || count > Integer.MAX_VALUE || width < 1 || width > 1 << 20) {
        throw damaged(
            file, count + " embeddings of width " + width + " and " + ends.count() + " keys");
      }
      List<String> keys = new ArrayList<>();
      byte[] utf8 = names.data().toArray(ValueLayout.JAVA_BYTE);
      int from = 0;
      for (int i = 0; i < count; i++) {
        long end = ends.data().getAtIndex(LONG, i);
        if (end < from || end > utf8.length) {
          throw damaged(file, "key " + i + " ends at " + end + " of " + utf8.length + " bytes");
        }
        keys.add(new String(utf8, from, (int) end - from, StandardCharsets.UTF_8));
        from = (int) end;
      }
      float[][] parts = parts((int) count, (int) width);
      long at = 0;
      for (float[] numbers : parts) {
        MemorySegment.copy(embeddings.data(), FLOAT, at, numbers, 0, numbers.length);
        at += 4L * numbers.length;
      }
      if (new HashSet<>(keys).size() != keys.size()) {
        throw damaged(file, "a key occurs twice");
      }
      return new EmbeddingIndex(
          (int) width,
          keys.toArray(String[]::new),
          finite(parts, (int) width, keys),
          contents.metadata());
    } catch (IllegalArgumentException e) {
      throw damaged(file, e.getMessage());
    }
  }

  private static Safetensors.Entry entry(
      Path file, Safetensors.Contents contents, String name, Safetensors.Type type, int dims)
      throws IOException {
    Safetensors.Entry entry = contents.tensors().get(name);
    if (entry == null || entry.type() != type || entry.shape().length != dims) {
      throw damaged(
          file,
          name + (entry == null ? " is missing" : " is " + entry.type() + " of another shape"));
    }
    return entry;
  }

  private static IOException damaged(Path file, String why) {
    return new IOException(file + " is no index of embeddings: " + why + "; make it anew");
  }
}
