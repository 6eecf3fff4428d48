package org.nasvlp.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.scoring.Embedder;
import org.nasvlp.scoring.ImageTextScorer;

class FineGrainedBenchmarkTest {
  @TempDir private Path folder;

  /** Scores one picture, known by its number, with one caption. */
  private interface Score {
    double of(int picture, String caption);
  }

  private static ImageTextScorer scorer(Score score) {
    return (images, captions, imageIndex, captionIndex) ->
        IntStream.range(0, imageIndex.length)
            .mapToDouble(
                k ->
                    score.of(
                        MemoryDataset.number(images.get(imageIndex[k])),
                        captions.get(captionIndex[k])))
            .toArray();
  }

  /** 60 pictures with a caption each; entry i compares pictures 2i and 2i + 1. */
  private FineGrainedBenchmark balanced() throws IOException {
    List<ImageTextPair> pairs = new ArrayList<>();
    StringBuilder json = new StringBuilder("[");
    for (int i = 0; i < 60; i++) {
      pairs.add(MemoryDataset.pair("k" + i, i, "caption " + i));
      if (i % 2 == 1) {
        json.append(i == 1 ? "" : ",").append(entry(i < 20 ? "colour" : "gender", i - 1, i));
      }
    }
    return FineGrainedBenchmark.load(write(json.append(']').toString()), new MemoryDataset(pairs));
  }

  /** Unit vectors whose dot product of picture i and caption j is as wanted, by the identity. */
  private static Embedder embedder(double[][] cosines) {
    return new Embedder() {
      @Override
      public float[][] images(List<RgbImage> images) {
        return images.stream()
            .map(
                image -> {
                  float[] row = new float[cosines.length];
                  for (int j = 0; j < row.length; j++) {
                    row[j] = (float) cosines[MemoryDataset.number(image)][j];
                  }
                  return row;
                })
            .toArray(float[][]::new);
      }

      @Override
      public float[][] texts(List<String> captions) {
        float[][] rows = new float[captions.size()][cosines.length];
        for (int c = 0; c < rows.length; c++) {
          rows[c][Integer.parseInt(captions.get(c).split(" ", -1)[1])] = 1;
        }
        return rows;
      }
    };
  }

  /** Ranks that are counted one by one here, and what matching makes of the ten best. */
  @Test
  void examplesOfRetrievalAreOfTheBestTheMedianAndTheWorstRank() throws IOException {
    SplittableRandom random = new SplittableRandom(7);
    double[][] cosines = new double[60][60];
    for (int i = 0; i < 60; i++) {
      for (int j = 0; j < 60; j++) {
        cosines[i][j] = random.nextDouble() + (i == j ? 0.45 : 0);
      }
    }
    // Matching prefers the true caption by 3, and is otherwise blind.
    ImageTextScorer itm = scorer((picture, caption) -> matches(picture, caption) ? 3 : 0);
    RetrievalExamples all = balanced().retrieved(embedder(cosines), itm, 2, 2);
    int[] ranks = new int[60];
    for (int c = 0; c < 60; c++) {
      ranks[c] = 1;
      for (int i = 0; i < 60; i++) {
        ranks[c] += i != c && (float) cosines[i][c] >= (float) cosines[c][c] ? 1 : 0;
      }
    }
    int[] sorted = Arrays.stream(ranks).sorted().toArray();
    assertThat(all.images()).hasSizeGreaterThanOrEqualTo(4);
    for (RetrievalExample<String, RgbImage> of : all.images()) {
      int caption = Integer.parseInt(of.query().split(" ", -1)[1]);
      int wanted =
          switch (of.place()) {
            case BEST -> sorted[0];
            case MEDIAN -> sorted[30];
            case WORST -> sorted[59];
          };
      assertThat(of.rank()).isEqualTo(ranks[caption]).isEqualTo(wanted);
      assertThat(of.candidates()).isEqualTo(60);
      assertThat(MemoryDataset.number(of.answer())).isEqualTo(caption);
      assertThat(of.byContrast()).hasSize(10);
      assertThat(of.byContrast())
          .isSortedAccordingTo((a, b) -> Double.compare(b.similarity(), a.similarity()));
      assertThat(of.byBoth()).containsExactlyInAnyOrderElementsOf(of.byContrast());
      assertThat(of.byContrast().getFirst().similarity())
          .isCloseTo(
              IntStream.range(0, 60).mapToDouble(i -> cosines[i][caption]).max().orElseThrow(),
              within(1e-6));
      // Twice a cosine below 1.5 is less than 3 ahead of any other.
      boolean among = of.rank() <= 10;
      assertThat(of.reranked()).isEqualTo(among ? 1 : of.rank());
      assertThat(of.byBoth().getFirst().right()).isEqualTo(among);
      assertThat(of.byContrast().stream().filter(RetrievalExample.Candidate::right))
          .hasSize(among ? 1 : 0)
          .allMatch(right -> Math.abs(right.match() - 1 / (1 + Math.exp(-3))) < 1e-12);
    }
    assertThat(sorted[59]).as("one is not among the ten").isGreaterThan(10);
    for (RetrievalExample<RgbImage, String> of : all.captions()) {
      assertThat(of.answer()).isEqualTo("caption " + MemoryDataset.number(of.query()));
    }
    assertThat(all.captions())
        .extracting(RetrievalExample::place)
        .contains(RetrievalExample.Place.BEST, RetrievalExample.Place.WORST);
  }

  private static String entry(String attribute, int a, int b) {
    return """
    {"attribute": "%s", "a": {"key": "k%d", "caption": "caption %d"},
     "b": {"key": "k%d", "caption": "caption %d"}, "note": "ignored"}
    """
        .formatted(attribute, a, a, b, b);
  }

  private Path write(String json) throws IOException {
    return Files.writeString(folder.resolve("pairs.json"), json);
  }

  private static boolean matches(int picture, String caption) {
    return caption.equals("caption " + picture);
  }

  @Test
  void perfectScorerGetsEverythingRight() throws IOException {
    ImageTextScorer perfect = scorer((picture, caption) -> matches(picture, caption) ? 1 : 0);
    FineGrainedBenchmark benchmark = balanced();
    assertThat(benchmark.pairs()).isEqualTo(30);
    assertThat(benchmark.images()).isEqualTo(60);
    assertThat(benchmark.captions()).isEqualTo(60);
    assertThat(benchmark.attributes()).containsExactly("colour", "gender");

    EvaluationReport report = benchmark.evaluate(perfect, perfect, 0, true);

    for (FineGrainedReport fine : List.of(report.itc(), report.itm())) {
      assertThat(fine.byAttribute())
          .containsExactly(
              Map.entry("colour", new AttributeScores(10, 1, 1, 1, 1, 1)),
              Map.entry("gender", new AttributeScores(20, 1, 1, 1, 1, 1)));
      assertThat(fine.all()).isEqualTo(new AttributeScores(30, 1, 1, 1, 1, 1));
      assertThat(fine.macro()).isEqualTo(new AttributeScores(30, 1, 1, 1, 1, 1));
    }
    for (RetrievalReport retrieval : List.of(report.retrievalItc(), report.retrievalItm())) {
      assertThat(retrieval.images()).isEqualTo(60);
      assertThat(retrieval.captions()).isEqualTo(60);
      assertThat(retrieval.textRecall()).containsExactly(1, 1, 1);
      assertThat(retrieval.imageRecall()).containsExactly(1, 1, 1);
    }
    assertThat(report.headline()).isEqualTo(1);
  }

  @Test
  void constantAndContraryScorersGetNothingRight() throws IOException {
    for (ImageTextScorer bad :
        List.of(
            scorer((picture, caption) -> 0.5),
            scorer((picture, caption) -> matches(picture, caption) ? -1 : 0))) {
      EvaluationReport report = balanced().evaluate(bad, bad, 0, true);
      for (FineGrainedReport fine : List.of(report.itc(), report.itm())) {
        assertThat(fine.all()).isEqualTo(new AttributeScores(30, 0, 0, 0, 0, 0));
        assertThat(fine.macro()).isEqualTo(new AttributeScores(30, 0, 0, 0, 0, 0));
      }
      for (RetrievalReport retrieval : List.of(report.retrievalItc(), report.retrievalItm())) {
        assertThat(retrieval.textRecall()).containsExactly(0, 0, 0);
        assertThat(retrieval.imageRecall()).containsExactly(0, 0, 0);
      }
      assertThat(report.headline()).isZero();
    }
  }

  @Test
  void scorerThatSeesOnlyOneSideChoosesAtChance() throws IOException {
    ImageTextScorer textOnly = scorer((picture, caption) -> caption.hashCode());
    AttributeScores byText = balanced().evaluate(textOnly, null, 0, false).itc().all();
    assertThat(byText).isEqualTo(new AttributeScores(30, 0.5, 0, 0, 0, 0));

    ImageTextScorer imageOnly = scorer((picture, caption) -> picture);
    AttributeScores byImage = balanced().evaluate(imageOnly, null, 0, false).itc().all();
    assertThat(byImage).isEqualTo(new AttributeScores(30, 0, 0.5, 0, 0, 0));
  }

  @Test
  void scoredPairsAreWhatIsCounted() throws IOException {
    Score contrast = (picture, caption) -> Math.sin(31 * picture + caption.hashCode());
    Score matching = (picture, caption) -> Math.cos(17 * picture + 3 * caption.hashCode());
    FineGrainedBenchmark benchmark = balanced();
    List<ScoredPair> pairs = benchmark.scored(scorer(contrast), scorer(matching));
    assertThat(pairs).hasSize(30);
    for (int i = 0; i < 30; i++) {
      ScoredPair pair = pairs.get(i);
      int a = 2 * i;
      int b = 2 * i + 1;
      assertThat(pair.attribute()).isEqualTo(i < 10 ? "colour" : "gender");
      assertThat(MemoryDataset.number(pair.imageA())).isEqualTo(a);
      assertThat(MemoryDataset.number(pair.imageB())).isEqualTo(b);
      assertThat(pair.captionA()).isEqualTo("caption " + a);
      assertThat(pair.captionB()).isEqualTo("caption " + b);
      assertThat(pair.itc()).isEqualTo(scores(contrast, a, b));
      assertThat(pair.itm()).isEqualTo(scores(matching, a, b));
    }
    long both = pairs.stream().filter(pair -> pair.captionMargin() > 0).count();
    double text =
        benchmark.evaluate(scorer(contrast), scorer(matching), 0, false).itm().all().text();
    assertThat(both / 30.0).isEqualTo(text);
    assertThat(benchmark.scored(scorer(contrast), null).getFirst().itm()).isNull();
  }

  private static ScoredPair.Scores scores(Score score, int a, int b) {
    return new ScoredPair.Scores(
        score.of(a, "caption " + a),
        score.of(a, "caption " + b),
        score.of(b, "caption " + a),
        score.of(b, "caption " + b));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void reportAndPairsComeOfOneScoring(boolean retrieval) throws IOException {
    FineGrainedBenchmark benchmark = balanced();
    int[] calls = new int[2];
    ImageTextScorer itc = scorer((picture, caption) -> Math.sin(picture + caption.hashCode()));
    ImageTextScorer itm = scorer((picture, caption) -> Math.cos(picture * caption.hashCode()));
    FineGrainedBenchmark.Evaluated both =
        benchmark.evaluateWithPairs(counted(itc, calls, 0), counted(itm, calls, 1), 2, retrieval);
    assertThat(calls).containsExactly(1, 1);
    assertThat(both.pairs()).isEqualTo(benchmark.scored(itc, itm));
    assertThat(both.report())
        .usingRecursiveComparison()
        .isEqualTo(benchmark.evaluate(itc, itm, 2, retrieval));
    assertThat(benchmark.evaluateWithPairs(itc, null, 2, retrieval).pairs())
        .isEqualTo(benchmark.scored(itc, null));
  }

  private static ImageTextScorer counted(ImageTextScorer scorer, int[] calls, int slot) {
    return (images, captions, image, caption) -> {
      calls[slot]++;
      return scorer.score(images, captions, image, caption);
    };
  }

  @Test
  void combinationsAreDistinctAndNoMoreThanNeeded() throws IOException {
    Set<String> seen = new HashSet<>();
    List<Integer> calls = new ArrayList<>();
    ImageTextScorer counting =
        (images, captions, imageIndex, captionIndex) -> {
          assertThat(images).doesNotHaveDuplicates();
          assertThat(captions).doesNotHaveDuplicates();
          for (int k = 0; k < imageIndex.length; k++) {
            assertThat(seen.add(imageIndex[k] + "/" + captionIndex[k])).isTrue();
          }
          calls.add(imageIndex.length);
          return new double[imageIndex.length];
        };
    List<ImageTextPair> pairs =
        List.of(
            MemoryDataset.pair("k0", 0, "caption 0"),
            MemoryDataset.pair("k1", 1, "caption 1"),
            MemoryDataset.pair("k2", 2, "caption 2"));
    // The pairs (0, 1) and (0, 2) share image 0 with caption 0: 7 combinations instead of 8.
    Path file = write("[" + entry("x", 0, 1) + "," + entry("x", 0, 2) + "]");
    FineGrainedBenchmark benchmark = FineGrainedBenchmark.load(file, new MemoryDataset(pairs));
    benchmark.evaluate(counting, null, 0, false);
    assertThat(calls).containsExactly(7);
    seen.clear();
    benchmark.evaluate(counting, null, 0, true);
    assertThat(calls).containsExactly(7, 9);
  }

  @Test
  void rewordingsAreScoredBesideTheirCaptions() throws IOException {
    List<ImageTextPair> pairs =
        List.of(MemoryDataset.pair("k0", 0, "a"), MemoryDataset.pair("k1", 1, "b"));
    Path file =
        write(
            """
            [{"attribute": "x", "a": {"key": "k0", "caption": "a", "reworded": "A, too"},
              "b": {"key": "k1", "caption": "b"}},
             {"attribute": "y", "a": {"key": "k0", "caption": "a"},
              "b": {"key": "k1", "caption": "b", "reworded": "B, too"}}]
            """);
    FineGrainedBenchmark benchmark = FineGrainedBenchmark.load(file, new MemoryDataset(pairs));
    assertThat(benchmark.captions()).isEqualTo(2);
    Map<String, double[]> scores =
        Map.of(
            "a", new double[] {3, 1},
            "b", new double[] {2, 4},
            "A, too", new double[] {2.5, 0},
            "B, too", new double[] {9, 0.5});
    ImageTextScorer scorer = scorer((image, caption) -> scores.get(caption)[image]);
    for (boolean retrieval : new boolean[] {false, true}) {
      FineGrainedReport report = benchmark.evaluate(scorer, null, 0, retrieval).itc();
      // "A, too" 2.5 against "b" 2 of picture 0; "B, too" 0.5 against "a" 1 of picture 1.
      assertThat(report.reworded())
          .containsExactly(
              Map.entry("x", new RewordedScores(1, 1, 1)),
              Map.entry("y", new RewordedScores(1, 0, 0)));
    }
    String same =
        """
        [{"attribute": "x", "a": {"key": "k0", "caption": "a", "reworded": "b"},
          "b": {"key": "k1", "caption": "b"}}]
        """;
    assertThatThrownBy(() -> FineGrainedBenchmark.load(write(same), new MemoryDataset(pairs)))
        .hasMessageContaining("entry 1: a rewording of one caption is the other one");
    String blank = same.replace("\"reworded\": \"b\"", "\"reworded\": 5");
    assertThatThrownBy(() -> FineGrainedBenchmark.load(write(blank), new MemoryDataset(pairs)))
        .hasMessageContaining("entry 1: needs a text that is not blank as \"a.reworded\"");
  }

  /**
   * Worked by hand: pictures 0, 1, 2; picture 0 has two captions, "b" belongs to pictures 0 and 1.
   *
   * <pre>
   *             a    b    c
   * picture 0  .1   .2   .9     right: a, b   -> one wrong before: rank 1
   * picture 1  .8   .7   .3     right: b      -> rank 1
   * picture 2  .5   .4   .6     right: c      -> rank 0
   * right       0   0,1   2
   * rank        2    0    1
   * </pre>
   */
  @Test
  void retrievalWithSeveralRightAnswers() throws IOException {
    double[][] itc = {{.1, .2, .9}, {.8, .7, .3}, {.5, .4, .6}};
    double[][] itm = {{.3, .2, .1}, {.9, .1, .2}, {.4, .4, .4}};
    List<ImageTextPair> pairs =
        List.of(
            MemoryDataset.pair("k0", 0, "a"),
            MemoryDataset.pair("k0", 0, "b"),
            MemoryDataset.pair("k1", 1, "b"),
            MemoryDataset.pair("k2", 2, "c"));
    Path file =
        write(
            """
            [{"attribute": "x", "a": {"key": "k0", "caption": "a"},
              "b": {"key": "k2", "caption": "only here"}}]
            """);
    FineGrainedBenchmark benchmark = FineGrainedBenchmark.load(file, new MemoryDataset(pairs));
    assertThat(benchmark.images()).isEqualTo(3);
    assertThat(benchmark.captions()).isEqualTo(3);

    EvaluationReport report =
        benchmark.evaluate(scorer(byMatrix(itc)), scorer(byMatrix(itm)), 0, true);

    assertThat(report.retrievalItc().textRecall()).containsExactly(new double[] {1 / 3.0, 1, 1});
    assertThat(report.retrievalItc().imageRecall()).containsExactly(new double[] {1 / 3.0, 1, 1});
    // by ITM: picture 0 at once, pictures 1 (rank 2) and 2 (ties with two) not;
    // caption a: .3 against .9 and .4: rank 2; b: .2 against .4: rank 1; c: .4 at once
    assertThat(report.retrievalItm().textRecall()).containsExactly(new double[] {1 / 3.0, 1, 1});
    assertThat(report.retrievalItm().imageRecall()).containsExactly(new double[] {1 / 3.0, 1, 1});

    // With a fifth of the contrast added: picture 0: a .32, b .24, c .28, right; picture 1: a 1.06
    // before b .24; picture 2: c .52 before a .5, right.
    // Caption a: .32 against 1.06 and .5; b: .24 and .24 against .48; c: .52 at once.
    EvaluationReport both =
        benchmark.evaluate(scorer(byMatrix(itc)), scorer(byMatrix(itm)), 0.2, true);
    assertThat(both.retrievalItm().textRecall()).containsExactly(new double[] {2 / 3.0, 1, 1});
    assertThat(both.retrievalItm().imageRecall()).containsExactly(new double[] {1 / 3.0, 1, 1});
    // Where ITM tells nothing the sum is ITC's order; by ITM alone all would tie.
    ImageTextScorer nothing = scorer((picture, caption) -> 0);
    assertThat(benchmark.evaluate(scorer(byMatrix(itc)), nothing, 1, true).retrievalItm())
        .usingRecursiveComparison()
        .isEqualTo(report.retrievalItc());
    assertThat(both.retrievalItc()).usingRecursiveComparison().isEqualTo(report.retrievalItc());
    assertThat(both.itm()).isEqualTo(report.itm());
    // picture 0: a .1 against "only here" 0; picture 2: 0 against .5; caption a: .1 against .5;
    // "only here": 0 against 0
    assertThat(report.itc().all()).isEqualTo(new AttributeScores(1, 0.5, 0, 0, 0, 0));
  }

  private static Score byMatrix(double[][] scores) {
    return (picture, caption) ->
        caption.length() == 1 ? scores[picture][caption.charAt(0) - 'a'] : 0;
  }

  @Test
  void rerankingChangesTheOrderOfTheBestTenOnly() throws IOException {
    // ITC puts the right caption of every picture at rank 7; of picture 59 at rank 20.
    ImageTextScorer itc =
        scorer(
            (picture, caption) -> {
              int number = Integer.parseInt(caption.substring(8));
              int distance = Math.floorMod(number - picture, 60);
              int rank = picture == 59 ? 20 : 7;
              return distance == 0 ? -rank + 0.5 : distance <= rank ? -distance + 1 : -distance;
            });
    ImageTextScorer perfect = scorer((picture, caption) -> matches(picture, caption) ? 1 : 0);
    EvaluationReport report = balanced().evaluate(itc, perfect, 0, true);
    assertThat(report.retrievalItc().textRecall()).containsExactly(new double[] {0, 0, 59 / 60.0});
    assertThat(report.retrievalItm().textRecall())
        .containsExactly(new double[] {59 / 60.0, 59 / 60.0, 59 / 60.0});
  }

  @Test
  void randomScorerIsNearChance() throws IOException {
    SplittableRandom random = new SplittableRandom(11);
    ImageTextScorer noise =
        (images, captions, imageIndex, captionIndex) -> random.doubles(imageIndex.length).toArray();
    FineGrainedBenchmark benchmark = balanced();
    double[] captionChoices =
        IntStream.range(0, 200)
            .mapToDouble(i -> benchmark.evaluate(noise, null, 0, false).headline())
            .toArray();
    assertThat(Arrays.stream(captionChoices).average().orElseThrow()).isCloseTo(0.5, within(0.03));
  }

  @Test
  void scoresThatAreNotNumbersAreRefused() throws IOException {
    FineGrainedBenchmark benchmark = balanced();
    assertThatThrownBy(
            () -> benchmark.evaluate(scorer((picture, caption) -> Double.NaN), null, 0, false))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("ITC scorer gave NaN")
        .hasMessageContaining("caption 0");
    assertThatThrownBy(
            () -> benchmark.evaluate((images, captions, i, c) -> new double[3], null, 0, false))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("3 scores for 120 combinations");
  }

  @Test
  void wrongListsAreRefusedByFileAndEntry() throws IOException {
    List<ImageTextPair> pairs =
        List.of(
            MemoryDataset.pair("k0", 0, "caption 0"),
            MemoryDataset.pair("k1", 1, "caption 1"),
            MemoryDataset.pair("same", 0, "caption 0"));
    String good = entry("x", 0, 1);
    Map<String, String> messageOf =
        Map.of(
            "[" + good + "," + entry("x", 0, 7) + "]",
            "entry 2: b.key 'k7' is not in the test set memory",
            "[{\"a\": 1}]",
            "entry 1: needs a text that is not blank as \"attribute\"",
            "[{\"attribute\": \"x\", \"a\": 1}]",
            "entry 1: needs an object \"a\"",
            "[{\"attribute\": \"x\", \"a\": {\"key\": \"k0\", \"caption\": \" \"}}]",
            "entry 1: needs a text that is not blank as \"a.caption\"",
            "[" + entry("x", 0, 0) + "]",
            "entry 1: a and b are the same picture",
            "[" + good.replace("caption 1", "caption 0") + "]",
            "entry 1: a and b have the same caption",
            "[" + good.replace("\"k1\"", "\"same\"") + "]",
            "entry 1: a and b are the same picture",
            "[]",
            "at least one pair",
            "{}",
            "at least one pair",
            "[{",
            "not JSON");
    for (Map.Entry<String, String> form : messageOf.entrySet()) {
      Path file = write(form.getKey());
      assertThatThrownBy(() -> FineGrainedBenchmark.load(file, new MemoryDataset(pairs)))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("pairs.json")
          .hasMessageContaining(form.getValue());
    }
    Path latin = Files.write(folder.resolve("latin.json"), new byte[] {'[', (byte) 0xE9, ']'});
    assertThatThrownBy(() -> FineGrainedBenchmark.load(latin, new MemoryDataset(pairs)))
        .hasMessageContaining("latin.json: line 1 is not UTF-8");
    assertThatThrownBy(
            () ->
                FineGrainedBenchmark.load(folder.resolve("absent.json"), new MemoryDataset(pairs)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("absent.json: no such file");
  }

  @Test
  void wrongTestSetsAreRefused() throws IOException {
    Path file = write("[" + entry("x", 0, 1) + "]");
    List<ImageTextPair> unreadable = new ArrayList<>();
    unreadable.add(MemoryDataset.pair("k0", 0, "caption 0"));
    unreadable.add(null);
    assertThatThrownBy(() -> FineGrainedBenchmark.load(file, new MemoryDataset(unreadable)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("memory")
        .hasMessageContaining("sample 1: truncated image");
    List<ImageTextPair> sameKey =
        List.of(MemoryDataset.pair("k0", 0, "caption 0"), MemoryDataset.pair("k0", 1, "caption 1"));
    assertThatThrownBy(() -> FineGrainedBenchmark.load(file, new MemoryDataset(sameKey)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("two images have the key 'k0'");
  }

  @Test
  void reportsDoNotShareTheirArrays() {
    double[] recall = {0.1, 0.2, 0.3};
    RetrievalReport report = new RetrievalReport(1, 1, recall, recall, recall, recall);
    recall[0] = 9;
    report.textRecall()[1] = 9;
    report.textChance()[1] = 9;
    assertThat(report.textRecall()).containsExactly(0.1, 0.2, 0.3);
    assertThat(report.textChance()).containsExactly(0.1, 0.2, 0.3);
    assertThatThrownBy(() -> new RetrievalReport(1, 1, new double[2], recall, recall, recall))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new RetrievalReport(1, 1, recall, recall, recall, new double[2]))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void scorersSeeTheImagesOfTheTestSet() throws IOException {
    Set<Integer> numbers = new HashSet<>();
    balanced()
        .evaluate(
            (images, captions, imageIndex, captionIndex) -> {
              for (RgbImage image : images) {
                numbers.add(MemoryDataset.number(image));
              }
              return new double[imageIndex.length];
            },
            null,
            0,
            false);
    assertThat(numbers).hasSize(60);
  }
}
