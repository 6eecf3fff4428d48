package org.nasvlp.objective;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.NasConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Mirror;
import org.nasvlp.negatives.NegativeTextAugmentation;

/**
 * Hard negative images of another arrangement: where a caption T and its hard negative T⁻ differ in
 * a direction ("to the left of", "to the right of"), the image's own patch tokens in mirrored
 * places are an image V⁻ of which T⁻ is true and T is not. No token is foreign to the image, so
 * nothing but the places tells the two apart.
 *
 * <p>With ℓ(a, b) the loss of a pair a that matches and a pair b that does not ({@code nva.loss}),
 * and means over the images with such a caption, the loss is the mean of ℓ((V, T), (V⁻, T)) and
 * ℓ((V⁻, T⁻), (V, T⁻)): both images and both captions are on either side once, as with the control
 * {@code MATCHED} of {@link NegativeImageLoss}. The gradient reaches the image encoder through both
 * images. The class token is the image's own in both.
 *
 * <p>NAS (arXiv 2412.10029) has no such images.
 */
public final class MirroredImageLoss implements Objective {
  private final NasConfig config;
  private final BiFunction<String, CaptionEdit, @Nullable Mirror> mirror;
  private @Nullable Planned planned;

  /**
   * @param mirror of a true caption and its hard negative: {@link NegativeTextAugmentation#mirror}
   */
  public MirroredImageLoss(
      NasConfig config, BiFunction<String, CaptionEdit, @Nullable Mirror> mirror) {
    this.config = config;
    this.mirror = mirror;
  }

  /**
   * What a batch is to be judged by.
   *
   * @param rows images with a mirrored one
   * @param mirrored these, with their captions
   * @param crossed these, with their captions' hard negatives
   * @param positives all images with their captions
   * @param captions the images whose captions have hard negatives, with these
   */
  private record Planned(
      int[] rows,
      FusionPlan.Pairs mirrored,
      FusionPlan.Pairs crossed,
      FusionPlan.Pairs positives,
      FusionPlan.Pairs captions) {}

  @Override
  public String name() {
    return "mirror";
  }

  @Override
  public double weight(long step, long steps) {
    return config.nta().rampAt(config.nva().mirrorWeight(), step, steps);
  }

  @Override
  public void captions(CaptionPlan plan) {
    if (weight(plan.step(), plan.steps()) > 0) {
      plan.requestHardNegatives();
    }
  }

  @Override
  public void plan(FusionPlan plan) {
    Features features = plan.features();
    planned = weight(features.step(), features.steps()) > 0 ? planned(plan) : null;
  }

  private @Nullable Planned planned(FusionPlan plan) {
    Features features = plan.features();
    EncodedCaptions captions = features.captions();
    Mirror[] mirrors = mirrors(features);
    List<Tensor> tokens = new ArrayList<>();
    IntStream rows = IntStream.empty();
    for (Mirror mirror : Mirror.values()) {
      int[] of = IntStream.range(0, mirrors.length).filter(b -> mirrors[b] == mirror).toArray();
      if (of.length > 0) {
        tokens.add(mirrored(features.fusionTokens(), of, mirror));
        rows = IntStream.concat(rows, IntStream.of(of));
      }
    }
    if (tokens.isEmpty()) {
      return null;
    }
    int[] all = rows.toArray();
    plan.countHardNegatives(name(), all.length);
    Tensor cls =
        features.imageCls().index_select(0, TorchDevice.of(features.imageCls()).index(all));
    int first = plan.addImages(cls, Torch.cat(0, tokens.toArray(Tensor[]::new)));
    int[] images = IntStream.range(first, first + all.length).toArray();
    return new Planned(
        all,
        plan.match(images, all),
        plan.match(images, IntStream.of(all).map(captions::negativeRow).toArray()),
        plan.positives(),
        Objects.requireNonNull(plan.negativeCaptions()));
  }

  /** By row, the mirror that makes its hard negative caption true; null without one. */
  private @Nullable Mirror[] mirrors(Features features) {
    EncodedCaptions captions = features.captions();
    @Nullable CaptionEdit[] edits = Objects.requireNonNull(captions.negatives()).edits();
    String[] texts = features.batch().captions();
    @Nullable Mirror[] mirrors = new Mirror[captions.size()];
    for (int b = 0; b < mirrors.length; b++) {
      CaptionEdit edit = edits[b];
      mirrors[b] =
          edit == null || captions.negativeRow(b) < 0 ? null : mirror.apply(texts[b], edit);
    }
    return mirrors;
  }

  /**
   * Images with their tokens in mirrored places.
   *
   * @param tokens B x N x d, N a square
   * @param rows n of the images
   * @return n x N x d
   */
  public static Tensor mirrored(Tensor tokens, int[] rows, Mirror mirror) {
    int side = (int) Math.round(Math.sqrt((double) tokens.size(1)));
    TorchDevice device = TorchDevice.of(tokens);
    return tokens
        .index_select(0, device.index(rows))
        .index_select(1, device.index(mirror.positions(side)));
  }

  @Override
  public @Nullable Tensor loss(Forward forward) {
    return LossPart.mean(parts(forward));
  }

  @Override
  public List<LossPart> parts(Forward forward) {
    Planned pairs = planned;
    return pairs == null ? List.of(LossPart.NONE, LossPart.NONE) : terms(forward, pairs);
  }

  private List<LossPart> terms(Forward forward, Planned pairs) {
    HardNegativeLoss form = config.nva().loss();
    EncodedCaptions captions = forward.features().captions();
    int[] captionAt =
        IntStream.of(pairs.rows)
            .map(b -> captions.negativeRow(b) - captions.negativeFrom())
            .toArray();
    Tensor own = PairLoss.rows(forward.matchLogits(pairs.positives), pairs.rows);
    Tensor wrong = PairLoss.rows(forward.matchLogits(pairs.captions), captionAt);
    int count = pairs.rows.length;
    return List.of(
        new LossPart(PairLoss.of(own, forward.matchLogits(pairs.mirrored), form), count),
        new LossPart(PairLoss.of(forward.matchLogits(pairs.crossed), wrong, form), count));
  }
}
