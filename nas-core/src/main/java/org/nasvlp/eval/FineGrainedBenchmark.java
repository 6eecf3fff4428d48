package org.nasvlp.eval;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.internal.Excerpt;
import org.nasvlp.internal.Json;
import org.nasvlp.scoring.Embedder;
import org.nasvlp.scoring.ImageTextScorer;
import tools.jackson.databind.JsonNode;

/**
 * A test of fine differences: pairs of real image-caption pairs (a, b) that differ in one
 * attribute, and retrieval over the whole test set they come from.
 *
 * <p>Holds the decoded images of the test set (3 bytes a pixel). Immutable and thread-safe.
 */
public final class FineGrainedBenchmark {
  /** Candidates of the contrastive ranking that image-text matching re-ranks in retrieval. */
  static final int RERANKED = 10;

  /**
   * One of a pair.
   *
   * @param reworded a caption that says the same; -1 for none
   */
  private record Item(int image, int caption, int reworded) {}

  private record Entry(String attribute, Item a, Item b) {}

  private final List<RgbImage> images;

  /** Captions of the test set, then those that only entries have. */
  private final List<String> captions;

  private final int retrievalCaptions;
  private final List<Entry> entries;

  /** For each image, its right captions among those of the test set. */
  private final BitSet[] rightCaptions;

  private final BitSet[] rightImages;

  private FineGrainedBenchmark(
      List<RgbImage> images,
      List<String> captions,
      int retrievalCaptions,
      List<Entry> entries,
      BitSet[] rightCaptions,
      BitSet[] rightImages) {
    this.images = List.copyOf(images);
    this.captions = List.copyOf(captions);
    this.retrievalCaptions = retrievalCaptions;
    this.entries = List.copyOf(entries);
    this.rightCaptions = rightCaptions;
    this.rightImages = rightImages;
  }

  /**
   * Reads a benchmark: a JSON list of {@code {"attribute": "colour", "a": {"key": …, "caption": …},
   * "b": {"key": …, "caption": …}}}, whose keys are those of the test set's pairs. Beside a caption
   * there may be a {@code "reworded"} one that says the same. Other fields are ignored.
   *
   * @param pairsJson the list, UTF-8
   * @param testSet read once, from end to end; not kept and not closed
   * @throws IOException naming the file and the entry where the list has another form or a key that
   *     the test set lacks, or naming the sample of the test set that cannot be read
   */
  public static FineGrainedBenchmark load(Path pairsJson, ImageTextDataset testSet)
      throws IOException {
    return new Loader(pairsJson, testSet).load();
  }

  /** Number of pairs (a, b). */
  public int pairs() {
    return entries.size();
  }

  /** The attributes, in the order of their first appearance. */
  public Set<String> attributes() {
    Set<String> attributes = new LinkedHashSet<>();
    entries.forEach(entry -> attributes.add(entry.attribute()));
    return Collections.unmodifiableSet(attributes);
  }

  /** Distinct images of the test set. */
  public int images() {
    return images.size();
  }

  /** Distinct captions of the test set. */
  public int captions() {
    return retrievalCaptions;
  }

  /**
   * Evaluates a model by its scorers. Each is called with distinct combinations only.
   *
   * <p>Retrieval: an image is right for a caption if any pair of the test set says so; the k best
   * candidates by {@code itc}, k = 10, are re-ranked by both scores, so that R@10 is that of {@code
   * itc}.
   *
   * @param itc scores by image-text contrast
   * @param itm scores by image-text matching; null to leave them out
   * @param contrast what {@code itc}'s score is multiplied by where candidates are re-ranked by the
   *     sum of both (Li et al., arXiv 2201.12086): 1 over a model's temperature makes both
   *     log-odds, 0 leaves {@code itm} alone
   * @param retrieval whether to do retrieval, which asks {@code itc} for every combination
   * @throws IllegalStateException if a scorer gives NaN or a wrong number of scores
   */
  public EvaluationReport evaluate(
      ImageTextScorer itc, @Nullable ImageTextScorer itm, double contrast, boolean retrieval) {
    return evaluateWithPairs(itc, itm, contrast, retrieval).report();
  }

  /**
   * What a model reaches, and how it scored every pair.
   *
   * @param report what {@link #evaluate} gives
   * @param pairs what {@link #scored} gives
   */
  public record Evaluated(EvaluationReport report, List<ScoredPair> pairs) {
    /** Copies the list. */
    public Evaluated {
      pairs = List.copyOf(pairs);
    }
  }

  /**
   * {@link #evaluate} and {@link #scored} in one, each combination scored once.
   *
   * @param itc scores by image-text contrast
   * @param itm scores by image-text matching; null to leave them out
   * @param contrast as for {@link #evaluate}
   * @param retrieval whether to do retrieval, which asks {@code itc} for every combination
   * @throws IllegalStateException if a scorer gives NaN or a wrong number of scores
   */
  public Evaluated evaluateWithPairs(
      ImageTextScorer itc, @Nullable ImageTextScorer itm, double contrast, boolean retrieval) {
    long[] pairCombinations = pairCombinations();
    double[][] byImage = null;
    ScoreTable itcTable;
    RetrievalReport retrievalItc = null;
    if (retrieval) {
      byImage = new double[images.size()][retrievalCaptions];
      itcTable = ScoreTable.ofAll("ITC", itc, images, captions, pairCombinations.clone(), byImage);
      retrievalItc = report(ranks(byImage, rightCaptions), ranks(transposed(byImage), rightImages));
    } else {
      itcTable = ScoreTable.of("ITC", itc, images, captions, pairCombinations.clone());
    }
    FineGrainedReport itcReport = fineGrained(itcTable);
    if (itm == null) {
      return new Evaluated(
          new EvaluationReport(itcReport, null, retrievalItc, null), pairs(itcTable, null));
    }
    if (!retrieval) {
      ScoreTable itmTable = ScoreTable.of("ITM", itm, images, captions, pairCombinations);
      return new Evaluated(
          new EvaluationReport(itcReport, fineGrained(itmTable), null, null),
          pairs(itcTable, itmTable));
    }
    int[][] candidateCaptions = best(byImage, rightCaptions);
    int[][] candidateImages = best(transposed(byImage), rightImages);
    ScoreTable itmTable =
        ScoreTable.of(
            "ITM",
            itm,
            images,
            captions,
            together(pairCombinations, candidateCaptions, candidateImages));
    double[][] byItc = byImage;
    int[] captionRanks = new int[images.size()];
    for (int i = 0; i < captionRanks.length; i++) {
      int image = i;
      captionRanks[i] =
          rerank(
              candidateCaptions[i],
              rightCaptions[i],
              text -> itmTable.at(image, text) + contrast * byItc[image][text]);
    }
    int[] imageRanks = new int[retrievalCaptions];
    for (int c = 0; c < imageRanks.length; c++) {
      int caption = c;
      imageRanks[c] =
          rerank(
              candidateImages[c],
              rightImages[c],
              image -> itmTable.at(image, caption) + contrast * byItc[image][caption]);
    }
    return new Evaluated(
        new EvaluationReport(
            itcReport, fineGrained(itmTable), retrievalItc, report(captionRanks, imageRanks)),
        pairs(itcTable, itmTable));
  }

  /**
   * How a model scores every pair, in the list's order: what {@link #evaluate} counts. Each scorer
   * is called with distinct combinations only.
   *
   * @param itc scores by image-text contrast
   * @param itm scores by image-text matching; null to leave them out
   * @throws IllegalStateException if a scorer gives NaN or a wrong number of scores
   */
  public List<ScoredPair> scored(ImageTextScorer itc, @Nullable ImageTextScorer itm) {
    ScoreTable byContrast = ScoreTable.of("ITC", itc, images, captions, pairCombinations());
    ScoreTable byMatching =
        itm == null ? null : ScoreTable.of("ITM", itm, images, captions, pairCombinations());
    return pairs(byContrast, byMatching);
  }

  private List<ScoredPair> pairs(ScoreTable byContrast, @Nullable ScoreTable byMatching) {
    return entries.stream()
        .map(
            entry ->
                new ScoredPair(
                    entry.attribute(),
                    images.get(entry.a().image()),
                    captions.get(entry.a().caption()),
                    images.get(entry.b().image()),
                    captions.get(entry.b().caption()),
                    scores(byContrast, entry),
                    byMatching == null ? null : scores(byMatching, entry)))
        .toList();
  }

  /**
   * What a model finds in the retrieval that {@link #evaluate} counts, for the queries of the best,
   * the median and the worst rank by contrast. The ranks are over the whole test set; of each query
   * the 10 best candidates are re-ranked.
   *
   * @param embedder whose embeddings' cosine is the contrast
   * @param itm log-odds of a match
   * @param contrast as for {@link #evaluate}
   * @param each queries of each of the three ranks at most, both ways
   * @throws IllegalStateException if a scorer gives a wrong number of scores
   */
  public RetrievalExamples retrieved(
      Embedder embedder, ImageTextScorer itm, double contrast, int each) {
    List<String> texts = captions.subList(0, retrievalCaptions);
    float[][] pictures = embedder.images(images);
    float[][] words = embedder.texts(texts);
    double[][] byImage = new double[pictures.length][words.length];
    for (int i = 0; i < pictures.length; i++) {
      for (int c = 0; c < words.length; c++) {
        for (int t = 0; t < pictures[i].length; t++) {
          byImage[i][c] += (double) pictures[i][t] * words[c][t];
        }
      }
    }
    double[][] byCaption = transposed(byImage);
    return new RetrievalExamples(
        new Examples<>(texts, images, byCaption, rightImages, contrast) {
          @Override
          double[] match(String caption, List<RgbImage> found) {
            return itm.score(found, List.of(caption), numbers(found.size()), new int[found.size()]);
          }
        }.of(ranks(byCaption, rightImages), each),
        new Examples<>(images, texts, byImage, rightCaptions, contrast) {
          @Override
          double[] match(RgbImage image, List<String> found) {
            return itm.score(List.of(image), found, new int[found.size()], numbers(found.size()));
          }
        }.of(ranks(byImage, rightCaptions), each));
  }

  private static int[] numbers(int count) {
    return IntStream.range(0, count).toArray();
  }

  /** Examples of queries and candidates that are all at hand. */
  private abstract static class Examples<Q, C> extends RetrievedExamples<Q, C> {
    private final List<Q> queries;
    private final List<C> candidates;
    private final double[][] scores;
    private final BitSet[] right;

    Examples(
        List<Q> queries, List<C> candidates, double[][] scores, BitSet[] right, double contrast) {
      super(candidates.size(), contrast, RERANKED);
      this.queries = queries;
      this.candidates = candidates;
      this.scores = scores;
      this.right = right;
    }

    @Override
    Q query(int query) {
      return queries.get(query);
    }

    @Override
    C candidate(int candidate) {
      return candidates.get(candidate);
    }

    @Override
    double[] similarities(int query) {
      return scores[query];
    }

    @Override
    BitSet right(int query) {
      return right[query];
    }
  }

  private static ScoredPair.Scores scores(ScoreTable table, Entry entry) {
    Item a = entry.a();
    Item b = entry.b();
    return new ScoredPair.Scores(
        table.at(a.image(), a.caption()),
        table.at(a.image(), b.caption()),
        table.at(b.image(), a.caption()),
        table.at(b.image(), b.caption()));
  }

  private FineGrainedReport fineGrained(ScoreTable table) {
    return FineGrainedMetrics.report(
        entries.stream()
            .map(
                entry ->
                    new FineGrainedMetrics.PairScores(
                        entry.attribute(),
                        table.at(entry.a().image(), entry.a().caption()),
                        table.at(entry.a().image(), entry.b().caption()),
                        table.at(entry.b().image(), entry.a().caption()),
                        table.at(entry.b().image(), entry.b().caption()),
                        reworded(table, entry.a()),
                        reworded(table, entry.b())))
            .toList());
  }

  private static double reworded(ScoreTable table, Item item) {
    return item.reworded() < 0 ? Double.NaN : table.at(item.image(), item.reworded());
  }

  private RetrievalReport report(int[] captionRanks, int[] imageRanks) {
    return new RetrievalReport(
        images.size(),
        retrievalCaptions,
        RetrievalMetrics.recall(captionRanks),
        RetrievalMetrics.recall(imageRanks),
        chance(rightCaptions, retrievalCaptions),
        chance(rightImages, images.size()));
  }

  private static double[] chance(BitSet[] right, int candidates) {
    return RetrievalMetrics.chance(
        Arrays.stream(right).mapToInt(BitSet::cardinality).toArray(), candidates);
  }

  private static int[] ranks(double[][] scores, BitSet[] right) {
    return IntStream.range(0, scores.length)
        .map(query -> RetrievalMetrics.rank(scores[query], right[query]))
        .toArray();
  }

  private static int[][] best(double[][] scores, BitSet[] right) {
    return IntStream.range(0, scores.length)
        .mapToObj(query -> RetrievalMetrics.best(scores[query], right[query], RERANKED))
        .toArray(int[][]::new);
  }

  private static int rerank(int[] candidates, BitSet right, IntToDoubleFunction score) {
    double[] scores = new double[candidates.length];
    BitSet rightPlaces = new BitSet();
    for (int i = 0; i < candidates.length; i++) {
      scores[i] = score.applyAsDouble(candidates[i]);
      rightPlaces.set(i, right.get(candidates[i]));
    }
    return RetrievalMetrics.rank(scores, rightPlaces);
  }

  private long[] pairCombinations() {
    LongStream.Builder combinations = LongStream.builder();
    for (Entry entry : entries) {
      combinations.add(ScoreTable.combination(entry.a().image(), entry.a().caption()));
      combinations.add(ScoreTable.combination(entry.a().image(), entry.b().caption()));
      combinations.add(ScoreTable.combination(entry.b().image(), entry.a().caption()));
      combinations.add(ScoreTable.combination(entry.b().image(), entry.b().caption()));
      for (Item item : List.of(entry.a(), entry.b())) {
        if (item.reworded() >= 0) {
          combinations.add(ScoreTable.combination(item.image(), item.reworded()));
        }
      }
    }
    return combinations.build().toArray();
  }

  private static long[] together(
      long[] pairCombinations, int[][] candidateCaptions, int[][] candidateImages) {
    LongStream.Builder all = LongStream.builder();
    for (long combination : pairCombinations) {
      all.add(combination);
    }
    for (int image = 0; image < candidateCaptions.length; image++) {
      for (int caption : candidateCaptions[image]) {
        all.add(ScoreTable.combination(image, caption));
      }
    }
    for (int caption = 0; caption < candidateImages.length; caption++) {
      for (int image : candidateImages[caption]) {
        all.add(ScoreTable.combination(image, caption));
      }
    }
    return all.build().toArray();
  }

  private static double[][] transposed(double[][] scores) {
    double[][] transposed = new double[scores[0].length][scores.length];
    for (int i = 0; i < scores.length; i++) {
      for (int j = 0; j < transposed.length; j++) {
        transposed[j][i] = scores[i][j];
      }
    }
    return transposed;
  }

  /** Reads the list and the test set, and checks one against the other. */
  private static final class Loader {
    private final Path file;
    private final ImageTextDataset testSet;
    private final List<RgbImage> images = new ArrayList<>();
    private final List<BitSet> rightCaptions = new ArrayList<>();
    private final Map<Long, Integer> imageOfId = new HashMap<>();
    private final Map<String, Integer> imageOfKey = new HashMap<>();
    private final Map<String, Integer> captionIndex = new LinkedHashMap<>();

    Loader(Path file, ImageTextDataset testSet) {
      this.file = file;
      this.testSet = testSet;
    }

    FineGrainedBenchmark load() throws IOException {
      JsonNode list = parse();
      readTestSet();
      int retrievalCaptions = captionIndex.size();
      List<Entry> entries = new ArrayList<>();
      for (int i = 0; i < list.size(); i++) {
        entries.add(entry(i, list.get(i)));
      }
      BitSet[] captionsOfImage = rightCaptions.toArray(BitSet[]::new);
      BitSet[] imagesOfCaption = new BitSet[retrievalCaptions];
      for (int caption = 0; caption < retrievalCaptions; caption++) {
        imagesOfCaption[caption] = new BitSet();
        for (int image = 0; image < captionsOfImage.length; image++) {
          imagesOfCaption[caption].set(image, captionsOfImage[image].get(caption));
        }
      }
      return new FineGrainedBenchmark(
          images,
          List.copyOf(captionIndex.keySet()),
          retrievalCaptions,
          entries,
          captionsOfImage,
          imagesOfCaption);
    }

    private JsonNode parse() throws IOException {
      JsonNode list;
      try {
        list = Json.read(file);
      } catch (NoSuchFileException e) {
        throw new IOException(file + ": no such file; it should list the pairs to compare", e);
      }
      if (!list.isArray() || list.isEmpty()) {
        throw new IOException(
            file + ": must be a JSON list of at least one pair {\"attribute\", \"a\", \"b\"}");
      }
      return list;
    }

    private void readTestSet() throws IOException {
      for (long index = 0; index < testSet.size(); index++) {
        ImageTextPair pair;
        try {
          pair = testSet.get(index);
        } catch (BadSampleException e) {
          throw new IOException(
              "test set " + testSet.name() + ": " + e.getMessage() + "; mend or remove it", e);
        }
        Integer image = imageOfId.get(pair.imageId());
        if (image == null) {
          image = images.size();
          images.add(pair.image());
          rightCaptions.add(new BitSet());
          imageOfId.put(pair.imageId(), image);
        }
        Integer other = imageOfKey.putIfAbsent(pair.key(), image);
        if (other != null && !other.equals(image)) {
          throw new IOException(
              "test set %s: two images have the key '%s'; keys must tell images apart"
                  .formatted(testSet.name(), Excerpt.of(pair.key())));
        }
        rightCaptions.get(image).set(captionOf(pair.caption()));
      }
    }

    private Entry entry(int number, JsonNode node) throws IOException {
      String attribute = text(number, node, "attribute", "attribute");
      Item a = item(number, node, "a");
      Item b = item(number, node, "b");
      if (a.image() == b.image()) {
        throw wrong(number, "a and b are the same picture");
      }
      if (a.caption() == b.caption()) {
        throw wrong(number, "a and b have the same caption");
      }
      if (a.reworded() == b.caption() || b.reworded() == a.caption()) {
        throw wrong(number, "a rewording of one caption is the other one");
      }
      return new Entry(attribute, a, b);
    }

    private Item item(int number, JsonNode node, String side) throws IOException {
      JsonNode item = node.get(side);
      if (item == null || !item.isObject()) {
        throw wrong(number, "needs an object \"" + side + "\" with \"key\" and \"caption\"");
      }
      String key = text(number, item, "key", side + ".key");
      String caption = text(number, item, "caption", side + ".caption");
      Integer image = imageOfKey.get(key);
      if (image == null) {
        throw wrong(
            number,
            side + ".key '" + Excerpt.of(key) + "' is not in the test set " + testSet.name());
      }
      int reworded =
          item.get("reworded") == null
              ? -1
              : captionOf(text(number, item, "reworded", side + ".reworded"));
      return new Item(image, captionOf(caption), reworded);
    }

    private String text(int number, JsonNode node, String field, String path) throws IOException {
      JsonNode value = node.get(field);
      if (value == null || !value.isString() || value.stringValue().isBlank()) {
        throw wrong(number, "needs a text that is not blank as \"" + path + "\"");
      }
      return value.stringValue();
    }

    private int captionOf(String caption) {
      return captionIndex.computeIfAbsent(caption, text -> captionIndex.size());
    }

    private IOException wrong(int number, String what) {
      return new IOException(file + ": entry " + (number + 1) + ": " + what);
    }
  }
}
