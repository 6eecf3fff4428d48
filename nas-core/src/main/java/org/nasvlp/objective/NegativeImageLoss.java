package org.nasvlp.objective;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.Network;

/**
 * Negative Visual Augmentation (NVA; NAS, arXiv 2412.10029): the match head tells an image with its
 * caption from the image's hard negative V⁻, some of whose patch tokens the Visual Dictionary has
 * swapped. With ℓ(a, b) the loss of a pair a that matches and a pair b that does not ({@code
 * nva.loss}: balanced or pairwise, as for hard negative captions), and means over the images that
 * have a hard negative, {@code nva.control} decides what it is compared with:
 *
 * <ul>
 *   <li>{@code NONE}: ℓ((V, T), (V⁻, T))
 *   <li>{@code IRRELEVANT}: the mean of that and ℓ((V°, T), (V⁻, T)), V° with as many of its least
 *       relevant tokens swapped
 *   <li>{@code CROSSED}: the mean of ℓ((V, T), (V⁻, T)), ℓ((V⁻, T⁻), (V⁻, T)) and ℓ((V⁻, T⁻), (V,
 *       T⁻)), the last two over the images whose caption has a hard negative T⁻
 *   <li>{@code MATCHED}: the mean of ℓ((V°, T), (V⁻, T)) and ℓ((V⁻, T⁻), (V°, T⁻)), V° with the
 *       same tokens swapped towards its own caption's word
 * </ul>
 */
public final class NegativeImageLoss implements Objective {
  private final NasConfig config;
  private final ImageSwapper swapper;
  private final @Nullable WordCodes words;
  private @Nullable HardNegativeObserver observer;
  private @Nullable Planned planned;

  /**
   * @param words which codes go with which words, part of a checkpoint; null exactly if the
   *     configuration chooses and substitutes without evidence
   */
  public NegativeImageLoss(NasConfig config, Network network, @Nullable WordCodes words) {
    this.config = config;
    this.words = words;
    this.swapper = new ImageSwapper(config, network, words);
  }

  /**
   * What a batch is to be judged by.
   *
   * @param controls null without control images
   * @param crossedAt which of the hard negatives are also shown with a hard negative caption
   * @param crossed these, with it; null if there are none
   * @param crossedControls their controls with it; null if there are none
   * @param captions all images with their hard negative captions; null unless crossed
   */
  private record Planned(
      SwappedImages swapped,
      FusionPlan.Pairs positives,
      FusionPlan.Pairs images,
      FusionPlan.@Nullable Pairs controls,
      int[] crossedAt,
      FusionPlan.@Nullable Pairs crossed,
      FusionPlan.@Nullable Pairs crossedControls,
      FusionPlan.@Nullable Pairs captions) {}

  /** Who is told of hard negative images from now on; null for nobody. */
  public void observer(@Nullable HardNegativeObserver value) {
    observer = value;
  }

  /** Which codes go with which words; null if that is not counted. */
  public @Nullable WordCodes words() {
    return words;
  }

  @Override
  public String name() {
    return "nva";
  }

  @Override
  public double weight(long step, long steps) {
    return config.nva().weightAt(step, steps);
  }

  @Override
  public void captions(CaptionPlan plan) {
    if (words != null && weight(plan.step(), plan.steps()) > 0) {
      plan.requestHardNegatives();
    }
  }

  @Override
  public void plan(FusionPlan plan) {
    Features features = plan.features();
    SwappedImages swapped =
        weight(features.step(), features.steps()) > 0 ? swapper.swap(features) : null;
    planned = swapped == null ? null : plan(plan, swapped);
  }

  private Planned plan(FusionPlan plan, SwappedImages swapped) {
    Features features = plan.features();
    int[] rows = swapped.rows();
    plan.countHardNegatives(name(), rows.length);
    Tensor cls =
        features.imageCls().index_select(0, TorchDevice.of(features.imageCls()).index(rows));
    int negative = plan.addImages(cls, swapped.negativeTokens(features.fusionTokens()));
    int control =
        swapped.control() == null
            ? -1
            : plan.addImages(cls, swapped.controlTokens(features.fusionTokens()));
    NvaConfig.Control kind = config.nva().control();
    boolean matched = kind == NvaConfig.Control.MATCHED;
    boolean cross = kind == NvaConfig.Control.CROSSED;
    FusionPlan.Pairs captions = cross ? plan.negativeCaptions() : null;
    FusionPlan.Pairs images = plan.match(range(negative, rows.length), rows);
    FusionPlan.Pairs controls = control < 0 ? null : plan.match(range(control, rows.length), rows);
    int[] crossedAt =
        IntStream.range(0, rows.length)
            .filter(i -> (cross || matched) && features.captions().negativeRow(rows[i]) >= 0)
            .toArray();
    int[] crossedTexts =
        IntStream.of(crossedAt).map(i -> features.captions().negativeRow(rows[i])).toArray();
    boolean any = crossedAt.length > 0;
    return new Planned(
        swapped,
        plan.positives(),
        images,
        controls,
        crossedAt,
        any ? plan.match(shifted(crossedAt, negative), crossedTexts) : null,
        any && matched ? plan.match(shifted(crossedAt, control), crossedTexts) : null,
        captions);
  }

  private static int[] range(int from, int count) {
    return IntStream.range(from, from + count).toArray();
  }

  private static int[] shifted(int[] rows, int by) {
    return IntStream.of(rows).map(row -> row + by).toArray();
  }

  @Override
  public @Nullable Tensor loss(Forward forward) {
    Planned pairs = planned;
    if (pairs == null) {
      return null;
    }
    Tensor loss = LossPart.mean(terms(forward, pairs));
    observe(forward, pairs);
    return loss;
  }

  @Override
  public List<LossPart> parts(Forward forward) {
    Planned pairs = planned;
    if (pairs == null) {
      return List.of();
    }
    List<LossPart> parts = terms(forward, pairs);
    observe(forward, pairs);
    return parts;
  }

  private void observe(Forward forward, Planned pairs) {
    if (observer != null) {
      try (AutoGradMode off = Torch.withoutGradient()) {
        observer.onHardNegatives(
            new HardNegativeObserver.Observed(
                forward.features(),
                pairs.swapped,
                forward.matchLogits(pairs.positives).detach(),
                forward.matchLogits(pairs.images).detach()));
      }
    }
  }

  /** The comparisons, each with as many images as it has; always of one kind at one place. */
  private List<LossPart> terms(Forward forward, Planned pairs) {
    HardNegativeLoss form = config.nva().loss();
    Tensor negative = forward.matchLogits(pairs.images);
    int all = pairs.swapped.rows().length;
    int crossed = pairs.crossedAt.length;
    if (pairs.controls != null && config.nva().control() == NvaConfig.Control.MATCHED) {
      LossPart own =
          new LossPart(PairLoss.of(forward.matchLogits(pairs.controls), negative, form), all);
      return pairs.crossed == null || pairs.crossedControls == null
          ? List.of(own, LossPart.NONE)
          : List.of(
              own,
              new LossPart(
                  PairLoss.of(
                      forward.matchLogits(pairs.crossed),
                      forward.matchLogits(pairs.crossedControls),
                      form),
                  crossed));
    }
    Tensor positive = PairLoss.rows(forward.matchLogits(pairs.positives), pairs.swapped.rows());
    LossPart own = new LossPart(PairLoss.of(positive, negative, form), all);
    if (pairs.controls != null) {
      return List.of(
          own, new LossPart(PairLoss.of(forward.matchLogits(pairs.controls), negative, form), all));
    }
    if (pairs.crossed == null || pairs.captions == null) {
      return List.of(own, LossPart.NONE, LossPart.NONE);
    }
    EncodedCaptions captions = forward.features().captions();
    int[] captionAt =
        IntStream.of(pairs.crossedAt)
            .map(i -> captions.negativeRow(pairs.swapped.rows()[i]) - captions.negativeFrom())
            .toArray();
    Tensor match = forward.matchLogits(pairs.crossed);
    Tensor sameImage = PairLoss.rows(negative, pairs.crossedAt);
    Tensor sameCaption = PairLoss.rows(forward.matchLogits(pairs.captions), captionAt);
    return List.of(
        own,
        new LossPart(PairLoss.of(match, sameImage, form), crossed),
        new LossPart(PairLoss.of(match, sameCaption, form), crossed));
  }

  @Override
  public void update(Features features) {
    if (words != null) {
      countWords(words, features);
    }
  }

  /** Counts the images of all ranks, in the order of the whole batch. */
  private static void countWords(WordCodes words, Features features) {
    Ranks ranks = features.whole().ranks();
    if (ranks.isAlone()) {
      words.add(features.batch().captions(), features.codes().host());
      return;
    }
    // Normalised captions have no line breaks.
    String own = String.join("\n", features.batch().captions());
    List<String> captions = new ArrayList<>();
    for (byte[] of : ranks.gather(own.getBytes(StandardCharsets.UTF_8))) {
      captions.addAll(List.of(new String(of, StandardCharsets.UTF_8).split("\n", -1)));
    }
    try (PointerScope scope = new PointerScope()) {
      words.add(
          captions.toArray(String[]::new), Torch.toInts(ranks.gather(features.codes().tensor())));
    }
  }
}
