package org.nasvlp.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.NasModel;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Mirror;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;
import org.nasvlp.negatives.NvaTrace;
import org.nasvlp.objective.CaptionPlan;
import org.nasvlp.objective.EncodedCaptions;
import org.nasvlp.objective.Forward;
import org.nasvlp.objective.FusionPlan;
import org.nasvlp.objective.HardNegativeObserver;
import org.nasvlp.objective.MirroredImageLoss;
import org.nasvlp.objective.NegativeImageLoss;
import org.nasvlp.objective.Objective;

/**
 * Shows hard negatives as the last step of a training would make them: by the training's own
 * forward pass, over pictures that are not augmented.
 */
public final class HardNegativeExamples {
  private static final int CHUNK = 64;

  /** A step of the run's end, when every weight has risen to its full height. */
  private static final int STEPS = 1 << 20;

  private HardNegativeExamples() {}

  /**
   * Makes the hard negatives of pairs. The configuration decides whether there are such of images,
   * of captions, or of both.
   *
   * @param model with its dictionary, whose neighbour lists may be made anew; not in use by another
   *     thread meanwhile
   * @param captions hard negative captions, prepared over the pairs' data set; null if the
   *     configuration makes none
   * @param sample pairs that the evidence of codes for words is counted over
   * @param codes of the sample's images, as {@link NasModel#codes} gives them
   * @param pairs to make examples of
   * @return an example for each pair that has a hard negative, in their order
   */
  public static List<HardNegativeExample> of(
      NasModel model,
      @Nullable NegativeTextAugmentation captions,
      List<ImageTextPair> sample,
      int[][] codes,
      List<ImageTextPair> pairs) {
    NasConfig config = model.config();
    WordCodes words = null;
    if (config.nva().usesWords()) {
      words =
          new WordCodes(Objects.requireNonNull(captions).words(), config.dictionary().codewords());
      words.add(normalized(sample), flat(codes));
    }
    NegativeImageLoss images = new NegativeImageLoss(config, model.network(), words);
    List<HardNegativeExample> examples = new ArrayList<>();
    for (int from = 0; from < pairs.size(); from += CHUNK) {
      List<ImageTextPair> chunk = pairs.subList(from, Math.min(pairs.size(), from + CHUNK));
      Watch watch = new Watch(captions, config.nva().mirrorWeight() > 0);
      images.observer(watch);
      ForwardPass pass =
          new ForwardPass(config, model, List.of(watch, images), null, captions, Ranks.alone());
      try (PointerScope scope = new PointerScope();
          AutoGradMode off = Torch.withoutGradient()) {
        pass.run(
            batch(model, chunk, from),
            STEPS - 1,
            STEPS,
            from / CHUNK,
            new StepClock(Ranks.alone()));
      }
      examples.addAll(watch.examples(chunk));
    }
    return List.copyOf(examples);
  }

  private static String[] normalized(List<ImageTextPair> pairs) {
    return pairs.stream()
        .map(pair -> CaptionTokenizer.normalize(pair.caption()))
        .toArray(String[]::new);
  }

  private static int[] flat(int[][] codes) {
    int each = codes.length == 0 ? 0 : codes[0].length;
    int[] all = new int[Math.multiplyExact(codes.length, each)];
    for (int i = 0; i < codes.length; i++) {
      System.arraycopy(codes[i], 0, all, i * each, each);
    }
    return all;
  }

  private static Batch batch(NasModel model, List<ImageTextPair> pairs, int first) {
    int size = model.config().model().imageSize();
    int each = 3 * size * size;
    ImageTransform transform = ImageTransform.evaluation(size);
    float[] images = new float[pairs.size() * each];
    long[] sampleIds = new long[pairs.size()];
    for (int i = 0; i < pairs.size(); i++) {
      transform.apply(pairs.get(i).image(), "", 0, 0, 0, images, i * each);
      sampleIds[i] = (long) first + i;
    }
    String[] captions = normalized(pairs);
    return new Batch(
        0,
        pairs.stream().map(ImageTextPair::key).toArray(String[]::new),
        sampleIds,
        pairs.stream().mapToLong(ImageTextPair::imageId).toArray(),
        captions,
        images,
        model.tokenizer().encode(List.of(captions)));
  }

  /** Asks for what is to be seen in a pass, and remembers it. */
  private static final class Watch implements Objective, HardNegativeObserver {
    private final @Nullable NegativeTextAugmentation captions;
    private final boolean withMirrors;
    private final List<Mirrors> mirrors = new ArrayList<>();
    private HardNegativeExample.@Nullable Mirrored[] mirrored = {};
    private FusionPlan.@Nullable Pairs positives;
    private FusionPlan.@Nullable Pairs negatives;
    private double[] match = {};
    private double[] editMatch = {};
    private int[] editRows = {};
    private @Nullable CaptionEdit[] edits = {};
    private @Nullable NvaTrace[] swaps = {};

    /** Images that one mirror makes, with their captions and with these' hard negatives. */
    private record Mirrors(
        Mirror mirror, int side, int[] rows, FusionPlan.Pairs own, FusionPlan.Pairs edited) {}

    Watch(@Nullable NegativeTextAugmentation captions, boolean withMirrors) {
      this.captions = captions;
      this.withMirrors = withMirrors && captions != null;
    }

    @Override
    public String name() {
      return "examples";
    }

    @Override
    public double weight(long step, long steps) {
      return 0;
    }

    @Override
    public void captions(CaptionPlan plan) {
      if (captions != null) {
        plan.requestHardNegatives();
      }
    }

    @Override
    public void plan(FusionPlan plan) {
      positives = plan.positives();
      negatives = plan.negativeCaptions();
      if (withMirrors) {
        for (Mirror mirror : Mirror.values()) {
          mirror(plan, mirror);
        }
      }
    }

    private void mirror(FusionPlan plan, Mirror mirror) {
      EncodedCaptions encoded = plan.features().captions();
      @Nullable CaptionEdit[] all = Objects.requireNonNull(encoded.negatives()).edits();
      String[] texts = plan.features().batch().captions();
      int[] rows =
          IntStream.range(0, encoded.size())
              .filter(
                  b -> {
                    CaptionEdit edit = all[b];
                    return edit != null
                        && encoded.negativeRow(b) >= 0
                        && Objects.requireNonNull(captions).mirror(texts[b], edit) == mirror;
                  })
              .toArray();
      if (rows.length == 0) {
        return;
      }
      Tensor tokens = plan.features().fusionTokens();
      Tensor cls = plan.features().imageCls();
      int first =
          plan.addImages(
              cls.index_select(0, TorchDevice.of(cls).index(rows)),
              MirroredImageLoss.mirrored(tokens, rows, mirror));
      int[] images = IntStream.range(first, first + rows.length).toArray();
      mirrors.add(
          new Mirrors(
              mirror,
              (int) Math.round(Math.sqrt((double) tokens.size(1))),
              rows,
              plan.match(images, rows),
              plan.match(images, IntStream.of(rows).map(encoded::negativeRow).toArray())));
    }

    @Override
    public Tensor loss(Forward forward) {
      Tensor logits = forward.matchLogits(Objects.requireNonNull(positives));
      match = probabilities(logits);
      swaps = new NvaTrace[match.length];
      HardNegativeCaptions drawn = forward.features().captions().negatives();
      edits = drawn == null ? new CaptionEdit[match.length] : drawn.edits();
      if (negatives != null) {
        editRows = forward.features().captions().negativeRows();
        editMatch = probabilities(forward.matchLogits(negatives));
      }
      mirrored = new HardNegativeExample.Mirrored[match.length];
      for (Mirrors of : mirrors) {
        double[] own = probabilities(forward.matchLogits(of.own));
        double[] edited = probabilities(forward.matchLogits(of.edited));
        for (int i = 0; i < own.length; i++) {
          mirrored[of.rows[i]] =
              new HardNegativeExample.Mirrored(of.mirror, of.side, own[i], edited[i]);
        }
      }
      return logits.mean();
    }

    private static double[] probabilities(Tensor logits) {
      float[] of = Torch.toFloats(logits);
      double[] probabilities = new double[of.length / 2];
      for (int i = 0; i < probabilities.length; i++) {
        probabilities[i] = 1 / (1 + Math.exp((double) of[2 * i] - of[2 * i + 1]));
      }
      return probabilities;
    }

    @Override
    public void onHardNegatives(Observed observed) {
      int[] rows = observed.images().rows();
      for (int i = 0; i < rows.length; i++) {
        swaps[rows[i]] = HardNegativeTracer.trace(observed, i);
      }
    }

    List<HardNegativeExample> examples(List<ImageTextPair> pairs) {
      double[] ofEdit = new double[pairs.size()];
      Arrays.fill(ofEdit, Double.NaN);
      for (int i = 0; i < editRows.length; i++) {
        ofEdit[editRows[i]] = editMatch[i];
      }
      List<HardNegativeExample> examples = new ArrayList<>();
      for (int i = 0; i < match.length; i++) {
        CaptionEdit edit = Double.isNaN(ofEdit[i]) ? null : edits[i];
        if (edit != null || swaps[i] != null) {
          examples.add(
              new HardNegativeExample(
                  pairs.get(i), match[i], edit, ofEdit[i], swaps[i], mirrored[i]));
        }
      }
      return examples;
    }
  }
}
