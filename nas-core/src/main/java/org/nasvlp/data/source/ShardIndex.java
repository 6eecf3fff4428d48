package org.nasvlp.data.source;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.random.StableHash;

/**
 * Where the pairs of a shard lie in it, some fifty bytes each: ten million pairs fit in half a
 * gigabyte. Built by one thread; once {@link #finish}ed, read by many.
 */
final class ShardIndex {
  /** Bytes of a tar's unit: every file in it begins at a multiple. */
  static final int RECORD = 512;

  /** The largest archive whose records an unsigned int counts. */
  static final long MAX_ARCHIVE_BYTES = (long) RECORD << 32;

  private static final int IMAGE = 0;
  private static final int TEXT = 1;
  private static final int JSON = 2;
  private static final int KINDS = 3;

  /** The length of a part that is not there. */
  private static final int NONE = -1;

  /**
   * A file inside the archive.
   *
   * @param entry its name there
   * @param offset of its first byte
   * @param length bytes
   */
  record Part(String entry, long offset, long length) {}

  /** Columns of one kind of part; made with the first of them. */
  private static final class Parts {
    int[] record = new int[0];
    int[] length = new int[0];

    boolean has(int pair) {
      return pair < length.length && length[pair] != NONE;
    }

    void set(int pair, int capacity, long offset, int bytes) {
      if (pair >= length.length) {
        int before = length.length;
        record = Arrays.copyOf(record, capacity);
        length = Arrays.copyOf(length, capacity);
        Arrays.fill(length, before, capacity, NONE);
      }
      record[pair] = (int) (offset / RECORD);
      length[pair] = bytes;
    }

    void keep(int[] pairs, int count) {
      if (length.length == 0) {
        return;
      }
      int[] records = new int[count];
      int[] lengths = new int[count];
      for (int i = 0; i < count; i++) {
        records[i] = has(pairs[i]) ? record[pairs[i]] : 0;
        lengths[i] = has(pairs[i]) ? length[pairs[i]] : NONE;
      }
      record = records;
      length = lengths;
    }
  }

  private int pairs;
  private byte[] keys = new byte[1 << 10];
  private int[] keyEnd = new int[64];

  /** The ending of a picture's name, as a place in {@link TarHeaders#IMAGES}. */
  private byte[] ending = new byte[64];

  private final Parts[] parts = {new Parts(), new Parts(), new Parts()};

  /** Names of entries that are not key, dot and ending as it is written above. */
  private final Map<Long, String> names = new HashMap<>();

  private final Map<Integer, String> problems = new HashMap<>();

  /** Pair numbers, from 1, by their keys; while it is built. */
  private int[] places = new int[1 << 8];

  /** The pair of a key, made anew if there is none. */
  int pair(String key) {
    byte[] utf8 = key.getBytes(StandardCharsets.UTF_8);
    int place = place(places, utf8);
    if (places[place] == 0) {
      append(utf8);
      places[place] = pairs;
      if (pairs > places.length / 10 * 7) {
        int[] larger = new int[Math.multiplyExact(places.length, 2)];
        for (int pair = 0; pair < pairs; pair++) {
          larger[place(larger, keyBytes(pair))] = pair + 1;
        }
        places = larger;
        return pairs - 1;
      }
    }
    return places[place] - 1;
  }

  private int place(int[] table, byte[] key) {
    long hash = StableHash.of(key);
    int place = (int) (hash ^ hash >>> 32) & (table.length - 1);
    while (table[place] != 0 && !isKey(table[place] - 1, key)) {
      place = (place + 1) & (table.length - 1);
    }
    return place;
  }

  private void append(byte[] key) {
    int start = start(pairs);
    int end = Math.addExact(start, key.length);
    if (end > keys.length) {
      keys = Arrays.copyOf(keys, Math.max(end, Math.addExact(keys.length, keys.length / 2)));
    }
    if (pairs == keyEnd.length) {
      int larger = Math.addExact(Math.max(pairs, 16), pairs / 2);
      keyEnd = Arrays.copyOf(keyEnd, larger);
      ending = Arrays.copyOf(ending, larger);
    }
    System.arraycopy(key, 0, keys, start, key.length);
    keyEnd[pairs++] = end;
  }

  private int start(int pair) {
    return pair == 0 ? 0 : keyEnd[pair - 1];
  }

  private boolean isKey(int pair, byte[] key) {
    return Arrays.equals(keys, start(pair), keyEnd[pair], key, 0, key.length);
  }

  private byte[] keyBytes(int pair) {
    return Arrays.copyOfRange(keys, start(pair), keyEnd[pair]);
  }

  /**
   * Notes a part of a pair; of a second one of its kind that the pair has both.
   *
   * @param extension of its name, in lower case: one of {@link TarHeaders#IMAGES}, txt or json
   */
  void add(int pair, String extension, Part part) {
    int kind = extension.equals("txt") ? TEXT : extension.equals("json") ? JSON : IMAGE;
    if (parts[kind].has(pair)) {
      fail(pair, "has both " + part(kind, pair).entry() + " and " + part.entry() + "; keep one");
    }
    if (part.length() > Integer.MAX_VALUE) {
      fail(pair, part.entry() + " has " + part.length() + " bytes, too many for a part of a pair");
    }
    parts[kind].set(
        pair, keyEnd.length, part.offset(), (int) Math.min(part.length(), Integer.MAX_VALUE));
    if (kind == IMAGE) {
      ending[pair] = (byte) TarHeaders.IMAGES.indexOf(extension);
    }
    long name = (long) pair * KINDS + kind;
    if (part.entry().equals(plainName(kind, pair))) {
      names.remove(name);
    } else {
      names.put(name, part.entry());
    }
  }

  /** Notes why a pair cannot be used; the first reason stays. */
  void fail(int pair, String reason) {
    problems.putIfAbsent(pair, reason);
  }

  /** Adds the place of what belongs to no pair. */
  void addDamage(String key, String reason) {
    append(key.getBytes(StandardCharsets.UTF_8));
    fail(pairs - 1, reason);
  }

  /** Ends the building: entries that belong to no pair are left out. */
  void finish() {
    places = new int[0];
    int[] kept = new int[pairs];
    int count = 0;
    for (int pair = 0; pair < pairs; pair++) {
      boolean image = parts[IMAGE].has(pair);
      boolean text = parts[TEXT].has(pair);
      if (!image && !text && !problems.containsKey(pair)) {
        names.remove((long) pair * KINDS + JSON);
        continue;
      }
      if (!image) {
        fail(pair, "has a caption but no image (" + key(pair) + ".png, .jpg or .jpeg)");
      }
      if (!text) {
        fail(pair, "has an image but no caption (" + key(pair) + ".txt)");
      }
      kept[count++] = pair;
    }
    keep(kept, count);
  }

  private void keep(int[] kept, int count) {
    byte[] keptEnding = new byte[count];
    int[] ends = new int[count];
    int end = 0;
    for (int i = 0; i < count; i++) {
      int pair = kept[i];
      int from = start(pair);
      int length = keyEnd[pair] - from;
      // Towards the front, so that nothing is overwritten that is still to be read.
      System.arraycopy(keys, from, keys, end, length);
      end += length;
      ends[i] = end;
      keptEnding[i] = ending[pair];
      if (i != pair) {
        move(problems, pair, i);
        for (int kind = 0; kind < KINDS; kind++) {
          move(names, (long) pair * KINDS + kind, (long) i * KINDS + kind);
        }
      }
    }
    for (Parts columns : parts) {
      columns.keep(kept, count);
    }
    keys = Arrays.copyOf(keys, end);
    keyEnd = ends;
    ending = keptEnding;
    pairs = count;
  }

  private static <K> void move(Map<K, String> values, K from, K to) {
    String value = values.remove(from);
    if (value != null) {
      values.put(to, value);
    }
  }

  int size() {
    return pairs;
  }

  /** How many can be used. */
  int usable() {
    return pairs - problems.size();
  }

  String key(int pair) {
    return new String(keys, start(pair), keyEnd[pair] - start(pair), StandardCharsets.UTF_8);
  }

  /** Why a pair cannot be used; null if it can. */
  @Nullable String problem(int pair) {
    return problems.get(pair);
  }

  Part image(int pair) {
    return part(IMAGE, pair);
  }

  Part text(int pair) {
    return part(TEXT, pair);
  }

  /** What is told of a pair beside its caption; null for nothing. */
  @Nullable Part json(int pair) {
    return parts[JSON].has(pair) ? part(JSON, pair) : null;
  }

  private Part part(int kind, int pair) {
    return new Part(
        names.getOrDefault((long) pair * KINDS + kind, plainName(kind, pair)),
        Integer.toUnsignedLong(parts[kind].record[pair]) * RECORD,
        parts[kind].length[pair]);
  }

  private String plainName(int kind, int pair) {
    String extension =
        switch (kind) {
          case IMAGE -> TarHeaders.IMAGES.get(ending[pair]);
          case TEXT -> "txt";
          default -> "json";
        };
    return key(pair) + "." + extension;
  }
}
