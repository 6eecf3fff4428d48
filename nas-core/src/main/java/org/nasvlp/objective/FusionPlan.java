package org.nasvlp.objective;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.Network;

/**
 * The image-caption pairs of a batch that objectives want fused: those to be judged in one pass of
 * the fusion encoder, which gives their class tokens, those wanted with all tokens in another.
 *
 * <p>Images are rows: 0 to B-1 are the batch's own, those that {@link #addImages} adds follow.
 * Captions are the rows of {@link EncodedCaptions}; those that {@link #addCaptions} adds follow.
 * Belongs to one thread and one batch.
 */
public final class FusionPlan {
  private final Features features;
  private final Network network;
  private final List<Tensor> images = new ArrayList<>();
  private final List<Tensor> captions = new ArrayList<>();
  private final List<Tensor> attentionMasks = new ArrayList<>();
  private final List<Pairs> judged = new ArrayList<>();
  private final List<Pairs> judgedMade = new ArrayList<>();
  private final List<Pairs> unjudged = new ArrayList<>();
  private final Map<String, Integer> hardNegatives = new LinkedHashMap<>();
  private int imageRows;
  private int captionRows;
  private @Nullable Pairs positives;
  private @Nullable Pairs negativeCaptions;

  /** Pairs that were planned together; {@link Forward} gives what became of them. */
  public static final class Pairs {
    private final FusionPlan plan;
    private final int[] images;
    private final int[] texts;
    private final boolean judged;
    private int from = -1;

    private Pairs(FusionPlan plan, int[] images, int[] texts, boolean judged) {
      this.plan = plan;
      this.images = images.clone();
      this.texts = texts.clone();
      this.judged = judged;
    }

    /** How many there are, n. */
    public int count() {
      return images.length;
    }

    /** These pairs' rows of what was computed of all of their kind. */
    Tensor of(Tensor all, FusionPlan of) {
      if (plan != of || from < 0) {
        throw new IllegalStateException(
            "these pairs were not planned for this batch: plan pairs anew in every plan()");
      }
      return all.narrow(0, from, images.length);
    }

    boolean isJudged() {
      return judged;
    }
  }

  /** Nothing planned yet. */
  public FusionPlan(Features features, Network network) {
    this.features = features;
    this.network = network;
    addImages(features.imageCls(), features.fusionTokens());
    addCaptions(features.captions().features(), features.captions().attentionMask());
  }

  /** What images and captions were encoded to. */
  public Features features() {
    return features;
  }

  /**
   * Adds images that an objective made, n of them.
   *
   * @param cls n x d class tokens
   * @param tokens n x N x d patch tokens, of the kind of {@link Features#fusionTokens}
   * @return the first one's row; the others follow
   */
  public int addImages(Tensor cls, Tensor tokens) {
    Tensor input = network.fusionInput(cls, tokens);
    images.add(input);
    int from = imageRows;
    imageRows += Math.toIntExact(input.size(0));
    return from;
  }

  /**
   * Adds captions that were encoded elsewhere, n of them.
   *
   * @param encoded n x L x d, of any length L
   * @param attentionMask n x L booleans, false at padding
   * @return the first one's row; the others follow
   */
  public int addCaptions(Tensor encoded, Tensor attentionMask) {
    captions.add(encoded);
    attentionMasks.add(attentionMask);
    int from = captionRows;
    captionRows += Math.toIntExact(encoded.size(0));
    return from;
  }

  /** The B pairs of the batch, with match logits; the same pairs for all who ask. */
  public Pairs positives() {
    if (positives == null) {
      positives = match(features.rows(), features.rows());
    }
    return positives;
  }

  /**
   * Every image whose caption has a hard negative with that one, with match logits, in the order of
   * {@link EncodedCaptions#negativeRows}; the same pairs for all who ask.
   *
   * @return null if no caption has one
   */
  public @Nullable Pairs negativeCaptions() {
    int[] rows = features.captions().negativeRows();
    if (negativeCaptions == null && rows.length > 0) {
      int from = features.captions().negativeFrom();
      negativeCaptions = match(rows, IntStream.range(from, from + rows.length).toArray());
    }
    return negativeCaptions;
  }

  /**
   * Plans the pairs of image row {@code images[i]} and caption row {@code captions[i]}, with match
   * logits.
   */
  public Pairs match(int[] images, int[] captions) {
    boolean made = IntStream.of(images).anyMatch(row -> row >= features.size());
    return add(made ? judgedMade : judged, images, captions, true);
  }

  /**
   * Plans pairs as {@link #match} does, for the fusion features of all tokens, which cost twice as
   * much as a match logit.
   */
  public Pairs fuse(int[] images, int[] captions) {
    return add(unjudged, images, captions, false);
  }

  private Pairs add(List<Pairs> list, int[] images, int[] captions, boolean withLogits) {
    if (images.length != captions.length) {
      throw new IllegalArgumentException(
          images.length + " images were paired with " + captions.length + " captions");
    }
    check("image", images, imageRows);
    check("caption", captions, captionRows);
    Pairs pairs = new Pairs(this, images, captions, withLogits);
    list.add(pairs);
    return pairs;
  }

  private static void check(String what, int[] rows, int count) {
    for (int row : rows) {
      if (row < 0 || row >= count) {
        throw new IllegalArgumentException(
            "%s row %d: the batch has rows 0 to %d".formatted(what, row, count - 1));
      }
    }
  }

  /** Reports how many of the batch's pairs have a hard negative of some kind. */
  public void countHardNegatives(String name, int count) {
    hardNegatives.put(name, count);
  }

  /** The counts reported, by name. */
  public Map<String, Integer> hardNegatives() {
    return Collections.unmodifiableMap(hardNegatives);
  }

  /**
   * Fuses what was planned. Of the pairs to be judged those of the batch's own images come first,
   * otherwise all are as they were planned.
   */
  public Forward run() {
    List<Pairs> toJudge = new ArrayList<>(judged);
    toJudge.addAll(judgedMade);
    int judgedRows = number(toJudge);
    int unjudgedRows = number(unjudged);
    TorchDevice device = TorchDevice.of(features.imageCls());
    long width = features.imageCls().size(1);
    long length = captions.stream().mapToLong(of -> of.size(1)).max().orElseThrow();
    if (judgedRows + unjudgedRows == 0) {
      Tensor none = device.zeros(0, width);
      return new Forward(this, none, device.zeros(0, 2), device.zeros(0, length, width));
    }
    Network.ImageContext context =
        network.imageContext(
            images.size() == 1 ? images.getFirst() : Torch.cat(0, images.toArray(Tensor[]::new)));
    Network.CaptionContext texts =
        network.captionContext(padded(captions, length), padded(attentionMasks, length));
    Tensor cls =
        judgedRows == 0
            ? device.zeros(0, width)
            : network.fuseCls(context, imagesOf(toJudge), texts, captionsOf(toJudge));
    Tensor fused =
        unjudgedRows == 0
            ? device.zeros(0, length, width)
            : network.fuse(context, imagesOf(unjudged), texts, captionsOf(unjudged));
    return new Forward(this, cls, network.matchLogits(cls), fused);
  }

  /** Gives pairs their rows, one group below the other; how many rows there are. */
  private static int number(List<Pairs> groups) {
    int rows = 0;
    for (Pairs pairs : groups) {
      pairs.from = rows;
      rows += pairs.count();
    }
    return rows;
  }

  private Tensor imagesOf(List<Pairs> groups) {
    return index(groups.stream().flatMapToInt(pairs -> IntStream.of(pairs.images)));
  }

  private Tensor captionsOf(List<Pairs> groups) {
    return index(groups.stream().flatMapToInt(pairs -> IntStream.of(pairs.texts)));
  }

  private Tensor index(IntStream rows) {
    return TorchDevice.of(features.imageCls()).index(rows.toArray());
  }

  /** Tensors n x L x ..., with zeros up to one length, one below the other. */
  private static Tensor padded(List<Tensor> tensors, long length) {
    return tensors.size() == 1
        ? tensors.getFirst()
        : Torch.cat(
            0,
            tensors.stream()
                .map(tensor -> Torch.lengthened(tensor, length))
                .toArray(Tensor[]::new));
  }
}
