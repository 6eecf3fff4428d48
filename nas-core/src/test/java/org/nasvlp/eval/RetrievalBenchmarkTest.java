package org.nasvlp.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.scoring.Embedder;
import org.nasvlp.scoring.ImageTextScorer;

class RetrievalBenchmarkTest {
  /** Embeddings by image number and by caption. */
  private record Table(Map<Integer, float[]> images, Map<String, float[]> captions)
      implements Embedder {
    @Override
    public float[][] images(List<RgbImage> seen) {
      assertThat(seen).hasSizeLessThanOrEqualTo(32);
      return seen.stream()
          .map(image -> images.get(MemoryDataset.number(image)))
          .toArray(float[][]::new);
    }

    @Override
    public float[][] texts(List<String> texts) {
      return texts.stream().map(captions::get).toArray(float[][]::new);
    }
  }

  @Test
  void recallWorkedByHand() {
    // Image 0: captions a, b. Image 1: caption c. Similarities (a, b, c): (3, 9, 5), (2, 1, 4).
    MemoryDataset set =
        new MemoryDataset(
            List.of(
                MemoryDataset.pair("0", 0, "a"),
                MemoryDataset.pair("0", 0, "b"),
                MemoryDataset.pair("1", 1, "c")));
    Table table =
        new Table(
            Map.of(0, new float[] {1, 0}, 1, new float[] {0, 1}),
            Map.of("a", new float[] {3, 2}, "b", new float[] {9, 1}, "c", new float[] {5, 4}));
    RetrievalReport itc = RetrievalBenchmark.of(set).evaluate(table, null, 0, 1, done -> {}).itc();
    // Both images find a caption of theirs first; c finds the other image first, a and b their own.
    assertThat(itc.images()).isEqualTo(2);
    assertThat(itc.captions()).isEqualTo(3);
    assertThat(itc.textRecall()).containsExactly(1, 1, 1);
    assertThat(itc.imageRecall()).containsExactly(2.0 / 3, 1, 1);
    // By chance one image finds one of two among three captions, the other its only one.
    assertThat(itc.textChance()[0]).isEqualTo((2.0 / 3 + 1.0 / 3) / 2);
    assertThat(itc.imageChance()[0]).isEqualTo(0.5);
    // Re-ranked in full by scores that prefer image 1 for all captions and c for all images.
    ImageTextScorer itm =
        (images, captions, image, caption) -> {
          double[] scores = new double[image.length];
          Arrays.setAll(
              scores,
              k ->
                  2 * MemoryDataset.number(images.get(image[k]))
                      + (captions.get(caption[k]).equals("c") ? 1 : 0));
          return scores;
        };
    RetrievalBenchmark.Result result =
        RetrievalBenchmark.of(set).evaluate(table, itm, 0, 3, done -> {});
    assertThat(result.itc().imageRecall()).isEqualTo(itc.imageRecall());
    assertThat(result.itm().textRecall()).containsExactly(0.5, 1, 1);
    assertThat(result.itm().imageRecall()).containsExactly(1.0 / 3, 1, 1);
  }

  /** Ranks are counted by hand. */
  @Test
  void examplesAreOfTheBestTheMedianAndTheWorstRank() {
    // Similarities (a, b, c) of image 0: (3, 9, 5), of image 1: (2, 1, 4), of image 2: (1, 7, 6).
    MemoryDataset set =
        new MemoryDataset(
            List.of(
                MemoryDataset.pair("0", 0, "a"),
                MemoryDataset.pair("1", 1, "b"),
                MemoryDataset.pair("2", 2, "c")));
    Table table =
        new Table(
            Map.of(0, new float[] {1, 0, 0}, 1, new float[] {0, 1, 0}, 2, new float[] {0, 0, 1}),
            Map.of(
                "a", new float[] {3, 2, 1},
                "b", new float[] {9, 1, 7},
                "c", new float[] {5, 4, 6}));
    RetrievalBenchmark benchmark = RetrievalBenchmark.of(set);
    assertThat(benchmark.evaluate(table, null, 0, 1, done -> {}).examples()).isNull();
    RetrievalExamples alone = benchmark.evaluate(table, null, 0, 2, 5, done -> {}).examples();
    // a and c find their images first, b finds its own third: the median is also the best.
    assertThat(alone.images())
        .extracting(RetrievalExample::query, RetrievalExample::place, RetrievalExample::rank)
        .containsExactly(
            tuple("a", RetrievalExample.Place.BEST, 1),
            tuple("c", RetrievalExample.Place.BEST, 1),
            tuple("b", RetrievalExample.Place.WORST, 3));
    // Image 0 finds its caption third, image 1 third, image 2 second.
    assertThat(alone.captions())
        .extracting(
            of -> MemoryDataset.number(of.query()), RetrievalExample::place, RetrievalExample::rank)
        .containsExactly(
            tuple(2, RetrievalExample.Place.BEST, 2),
            tuple(0, RetrievalExample.Place.MEDIAN, 3),
            tuple(1, RetrievalExample.Place.MEDIAN, 3));
    RetrievalExample<RgbImage, String> second = alone.captions().getFirst();
    assertThat(second.byContrast())
        .extracting(RetrievalExample.Candidate::what, RetrievalExample.Candidate::similarity)
        .containsExactly(tuple("b", 7.0), tuple("c", 6.0));
    assertThat(second.byContrast().getFirst().match()).isNaN();
    assertThat(second.byBoth()).isEmpty();
    assertThat(second.answer()).isEqualTo("c");
    assertThat(second.candidates()).isEqualTo(3);
    assertThat(second.reranked()).isEqualTo(2);
    // Twice the similarity and a match of 3 for what belongs together: 15 for c, 14 for b.
    ImageTextScorer itm =
        (images, captions, image, caption) -> {
          double[] scores = new double[image.length];
          Arrays.setAll(
              scores,
              k ->
                  "abc".indexOf(captions.get(caption[k]))
                          == MemoryDataset.number(images.get(image[k]))
                      ? 3
                      : 0);
          return scores;
        };
    RetrievalExample<RgbImage, String> both =
        benchmark.evaluate(table, itm, 2, 2, 5, done -> {}).examples().captions().getFirst();
    assertThat(both.rank()).isEqualTo(2);
    assertThat(both.reranked()).isEqualTo(1);
    assertThat(both.byBoth())
        .extracting(RetrievalExample.Candidate::what, RetrievalExample.Candidate::right)
        .containsExactly(tuple("c", true), tuple("b", false));
    assertThat(both.byBoth().getFirst().match()).isEqualTo(1 / (1 + Math.exp(-3)));
  }

  private static float[] vector(SplittableRandom random) {
    float[] v = new float[7];
    for (int i = 0; i < v.length; i++) {
      // Few values, so that scores tie.
      v[i] = random.nextInt(3) - 1;
    }
    return v;
  }

  private static double dot(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
  }

  @ParameterizedTest
  @CsvSource({"1, 0", "3, 2.5", "10, 0", "10, 0.5", "500, 3"})
  void recallIsThatOfAFullTable(int reranked, double contrast) {
    SplittableRandom random = new SplittableRandom(reranked);
    int images = 83;
    Map<Integer, float[]> imageVectors = new TreeMap<>();
    Map<String, float[]> textVectors = new TreeMap<>();
    List<ImageTextPair> pairs = new ArrayList<>();
    List<String> texts = new ArrayList<>();
    List<Integer> imageOf = new ArrayList<>();
    for (int i = 0; i < images; i++) {
      imageVectors.put(i, vector(random));
      for (int c = 0; c <= random.nextInt(4); c++) {
        String text = "caption " + i + " " + c;
        textVectors.put(text, vector(random));
        pairs.add(MemoryDataset.pair("" + i, i, text));
        texts.add(text);
        imageOf.add(i);
      }
    }
    AtomicInteger asked = new AtomicInteger();
    ImageTextScorer itm =
        (shown, captions, image, caption) -> {
          asked.addAndGet(image.length);
          double[] scores = new double[image.length];
          Arrays.setAll(
              scores,
              k ->
                  (31 * MemoryDataset.number(shown.get(image[k]))
                          + captions.get(caption[k]).hashCode())
                      % 17);
          return scores;
        };
    RetrievalBenchmark.Result result =
        RetrievalBenchmark.of(new MemoryDataset(pairs))
            .evaluate(new Table(imageVectors, textVectors), itm, contrast, reranked, done -> {});

    // Every query in turn over a table in memory, wrong ones first where scores tie.
    int n = texts.size();
    int[] ks = RetrievalReport.ranks();
    double[][] hits = new double[4][ks.length];
    for (int way = 0; way < 2; way++) {
      int queries = way == 0 ? images : n;
      for (int q = 0; q < queries; q++) {
        List<double[]> rows = new ArrayList<>();
        for (int c = 0; c < (way == 0 ? n : images); c++) {
          int image = way == 0 ? q : c;
          int caption = way == 0 ? c : q;
          rows.add(
              new double[] {
                dot(imageVectors.get(image), textVectors.get(texts.get(caption))),
                imageOf.get(caption) == image ? 1 : 0,
                (31 * image + texts.get(caption).hashCode()) % 17
                    + contrast * dot(imageVectors.get(image), textVectors.get(texts.get(caption))),
                c
              });
        }
        rows.sort(
            java.util.Comparator.<double[]>comparingDouble(r -> -r[0])
                .thenComparingDouble(r -> r[1])
                .thenComparingDouble(r -> r[3]));
        count(hits[way], ks, rows);
        List<double[]> head = new ArrayList<>(rows.subList(0, Math.min(reranked, rows.size())));
        head.sort(
            java.util.Comparator.<double[]>comparingDouble(r -> -r[2])
                .thenComparingDouble(r -> r[1]));
        List<double[]> again = new ArrayList<>(head);
        again.addAll(rows.subList(head.size(), rows.size()));
        count(hits[2 + way], ks, again);
      }
    }
    assertThat(result.itc().textRecall()).containsExactly(shares(hits[0], images));
    assertThat(result.itc().imageRecall()).containsExactly(shares(hits[1], n));
    assertThat(result.itm().textRecall()).containsExactly(shares(hits[2], images));
    assertThat(result.itm().imageRecall()).containsExactly(shares(hits[3], n));
    assertThat(asked.get()).isLessThanOrEqualTo(Math.min(images * n, reranked * (images + n)));
  }

  private static double[] shares(double[] hits, int queries) {
    return Arrays.stream(hits).map(count -> count / queries).toArray();
  }

  private static void count(double[] hits, int[] ks, List<double[]> ranked) {
    int rank = 0;
    while (ranked.get(rank)[1] == 0) {
      rank++;
    }
    for (int j = 0; j < ks.length; j++) {
      hits[j] += rank < ks[j] ? 1 : 0;
    }
  }

  @Test
  void unreadableImagesAreNamedAndLeftOut() {
    List<ImageTextPair> pairs = new ArrayList<>();
    pairs.add(MemoryDataset.pair("0", 0, "a"));
    pairs.add(null);
    pairs.add(MemoryDataset.pair("2", 2, "c"));
    Table table =
        new Table(
            Map.of(0, new float[] {1, 0}, 2, new float[] {0, 1}),
            Map.of("a", new float[] {1, 0}, "c", new float[] {0, 1}));
    RetrievalBenchmark.Result result =
        RetrievalBenchmark.of(new MemoryDataset(pairs)).evaluate(table, null, 0, 1, done -> {});
    assertThat(result.itc().images()).isEqualTo(2);
    assertThat(result.unusable()).containsOnlyKeys("pair 1");
    assertThat(result.unusable().get("pair 1")).contains("truncated image");
    List<ImageTextPair> none = new ArrayList<>();
    none.add(null);
    assertThatThrownBy(
            () ->
                RetrievalBenchmark.of(new MemoryDataset(none))
                    .evaluate(table, null, 0, 1, done -> {}))
        .hasMessageContaining("none of its images can be read");
    Table broken =
        new Table(Map.of(0, new float[] {Float.NaN, 0}, 2, new float[] {0, 1}), table.captions());
    assertThatThrownBy(
            () ->
                RetrievalBenchmark.of(new MemoryDataset(pairs))
                    .evaluate(broken, null, 0, 1, done -> {}))
        .hasMessageContaining("image 0 is not finite");
    assertThatThrownBy(
            () ->
                RetrievalBenchmark.of(new MemoryDataset(pairs))
                    .evaluate(
                        table,
                        (images, captions, image, caption) -> {
                          double[] scores = new double[image.length];
                          Arrays.fill(scores, Double.NaN);
                          return scores;
                        },
                        0,
                        1,
                        done -> {}))
        .hasMessageContaining("NaN");
  }
}
