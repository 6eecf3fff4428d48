package org.nasvlp.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageCaption;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.scoring.Embedder;
import org.nasvlp.scoring.ImageTextScorer;

/**
 * Retrieval over a test set of any size, both ways, as COCO and Flickr30k are evaluated in the
 * literature: every caption is a query and a candidate of its own, and right for its own image
 * alone. An image's rank is that of its best caption.
 *
 * <p>Images are decoded a few at a time, once for the contrastive embeddings and once more where
 * they are re-ranked; what is held are embeddings and the candidates' scores. Immutable; {@link
 * #evaluate} may run on several threads if the data set, which stays the caller's to close, allows
 * it.
 */
public final class RetrievalBenchmark {
  /** Images decoded at a time. */
  private static final int CHUNK = 32;

  private final ImageTextDataset dataset;

  /** For each image the index of its first pair. */
  private final long[] images;

  private final List<String> captions;

  /** For each caption its image. */
  private final int[] imageOf;

  private final Map<String, String> unusable;

  private RetrievalBenchmark(
      ImageTextDataset dataset,
      long[] images,
      List<String> captions,
      int[] imageOf,
      Map<String, String> unusable) {
    this.dataset = dataset;
    this.images = images;
    this.captions = List.copyOf(captions);
    this.imageOf = imageOf;
    this.unusable = unusable;
  }

  /** Reads the captions of a test set; pairs that it cannot give are left out and reported. */
  public static RetrievalBenchmark of(ImageTextDataset testSet) {
    Map<Long, Integer> byId = new LinkedHashMap<>();
    List<Long> first = new ArrayList<>();
    List<String> captions = new ArrayList<>();
    List<Integer> imageOf = new ArrayList<>();
    Map<String, String> unusable = new LinkedHashMap<>();
    for (long index = 0; index < testSet.size(); index++) {
      try {
        ImageCaption caption = testSet.caption(index);
        Integer image = byId.get(caption.imageId());
        if (image == null) {
          image = first.size();
          byId.put(caption.imageId(), image);
          first.add(index);
        }
        captions.add(caption.caption());
        imageOf.add(image);
      } catch (BadSampleException e) {
        unusable.put("pair " + index, e.getMessage());
      }
    }
    return new RetrievalBenchmark(
        testSet,
        first.stream().mapToLong(Long::longValue).toArray(),
        captions,
        imageOf.stream().mapToInt(Integer::intValue).toArray(),
        unusable);
  }

  /** Distinct images, unreadable ones included. */
  public int images() {
    return images.length;
  }

  /** Captions, those of unreadable images included. */
  public int captions() {
    return captions.size();
  }

  /**
   * What a model reaches.
   *
   * @param itc by the dot products of contrastive embeddings
   * @param itm the best candidates by {@code itc} re-ranked; null if that was not asked for
   * @param unusable pairs, by their number or key, that could not be read, and why; they, their
   *     images and these images' other captions are no part of the retrieval
   * @param examples queries of the best, the median and the worst rank by {@code itc}; null if none
   *     were asked for
   */
  public record Result(
      RetrievalReport itc,
      @Nullable RetrievalReport itm,
      Map<String, String> unusable,
      @Nullable RetrievalExamples examples) {
    /** Copies the map. */
    public Result {
      unusable = Collections.unmodifiableMap(new LinkedHashMap<>(unusable));
    }
  }

  /**
   * Evaluates a model.
   *
   * @param itm re-ranks; null for retrieval by the embeddings alone
   * @param contrast what the embeddings' dot product is multiplied by where candidates are
   *     re-ranked by the sum of both (Li et al., arXiv 2201.12086): 1 over a model's temperature
   *     makes both log-odds, 0 leaves {@code itm} alone
   * @param reranked k: how many candidates of each query are re-ranked, so that recall above rank k
   *     is that of the embeddings
   * @param progress told how many images are done, out of twice their number where candidates are
   *     re-ranked
   * @throws IllegalArgumentException if {@code reranked} is below 1 or no image can be read
   * @throws IllegalStateException if an embedding or a score is not finite, or an image that could
   *     be read no longer can
   */
  public Result evaluate(
      Embedder embedder,
      @Nullable ImageTextScorer itm,
      double contrast,
      int reranked,
      IntConsumer progress) {
    return evaluate(embedder, itm, contrast, reranked, 0, progress);
  }

  /**
   * The same with examples of what is found, whose images are decoded once more.
   *
   * @param each queries of each of three ranks at most, both ways; 0 for no examples
   */
  public Result evaluate(
      Embedder embedder,
      @Nullable ImageTextScorer itm,
      double contrast,
      int reranked,
      int each,
      IntConsumer progress) {
    if (reranked < 1) {
      throw new IllegalArgumentException("reranked is " + reranked + ": it must be at least 1");
    }
    Map<String, String> bad = new LinkedHashMap<>(unusable);
    Gallery gallery = gallery(embedder, bad, progress);
    int[][] textCandidates = new int[gallery.images.length][];
    int[] textRanks =
        gallery.ranks(
            gallery.imageVectors,
            gallery.textVectors,
            gallery::rightCaptions,
            itm == null ? 0 : reranked,
            textCandidates);
    int[][] imageCandidates = new int[gallery.captions.length][];
    int[] imageRanks =
        gallery.ranks(
            gallery.textVectors,
            gallery.imageVectors,
            gallery::rightImage,
            itm == null ? 0 : reranked,
            imageCandidates);
    RetrievalReport byItc = gallery.report(textRanks, imageRanks);
    RetrievalReport byItm =
        itm == null
            ? null
            : rerank(
                gallery,
                itm,
                contrast,
                textCandidates,
                imageCandidates,
                textRanks,
                imageRanks,
                progress);
    RetrievalExamples examples =
        each == 0
            ? null
            : new RetrievalExamples(
                new FoundImages(gallery, itm, contrast, reranked).of(imageRanks, each),
                new FoundCaptions(gallery, itm, contrast, reranked).of(textRanks, each));
    return new Result(byItc, byItm, bad, examples);
  }

  private final class FoundImages extends RetrievedExamples<String, RgbImage> {
    private final Gallery gallery;
    private final @Nullable ImageTextScorer itm;

    FoundImages(Gallery gallery, @Nullable ImageTextScorer itm, double contrast, int reranked) {
      super(gallery.images.length, contrast, reranked);
      this.gallery = gallery;
      this.itm = itm;
    }

    @Override
    String query(int caption) {
      return captions.get(gallery.captions[caption]);
    }

    @Override
    RgbImage candidate(int image) {
      return decodeAgain(gallery.images[image]);
    }

    @Override
    double[] similarities(int caption) {
      return Gallery.dots(gallery.textVectors[caption], gallery.imageVectors);
    }

    @Override
    BitSet right(int caption) {
      return gallery.rightImage(caption);
    }

    @Override
    double @Nullable [] match(String caption, List<RgbImage> found) {
      return itm == null
          ? null
          : itm.score(
              found,
              List.of(caption),
              IntStream.range(0, found.size()).toArray(),
              new int[found.size()]);
    }
  }

  private final class FoundCaptions extends RetrievedExamples<RgbImage, String> {
    private final Gallery gallery;
    private final @Nullable ImageTextScorer itm;

    FoundCaptions(Gallery gallery, @Nullable ImageTextScorer itm, double contrast, int reranked) {
      super(gallery.captions.length, contrast, reranked);
      this.gallery = gallery;
      this.itm = itm;
    }

    @Override
    RgbImage query(int image) {
      return decodeAgain(gallery.images[image]);
    }

    @Override
    String candidate(int caption) {
      return captions.get(gallery.captions[caption]);
    }

    @Override
    double[] similarities(int image) {
      return Gallery.dots(gallery.imageVectors[image], gallery.textVectors);
    }

    @Override
    BitSet right(int image) {
      return gallery.rightCaptions(image);
    }

    @Override
    double @Nullable [] match(RgbImage image, List<String> found) {
      return itm == null
          ? null
          : itm.score(
              List.of(image),
              found,
              new int[found.size()],
              IntStream.range(0, found.size()).toArray());
    }
  }

  private Gallery gallery(Embedder embedder, Map<String, String> bad, IntConsumer progress) {
    List<float[]> vectors = new ArrayList<>();
    List<Integer> readable = new ArrayList<>();
    for (int from = 0; from < images.length; from += CHUNK) {
      List<RgbImage> decoded = new ArrayList<>();
      int to = Math.min(images.length, from + CHUNK);
      for (int i = from; i < to; i++) {
        try {
          decoded.add(dataset.get(images[i]).image());
          readable.add(i);
        } catch (BadSampleException e) {
          bad.put("pair " + images[i], e.getMessage());
        }
      }
      if (!decoded.isEmpty()) {
        vectors.addAll(List.of(embedder.images(decoded)));
      }
      progress.accept(to);
    }
    if (readable.isEmpty()) {
      throw new IllegalArgumentException(
          dataset.name()
              + ": none of its images can be read; the first: "
              + bad.values().stream().findFirst().orElse("there is none"));
    }
    int[] newNumber = new int[images.length];
    Arrays.fill(newNumber, -1);
    for (int i = 0; i < readable.size(); i++) {
      newNumber[readable.get(i)] = i;
    }
    int[] kept =
        IntStream.range(0, captions.size()).filter(c -> newNumber[imageOf[c]] >= 0).toArray();
    List<String> texts = Arrays.stream(kept).mapToObj(captions::get).toList();
    return new Gallery(
        readable.stream().mapToInt(Integer::intValue).toArray(),
        kept,
        Arrays.stream(kept).map(c -> newNumber[imageOf[c]]).toArray(),
        finite("image", vectors.toArray(float[][]::new)),
        finite("caption", embedder.texts(texts)));
  }

  private static float[][] finite(String what, float[][] vectors) {
    for (int i = 0; i < vectors.length; i++) {
      for (float value : vectors[i]) {
        if (!Float.isFinite(value)) {
          throw new IllegalStateException(
              "the embedding of %s %d is not finite: the model's parameters are not"
                  .formatted(what, i));
        }
      }
    }
    return vectors;
  }

  private RetrievalReport rerank(
      Gallery gallery,
      ImageTextScorer itm,
      double contrast,
      int[][] textCandidates,
      int[][] imageCandidates,
      int[] textRanks,
      int[] imageRanks,
      IntConsumer progress) {
    double[][] textScores = like(textCandidates);
    double[][] imageScores = like(imageCandidates);
    // Which captions look for an image, so that it is decoded once more and no oftener.
    List<List<int[]>> askers = new ArrayList<>();
    gallery.eachImage(image -> askers.add(new ArrayList<>()));
    for (int caption = 0; caption < imageCandidates.length; caption++) {
      for (int place = 0; place < imageCandidates[caption].length; place++) {
        askers.get(imageCandidates[caption][place]).add(new int[] {caption, place});
      }
    }
    for (int from = 0; from < gallery.images.length; from += CHUNK) {
      int to = Math.min(gallery.images.length, from + CHUNK);
      Questions questions = new Questions(gallery);
      for (int image = from; image < to; image++) {
        questions.show(decodeAgain(gallery.images[image]));
        for (int place = 0; place < textCandidates[image].length; place++) {
          questions.ask(textCandidates[image][place], textScores[image], place);
        }
        for (int[] asker : askers.get(image)) {
          questions.ask(asker[0], imageScores[asker[0]], asker[1]);
        }
      }
      questions.answer(itm);
      progress.accept(images.length + to);
    }
    gallery.addContrast(contrast, textCandidates, textScores, imageCandidates, imageScores);
    return gallery.report(
        reranked(textCandidates, textScores, gallery::rightCaptions, textRanks),
        reranked(imageCandidates, imageScores, gallery::rightImage, imageRanks));
  }

  /** Combinations of some images with captions, each scored once whoever asks for it. */
  private final class Questions {
    private record Answer(int pair, double[] into, int slot) {}

    private final Gallery gallery;
    private final List<RgbImage> shown = new ArrayList<>();
    private final Map<Integer, Integer> texts = new LinkedHashMap<>();
    private final Map<Long, Integer> pairs = new LinkedHashMap<>();
    private final List<Answer> answers = new ArrayList<>();

    Questions(Gallery gallery) {
      this.gallery = gallery;
    }

    /** The image that the next questions are about. */
    void show(RgbImage image) {
      shown.add(image);
    }

    void ask(int caption, double[] into, int slot) {
      int text = texts.computeIfAbsent(caption, key -> texts.size());
      long pair = ((long) (shown.size() - 1) << 32) | text;
      answers.add(new Answer(pairs.computeIfAbsent(pair, key -> pairs.size()), into, slot));
    }

    void answer(ImageTextScorer itm) {
      int[] image = pairs.keySet().stream().mapToInt(pair -> (int) (pair >>> 32)).toArray();
      int[] text = pairs.keySet().stream().mapToInt(Long::intValue).toArray();
      double[] scores =
          itm.score(
              shown,
              texts.keySet().stream().map(c -> captions.get(gallery.captions[c])).toList(),
              image,
              text);
      if (scores.length != image.length || Arrays.stream(scores).anyMatch(Double::isNaN)) {
        throw new IllegalStateException(
            "the ITM scorer gave NaN, or %d scores for %d combinations"
                .formatted(scores.length, image.length));
      }
      answers.forEach(answer -> answer.into[answer.slot] = scores[answer.pair]);
    }
  }

  private RgbImage decodeAgain(int image) {
    try {
      return dataset.get(images[image]).image();
    } catch (BadSampleException e) {
      throw new IllegalStateException(
          dataset.name() + " changed during the evaluation: " + e.getMessage(), e);
    }
  }

  private static double[][] like(int[][] shape) {
    return Arrays.stream(shape).map(row -> new double[row.length]).toArray(double[][]::new);
  }

  /** Ranks among the candidates by their new scores; where none is right, the rank as it was. */
  private static int[] reranked(
      int[][] candidates, double[][] scores, Function<Integer, BitSet> right, int[] ranks) {
    int[] out = new int[candidates.length];
    for (int query = 0; query < out.length; query++) {
      BitSet wanted = right.apply(query);
      BitSet places = new BitSet();
      for (int i = 0; i < candidates[query].length; i++) {
        places.set(i, wanted.get(candidates[query][i]));
      }
      out[query] = places.isEmpty() ? ranks[query] : RetrievalMetrics.rank(scores[query], places);
    }
    return out;
  }

  /** What can be found: readable images, their captions, and the embeddings of both. */
  private static final class Gallery {
    /** Numbers among all images. */
    private final int[] images;

    /** Numbers among all captions. */
    private final int[] captions;

    private final int[] imageOfCaption;
    private final float[][] imageVectors;
    private final float[][] textVectors;
    private final BitSet[] captionsOfImage;

    Gallery(
        int[] images,
        int[] captions,
        int[] imageOfCaption,
        float[][] imageVectors,
        float[][] textVectors) {
      this.images = images;
      this.captions = captions;
      this.imageOfCaption = imageOfCaption;
      this.imageVectors = imageVectors;
      this.textVectors = textVectors;
      this.captionsOfImage = new BitSet[images.length];
      eachImage(image -> captionsOfImage[image] = new BitSet());
      for (int caption = 0; caption < captions.length; caption++) {
        captionsOfImage[imageOfCaption[caption]].set(caption);
      }
    }

    void eachImage(IntConsumer action) {
      IntStream.range(0, images.length).forEach(action);
    }

    BitSet rightCaptions(int image) {
      return captionsOfImage[image];
    }

    BitSet rightImage(int caption) {
      BitSet right = new BitSet();
      right.set(imageOfCaption[caption]);
      return right;
    }

    /** Ranks of all queries and, for k above 0, their k best candidates. */
    int[] ranks(
        float[][] queries,
        float[][] candidates,
        Function<Integer, BitSet> right,
        int k,
        int[][] best) {
      int[] ranks = new int[queries.length];
      IntStream.range(0, queries.length)
          .parallel()
          .forEach(
              query -> {
                double[] scores = dots(queries[query], candidates);
                BitSet wanted = right.apply(query);
                ranks[query] = RetrievalMetrics.rank(scores, wanted);
                if (k > 0) {
                  best[query] = RetrievalMetrics.best(scores, wanted, k);
                }
              });
      return ranks;
    }

    /** Adds a multiple of each candidate's dot product to its score. */
    void addContrast(
        double contrast,
        int[][] textCandidates,
        double[][] textScores,
        int[][] imageCandidates,
        double[][] imageScores) {
      for (int image = 0; image < textCandidates.length; image++) {
        for (int i = 0; i < textCandidates[image].length; i++) {
          textScores[image][i] +=
              contrast * dot(imageVectors[image], textVectors[textCandidates[image][i]]);
        }
      }
      for (int caption = 0; caption < imageCandidates.length; caption++) {
        for (int i = 0; i < imageCandidates[caption].length; i++) {
          imageScores[caption][i] +=
              contrast * dot(textVectors[caption], imageVectors[imageCandidates[caption][i]]);
        }
      }
    }

    private static double[] dots(float[] query, float[][] candidates) {
      double[] dots = new double[candidates.length];
      Arrays.setAll(dots, i -> dot(query, candidates[i]));
      return dots;
    }

    private static double dot(float[] a, float[] b) {
      // Four sums, since one would wait for itself.
      double s0 = 0;
      double s1 = 0;
      double s2 = 0;
      double s3 = 0;
      int i = 0;
      for (; i + 4 <= a.length; i += 4) {
        s0 += (double) a[i] * b[i];
        s1 += (double) a[i + 1] * b[i + 1];
        s2 += (double) a[i + 2] * b[i + 2];
        s3 += (double) a[i + 3] * b[i + 3];
      }
      for (; i < a.length; i++) {
        s0 += (double) a[i] * b[i];
      }
      return s0 + s1 + (s2 + s3);
    }

    RetrievalReport report(int[] textRanks, int[] imageRanks) {
      return new RetrievalReport(
          images.length,
          captions.length,
          RetrievalMetrics.recall(textRanks),
          RetrievalMetrics.recall(imageRanks),
          RetrievalMetrics.chance(
              Arrays.stream(captionsOfImage).mapToInt(BitSet::cardinality).toArray(),
              captions.length),
          RetrievalMetrics.chance(
              Arrays.stream(captions).map(caption -> 1).toArray(), images.length));
    }
  }
}
