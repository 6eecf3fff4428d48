package org.nasvlp.data.source;

import java.io.IOException;
import java.util.Arrays;
import java.util.function.IntPredicate;
import org.nasvlp.random.StableHash;

/**
 * Image-caption pairs of a list, and the places of those that cannot be used, in a few dozen bytes
 * each beside their texts. Built by one thread; once {@link #finish}ed, read by many.
 */
final class PairTable implements AutoCloseable {
  private static final int IN_MEMORY = 1 << 26;
  private static final int BAD = -1;
  private static final int WHOLE = -1;

  private final TextPool texts;

  private int pairs;

  /** The caption's text, or the sample's name with the reason behind it. */
  private long[] textOf = new long[16];

  /** The image's number, or {@link #BAD}. */
  private int[] imageOf = new int[16];

  private long[] idOf = new long[16];
  private int[] entryOf = new int[16];

  /** Which of its entry's captions; kept from the first entry on that has several. */
  private int[] partOf = new int[0];

  /** How many pairs the image has before; kept from the first image on that has several. */
  private int[] turnOf = new int[0];

  private int[] pairHash = new int[16];

  private int images;
  private long[] pathOf = new long[16];
  private int[] imageHash = new int[16];
  private int[] pairsOfImage = new int[16];

  private int[] imagePlaces = new int[32];
  private int[] pairPlaces = new int[32];

  PairTable() {
    this(IN_MEMORY);
  }

  PairTable(int mostInMemory) {
    texts = new TextPool(mostInMemory);
  }

  /**
   * Adds a pair.
   *
   * @param entry number of its entry or line
   * @param part which of the entry's captions; −1 for the only one
   * @param path relative path of the image
   * @param id of the image, as this entry has it
   * @param repeats whether a path and caption that are there already are a pair of their own
   * @return −1, or the number of the pair with the same path and caption, to which nothing is added
   */
  int add(int entry, int part, String path, long id, String caption, boolean repeats)
      throws IOException {
    int image = image(path);
    int hash = Long.hashCode(StableHash.of(caption) * 31 + image);
    int place =
        find(
            pairPlaces,
            hash,
            pair ->
                pairHash[pair] == hash
                    && imageOf[pair] == image
                    && texts.get(textOf[pair]).equals(caption));
    boolean known = pairPlaces[place] != 0;
    if (known && !repeats) {
      return pairPlaces[place] - 1;
    }
    int pair = next(entry, part);
    textOf[pair] = texts.add(caption);
    imageOf[pair] = image;
    idOf[pair] = id;
    pairHash[pair] = hash;
    int turn = pairsOfImage[image]++;
    if (turn > 0 || turnOf.length > 0) {
      turnOf = sized(turnOf, 0);
      turnOf[pair] = turn;
    }
    if (known) {
      return -1;
    }
    pairPlaces[place] = pair + 1;
    if (pairs > pairPlaces.length / 10 * 7) {
      pairPlaces = rehashed(pairPlaces, pairHash);
    }
    return -1;
  }

  /** Adds the place of a pair that cannot be used. */
  void addBad(String sample, String reason) throws IOException {
    int pair = next(0, WHOLE);
    textOf[pair] = texts.add(sample);
    texts.add(reason);
    imageOf[pair] = BAD;
  }

  private int next(int entry, int part) {
    if (pairs == textOf.length) {
      int larger = grown(pairs);
      textOf = Arrays.copyOf(textOf, larger);
      imageOf = Arrays.copyOf(imageOf, larger);
      idOf = Arrays.copyOf(idOf, larger);
      entryOf = Arrays.copyOf(entryOf, larger);
      pairHash = Arrays.copyOf(pairHash, larger);
    }
    entryOf[pairs] = entry;
    if (part != WHOLE || partOf.length > 0) {
      partOf = sized(partOf, WHOLE);
      partOf[pairs] = part;
    }
    return pairs++;
  }

  /** As long as the other columns, what is new filled with a value. */
  private int[] sized(int[] column, int value) {
    if (column.length >= textOf.length) {
      return column;
    }
    int[] larger = Arrays.copyOf(column, textOf.length);
    Arrays.fill(larger, column.length, larger.length, value);
    return larger;
  }

  private static int grown(int size) {
    return Math.addExact(size, size / 2);
  }

  private int image(String path) throws IOException {
    int hash = Long.hashCode(StableHash.of(path));
    int place =
        find(
            imagePlaces,
            hash,
            image -> imageHash[image] == hash && texts.get(pathOf[image]).equals(path));
    if (imagePlaces[place] != 0) {
      return imagePlaces[place] - 1;
    }
    if (images == pathOf.length) {
      int larger = grown(images);
      pathOf = Arrays.copyOf(pathOf, larger);
      imageHash = Arrays.copyOf(imageHash, larger);
      pairsOfImage = Arrays.copyOf(pairsOfImage, larger);
    }
    pathOf[images] = texts.add(path);
    imageHash[images] = hash;
    imagePlaces[place] = ++images;
    if (images > imagePlaces.length / 10 * 7) {
      imagePlaces = rehashed(imagePlaces, imageHash);
    }
    return images - 1;
  }

  /** The place of an equal element in an open table, or of a gap for it. */
  private static int find(int[] places, int hash, IntPredicate equal) {
    int place = spread(hash) & (places.length - 1);
    while (places[place] != 0 && !equal.test(places[place] - 1)) {
      place = (place + 1) & (places.length - 1);
    }
    return place;
  }

  private static int spread(int hash) {
    return hash * 0x9E3779B9 ^ hash >>> 15;
  }

  private static int[] rehashed(int[] places, int[] hashes) {
    int[] larger = new int[Math.multiplyExact(places.length, 2)];
    for (int element : places) {
      if (element != 0) {
        larger[find(larger, hashes[element - 1], other -> false)] = element;
      }
    }
    return larger;
  }

  /** Ends the building. */
  void finish() throws IOException {
    texts.finish();
    pairHash = new int[0];
    imageHash = new int[0];
    pairsOfImage = new int[0];
    imagePlaces = new int[0];
    pairPlaces = new int[0];
  }

  int size() {
    return pairs;
  }

  boolean isBad(int pair) {
    return imageOf[pair] == BAD;
  }

  /** A bad pair's name. */
  String badSample(int pair) {
    return texts.get(textOf[pair]);
  }

  /** Why a bad pair cannot be used. */
  String badReason(int pair) {
    return texts.get(texts.after(textOf[pair]));
  }

  int entry(int pair) {
    return entryOf[pair];
  }

  /** Which of its entry's captions; −1 for the only one. */
  int part(int pair) {
    return pair < partOf.length ? partOf[pair] : WHOLE;
  }

  String caption(int pair) {
    return texts.get(textOf[pair]);
  }

  String path(int pair) {
    return texts.get(pathOf[imageOf[pair]]);
  }

  long imageId(int pair) {
    return idOf[pair];
  }

  /** How many pairs of the same image are before it. */
  int turn(int pair) {
    return pair < turnOf.length ? turnOf[pair] : 0;
  }

  @Override
  public void close() {
    texts.close();
  }
}
