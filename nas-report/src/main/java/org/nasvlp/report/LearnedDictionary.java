package org.nasvlp.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.dictionary.WordCodes;

/**
 * What the codewords of a Visual Dictionary stand for in pictures.
 *
 * @param side patches in a row of a picture
 * @param pictures the pictures, as the model sees them
 * @param codewords those that stand for a patch of the pictures, by falling use
 * @param unused how many stand for none
 */
public record LearnedDictionary(
    int side, List<RgbImage> pictures, List<Codeword> codewords, int unused) {
  /** Words that a codeword is given at most. */
  private static final int WORDS = 6;

  /** Neighbours that a codeword is given at most. */
  private static final int NEIGHBOURS = 8;

  /** Distinct words that are looked at, those of most captions. */
  private static final int MOST_WORDS = 2000;

  /** Captions that a word must be in: a coincidence is no meaning. */
  private static final int LEAST_CAPTIONS = 5;

  /** A word speaks for a codeword if it makes it so many times as probable. */
  private static final double LEAST_LIFT = 1.5;

  /** Copies the lists. */
  public LearnedDictionary {
    pictures = List.copyOf(pictures);
    codewords = List.copyOf(codewords);
  }

  /**
   * A codeword.
   *
   * @param code its number
   * @param patches how many patches of the pictures it stands for
   * @param places some of them, each of another picture
   * @param inPictures in how many pictures they are
   * @param words words of captions that speak for it, the strongest first
   * @param neighbours the nearest other codewords by their codes, the nearest first
   * @param x its place on a map, -1 to 1
   * @param y likewise
   */
  public record Codeword(
      int code,
      int patches,
      int inPictures,
      List<Place> places,
      List<Word> words,
      List<Integer> neighbours,
      double x,
      double y) {}

  /**
   * Where a patch is.
   *
   * @param picture index of the picture
   * @param position row by row in the patch grid
   */
  public record Place(int picture, int position) {}

  /**
   * A word that speaks for a codeword.
   *
   * @param lift how many times as probable the codeword is in pictures whose caption has the word
   */
  public record Word(String word, double lift) {}

  /**
   * Goes through pictures.
   *
   * @param dictionary with neighbour lists
   * @param pictures as the model sees them
   * @param captions of the pictures
   * @param codes of the pictures' patches, row by row in the patch grid
   * @param places patches that a codeword shows at most
   */
  public static LearnedDictionary of(
      VisualDictionary.Saved dictionary,
      List<RgbImage> pictures,
      List<String> captions,
      int[][] codes,
      int places) {
    float[] rows = dictionary.codebook().codewords();
    int size = dictionary.epochCounts().length;
    int width = rows.length / size;
    int[] patches = new int[size];
    List<List<Place>> found = new ArrayList<>();
    for (int code = 0; code < size; code++) {
      found.add(new ArrayList<>());
    }
    for (int picture = 0; picture < codes.length; picture++) {
      for (int position = 0; position < codes[picture].length; position++) {
        int code = codes[picture][position];
        patches[code]++;
        List<Place> of = found.get(code);
        if (of.isEmpty() || of.getLast().picture() != picture) {
          of.add(new Place(picture, position));
        }
      }
    }
    List<List<Word>> words = words(captions, codes, size);
    int[] used =
        IntStream.range(0, size)
            .filter(code -> patches[code] > 0)
            .boxed()
            .sorted(Comparator.comparingInt(code -> -patches[code]))
            .mapToInt(code -> code)
            .toArray();
    double[][] map =
        Plane.of(
            Arrays.stream(used)
                .mapToObj(code -> Arrays.copyOfRange(rows, code * width, (code + 1) * width))
                .toArray(float[][]::new));
    List<Codeword> codewords = new ArrayList<>();
    for (int i = 0; i < used.length; i++) {
      int code = used[i];
      codewords.add(
          new Codeword(
              code,
              patches[code],
              found.get(code).size(),
              spread(found.get(code), places),
              words.get(code),
              neighbours(dictionary, code),
              map[i][0],
              map[i][1]));
    }
    int side = codes.length == 0 ? 1 : (int) Math.round(Math.sqrt(codes[0].length));
    return new LearnedDictionary(side, pictures, codewords, size - used.length);
  }

  /** So many of all, evenly spread. */
  private static List<Place> spread(List<Place> all, int most) {
    int count = Math.min(most, all.size());
    return IntStream.range(0, count)
        .mapToObj(i -> all.get((int) ((long) i * all.size() / count)))
        .toList();
  }

  private static List<Integer> neighbours(VisualDictionary.Saved dictionary, int code) {
    int each = dictionary.neighbourCount();
    return Arrays.stream(dictionary.neighbours(), code * each, (code + 1) * each)
        .filter(other -> other >= 0)
        .limit(NEIGHBOURS)
        .boxed()
        .toList();
  }

  /** By code. */
  private static List<List<Word>> words(List<String> captions, int[][] codes, int size) {
    List<List<Word>> words = new ArrayList<>();
    for (int code = 0; code < size; code++) {
      words.add(new ArrayList<>());
    }
    if (codes.length > 0) {
      String[] normalized =
          captions.stream().map(CaptionTokenizer::normalize).toArray(String[]::new);
      List<String> lookedAt = frequent(normalized);
      WordCodes counts = new WordCodes(lookedAt, size);
      counts.add(normalized, Arrays.stream(codes).flatMapToInt(Arrays::stream).toArray());
      for (String word : lookedAt) {
        double[] evidence = counts.evidence(word);
        for (int code = 0; code < size; code++) {
          if (evidence[code] >= Math.log(LEAST_LIFT)) {
            words.get(code).add(new Word(word, Math.exp(evidence[code])));
          }
        }
      }
    }
    return words.stream()
        .map(
            of ->
                of.stream()
                    .sorted(Comparator.comparingDouble(Word::lift).reversed())
                    .limit(WORDS)
                    .toList())
        .toList();
  }

  private static List<String> frequent(String[] captions) {
    Map<String, Integer> counts = new HashMap<>();
    for (String caption : captions) {
      Arrays.stream(caption.split(" ", -1))
          .filter(word -> !word.isEmpty())
          .distinct()
          .forEach(word -> counts.merge(word, 1, Integer::sum));
    }
    return counts.entrySet().stream()
        .filter(entry -> entry.getValue() >= LEAST_CAPTIONS)
        .sorted(
            Map.Entry.<String, Integer>comparingByValue()
                .reversed()
                .thenComparing(Map.Entry.comparingByKey()))
        .limit(MOST_WORDS)
        .map(Map.Entry::getKey)
        .toList();
  }
}
