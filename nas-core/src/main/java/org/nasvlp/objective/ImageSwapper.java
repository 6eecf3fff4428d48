package org.nasvlp.objective;

import java.util.Objects;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.Network;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;
import org.nasvlp.negatives.NegativeVisualAugmentation;
import org.nasvlp.negatives.NegativeVisualAugmentation.HardNegativeImages;
import org.nasvlp.negatives.NegativeVisualAugmentation.Images;
import org.nasvlp.random.Draws;

/**
 * Makes the hard negative images of a batch, and their controls: scores the patch tokens by their
 * cosines to both class tokens, cos(V_cls, v_i) and cos(T_cls, v_i), gathers the codes' evidence
 * for the words of the hard negative captions, and has tokens swapped by {@link
 * NegativeVisualAugmentation}. No gradient passes.
 */
final class ImageSwapper {
  private final NasConfig config;
  private final Network network;
  private final NegativeVisualAugmentation augmentation;
  private final @Nullable WordCodes words;

  /**
   * @param words which codes go with which words; null exactly if no rule goes by evidence
   */
  ImageSwapper(NasConfig config, Network network, @Nullable WordCodes words) {
    this.config = config;
    this.network = network;
    this.words = words;
    this.augmentation =
        new NegativeVisualAugmentation(
            config.nva(),
            config.model().fusionInput(),
            Draws.TOKEN_SWAP.seed(config.training().seed()));
  }

  /** The images with a hard negative; null if none has one. */
  @Nullable SwappedImages swap(Features features) {
    refreshNeighbours(features);
    try (AutoGradMode off = Torch.withoutGradient()) {
      Images images = images(features);
      HardNegativeImages negatives = augmentation.negatives(features.dictionary(), images);
      int[] rows = chosen(negatives.rows(), features);
      return rows.length == 0
          ? null
          : new SwappedImages(
              rows, negatives, augmentation.controls(features.dictionary(), images));
    }
  }

  /** Of the images with a hard negative those that are compared. */
  private int[] chosen(int[] rows, Features features) {
    if (config.nva().imageShare() == 1 || rows.length == 0) {
      return rows;
    }
    EncodedCaptions captions = features.captions();
    Tensor images = features.imageEmbeddings().detach();
    float[] right = cosines(images, features.textEmbeddings().detach());
    double[] lead = new double[captions.size()];
    for (int row = 0; row < lead.length; row++) {
      lead[row] = right[row];
    }
    int[] with = captions.negativeRows();
    if (with.length > 0) {
      Tensor negatives =
          network.projectText(
              captions.features().narrow(0, captions.negativeFrom(), with.length).select(1, 0));
      Tensor own = images.index_select(0, TorchDevice.of(images).index(with));
      float[] wrong = cosines(own, negatives);
      for (int i = 0; i < with.length; i++) {
        lead[with[i]] -= wrong[i];
      }
    }
    return LeastSure.of(rows, lead, config.nva().imageShare());
  }

  private static float[] cosines(Tensor one, Tensor two) {
    return Torch.toFloats(one.mul(two).sum(1));
  }

  private void refreshNeighbours(Features features) {
    VisualDictionary dictionary = features.dictionary();
    int wanted = config.nva().neighbours();
    if (dictionary.neighbourCount() != wanted
        || features.step() % config.dictionary().neighbourRefreshSteps() == 0) {
      dictionary.refreshNeighbours(wanted);
    }
  }

  private Images images(Features features) {
    Tensor tokens = features.patchTokens().detach();
    Tensor image;
    Tensor text;
    Tensor compared;
    if (config.nva().similarity() == NvaConfig.Similarity.RAW) {
      compared = Torch.unit(tokens);
      image = Torch.unit(features.imageCls().detach());
      text = Torch.unit(features.captions().cls().detach());
    } else {
      compared = network.projectImage(tokens);
      image = features.imageEmbeddings().detach();
      text = features.textEmbeddings().detach();
    }
    return new Images(
        features.fusionTokens().detach(),
        features.codes().tensor(),
        compared.matmul(image.unsqueeze(2)).squeeze(2),
        compared.matmul(text.unsqueeze(2)).squeeze(2),
        words == null ? null : evidence(words, features.captions()),
        features.batch().sampleIds(),
        features.draw());
  }

  /** The evidence for the words that the batch's hard negative captions put in. */
  private static WordCodes.Evidence evidence(WordCodes words, EncodedCaptions captions) {
    HardNegativeCaptions negatives = Objects.requireNonNull(captions.negatives());
    String[] from = new String[captions.size()];
    String[] to = new String[captions.size()];
    for (int b = 0; b < from.length; b++) {
      CaptionEdit edit = negatives.edits()[b];
      if (edit != null && !edit.type().isSwap()) {
        from[b] = edit.replaced();
        to[b] = edit.replacement();
      }
    }
    return words.evidence(from, to);
  }
}
