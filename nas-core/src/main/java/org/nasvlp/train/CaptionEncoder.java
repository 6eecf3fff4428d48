package org.nasvlp.train;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.Network;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;
import org.nasvlp.objective.CaptionPlan;
import org.nasvlp.objective.EncodedCaptions;
import org.nasvlp.objective.MaskedCaptions;
import org.nasvlp.train.ImageEncoder.EncodedImages;

/**
 * Encodes a batch's captions and those that objectives asked for, all in one pass, and draws the
 * hard negatives among them.
 */
final class CaptionEncoder {
  private final Network network;
  private final CaptionTokenizer tokenizer;
  private final TorchDevice device;
  private final @Nullable NegativeTextAugmentation augmentation;
  private final @Nullable WordProposals proposals;

  /**
   * @param augmentation makes hard negative captions; null if the configuration makes none
   */
  CaptionEncoder(
      NasConfig config,
      NasModel model,
      @Nullable NegativeTextAugmentation augmentation,
      TorchDevice device) {
    this.network = model.network();
    this.tokenizer = model.tokenizer();
    this.device = device;
    this.augmentation = augmentation;
    this.proposals =
        augmentation != null && config.nta().wordShare() > 0
            ? new WordProposals(network, tokenizer)
            : null;
  }

  /**
   * Hard negative captions, some of words that the masked-language head proposes for the images.
   *
   * @throws TrainingException if the configuration makes none
   */
  private HardNegativeCaptions draw(Batch batch, EncodedImages images, StepClock clock) {
    if (augmentation == null) {
      throw new TrainingException(
          "an objective asks for hard negative captions, which this configuration does not make:"
              + " set nta.enabled");
    }
    if (proposals == null) {
      return augmentation.draw(batch);
    }
    List<List<String>> proposed =
        proposals.propose(
            batch.captions(),
            augmentation.wordsToPropose(batch),
            images.cls(),
            images.fusionTokens());
    clock.mark("word proposals");
    return augmentation.draw(batch, proposed);
  }

  /**
   * Encodes the true captions, the masked ones and the hard negatives, padded to the longest.
   *
   * @param drawn the hard negatives, if they are wanted and were drawn before; otherwise null
   */
  EncodedCaptions encode(
      CaptionPlan plan,
      EncodedImages images,
      @Nullable HardNegativeCaptions drawn,
      StepClock clock) {
    HardNegativeCaptions negatives = null;
    if (plan.wantsHardNegatives()) {
      negatives = drawn != null ? drawn : draw(plan.batch(), images, clock);
    }
    TokenizedCaptions captions = plan.batch().tokens();
    int size = captions.rows();
    long pad = tokenizer.padId();
    int[] negativeRows =
        negatives == null
            ? new int[0]
            : IntStream.range(0, size).filter(negatives::isValid).toArray();
    MaskedCaptions masked = plan.masked(negatives);
    TokenizedCaptions further = null;
    if (negatives != null && negativeRows.length > 0) {
      further = negatives.tokens().rows(negativeRows);
      int length = Math.max(captions.length(), further.length());
      captions = captions.padTo(length, pad);
      further = further.padTo(length, pad);
      masked = masked == null ? null : masked.padTo(size, length, pad);
    }
    List<Tensor> ids = new ArrayList<>();
    List<Tensor> masks = new ArrayList<>();
    ids.add(ids(captions));
    masks.add(attentionMask(captions));
    if (masked != null) {
      ids.add(device.longs(masked.ids(), size, captions.length()));
      masks.add(masks.getFirst());
    }
    int negativeFrom = size * ids.size();
    if (further != null) {
      ids.add(ids(further));
      masks.add(attentionMask(further));
    }
    Tensor allIds = Torch.cat(0, ids.toArray(Tensor[]::new));
    Tensor allMasks = Torch.cat(0, masks.toArray(Tensor[]::new));
    return new EncodedCaptions(
        size,
        allIds,
        allMasks,
        network.encodeText(allIds, allMasks),
        masked,
        negatives,
        negativeRows,
        negativeFrom);
  }

  private Tensor ids(TokenizedCaptions captions) {
    return device.longs(captions.ids(), captions.rows(), captions.length());
  }

  private Tensor attentionMask(TokenizedCaptions captions) {
    return device.longs(captions.mask(), captions.rows(), captions.length()).ne(new Scalar(0));
  }
}
