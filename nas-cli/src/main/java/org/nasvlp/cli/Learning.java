package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.eval.RetrievalExamples;
import org.nasvlp.eval.ScoredPair;
import org.nasvlp.model.NasModel;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.TextEditor;
import org.nasvlp.report.Learned;
import org.nasvlp.report.LearnedDictionary;
import org.nasvlp.report.LookedAt;
import org.nasvlp.train.HardNegativeExample;
import org.nasvlp.train.HardNegativeExamples;

/** Has a run's model look at pictures, for the run's page. */
final class Learning {
  /** Training pictures that codewords are looked up in, at most. */
  private static final int PICTURES = 2000;

  /** What these may take in memory: of large pictures there are fewer. */
  private static final long PICTURE_BYTES = 128 << 20;

  /** Pairs that hard negatives are made of, at most. */
  private static final int EXAMPLES = 128;

  /** Pictures that are shown with what the model looks at, each of another type. */
  private static final int LOOKS = 12;

  /** Queries that are shown of the best, the median and the worst rank, both ways. */
  static final int RETRIEVED = 2;

  private static final int PATCHES = 8;
  private static final int NEIGHBOURS = 8;

  private Learning() {}

  /**
   * What a model does with pictures.
   *
   * @param edits folders with caption edits; the first is the run's own
   * @param checkpoint of the model, or the run's folder
   * @param device where it computes
   * @param benchmark test pairs that differ in one thing; null without such
   * @param train the pairs it was trained on; null to leave out what is shown of them
   */
  static Learned of(
      List<Path> edits,
      Path checkpoint,
      String device,
      @Nullable FineGrainedBenchmark benchmark,
      @Nullable ImageTextDataset train)
      throws IOException {
    try (NasModel model = NasModel.load(checkpoint, device)) {
      int imageSize = model.config().model().imageSize();
      List<ScoredPair> pairs =
          benchmark == null ? List.of() : benchmark.scored(model.itcScorer(), model.itmScorer());
      List<LookedAt> looks = looks(model, pairs);
      RetrievalExamples retrieval =
          benchmark == null
              ? null
              : benchmark.retrieved(
                  model.embedder(), model.itmScorer(), 1 / model.temperature(), RETRIEVED);
      List<ImageTextPair> sample = train == null ? List.of() : sample(train, imageSize);
      if (train == null || sample.isEmpty()) {
        return new Learned(imageSize, pairs, looks, retrieval, List.of(), null);
      }
      int[][] codes = model.codes(sample.stream().map(ImageTextPair::image).toList());
      model.dictionary().refreshNeighbours(NEIGHBOURS);
      LearnedDictionary dictionary =
          LearnedDictionary.of(
              model.dictionary().state(),
              sample.stream().map(ImageTextPair::image).toList(),
              sample.stream().map(ImageTextPair::caption).toList(),
              codes,
              PATCHES);
      return new Learned(
          imageSize,
          pairs,
          looks,
          retrieval,
          hardNegatives(edits, model, train, sample, codes),
          dictionary);
    }
  }

  /**
   * What a model does with test pairs that are scored already.
   *
   * @param matching whether its match head is asked; what it finds and where it looks need it
   */
  static Learned ofPairs(
      NasModel model, FineGrainedBenchmark benchmark, List<ScoredPair> pairs, boolean matching) {
    return new Learned(
        model.config().model().imageSize(),
        pairs,
        matching ? looks(model, pairs) : List.of(),
        matching
            ? benchmark.retrieved(
                model.embedder(), model.itmScorer(), 1 / model.temperature(), RETRIEVED)
            : null,
        List.of(),
        null);
  }

  /** Of the types with most pairs the pair in the middle, neither easy nor hard. */
  private static List<LookedAt> looks(NasModel model, List<ScoredPair> pairs) {
    if (model.config().model().fusionLayers() < 2) {
      return List.of(); // no word's attention reaches the match head
    }
    int imageSize = model.config().model().imageSize();
    Map<String, List<ScoredPair>> byType =
        pairs.stream()
            .collect(
                Collectors.groupingBy(
                    ScoredPair::attribute, LinkedHashMap::new, Collectors.toList()));
    return byType.values().stream()
        .sorted(Comparator.comparingInt((List<ScoredPair> of) -> of.size()).reversed())
        .limit(LOOKS)
        .map(
            of -> {
              ScoredPair pair =
                  of.stream()
                      .sorted(Comparator.comparingDouble(ScoredPair::captionMargin))
                      .toList()
                      .get(of.size() / 2);
              return new LookedAt(
                  pair.attribute(),
                  Learned.seen(pair.imageA(), imageSize),
                  pair.captionB(),
                  model.wordRelevance(pair.imageA(), pair.captionA()));
            })
        .toList();
  }

  /** Pairs of different pictures from all over a data set, as the model sees them. */
  private static List<ImageTextPair> sample(ImageTextDataset train, int imageSize) {
    long most = Math.min(PICTURES, Math.max(1, PICTURE_BYTES / (3L * imageSize * imageSize)));
    long count = Math.min(most, train.size());
    Set<Long> seen = new HashSet<>();
    List<ImageTextPair> sample = new ArrayList<>();
    for (long i = 0; i < count; i++) {
      try {
        ImageTextPair pair = train.get(i * train.size() / count);
        if (seen.add(pair.imageId())) {
          sample.add(
              new ImageTextPair(
                  pair.key(),
                  pair.imageId(),
                  Learned.seen(pair.image(), imageSize),
                  pair.caption()));
        }
      } catch (BadSampleException e) {
        // The training has told of it.
      }
    }
    return sample;
  }

  private static List<HardNegativeExample> hardNegatives(
      List<Path> edits,
      NasModel model,
      ImageTextDataset train,
      List<ImageTextPair> sample,
      int[][] codes) {
    NasConfig config = model.config();
    NegativeTextAugmentation captions = null;
    try {
      if (config.nta().enabled() || config.nva().usesWords()) {
        captions =
            NegativeTextAugmentation.prepare(
                train,
                model.tokenizer(),
                TextEditor.factory("en", config.nta().exactLabels()),
                config.nta(),
                edits,
                config.training().seed());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CommandFailure("interrupted while the hard negative captions were prepared", e);
    }
    int count = Math.min(EXAMPLES, sample.size());
    List<ImageTextPair> pairs =
        IntStream.range(0, count).mapToObj(i -> sample.get(i * sample.size() / count)).toList();
    return HardNegativeExamples.of(model, captions, sample, codes, pairs);
  }
}
