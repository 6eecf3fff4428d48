package org.nasvlp.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.NasModel;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.objective.CommitmentLoss;
import org.nasvlp.objective.ContrastiveLoss;
import org.nasvlp.objective.DistillationLoss;
import org.nasvlp.objective.MaskedLanguageLoss;
import org.nasvlp.objective.MaskedVisualLoss;
import org.nasvlp.objective.MatchingLoss;
import org.nasvlp.objective.MirroredImageLoss;
import org.nasvlp.objective.NegativeImageLoss;
import org.nasvlp.objective.NegativeTextLoss;
import org.nasvlp.objective.Objective;

/**
 * The objectives of a run: those that the configuration asks for, then the program's own. They are
 * asked, and summed up, in this order.
 *
 * @param contrast what keeps the queue
 * @param negativeImages what counts words and codes, and tells of hard negative images
 * @param all of them, contrast first
 */
record Objectives(ContrastiveLoss contrast, NegativeImageLoss negativeImages, List<Objective> all) {
  private static final Set<String> OWN =
      Set.of("itc", "itm", "nva", "mirror", "nta", "mlm", "mvm", "commitment", "distill");

  private static final Pattern NAME = Pattern.compile("[a-z0-9][a-z0-9_-]*");

  /**
   * Makes them.
   *
   * @param textNegatives hard negative captions; null if the configuration makes none
   * @param start the model of the run's start; null exactly if it is not distilled from
   * @param further the program's own
   */
  static Objectives of(
      NasConfig config,
      NasModel model,
      @Nullable NegativeTextAugmentation textNegatives,
      NasModel.@Nullable MomentumCopy start,
      List<Objective> further) {
    TorchDevice device = TorchDevice.of(model.parameters().values());
    WordCodes words =
        config.nva().usesWords()
            ? new WordCodes(
                Objects.requireNonNull(textNegatives).words(), config.dictionary().codewords())
            : null;
    ContrastiveLoss contrast = new ContrastiveLoss(config, device.toString());
    NegativeImageLoss negativeImages = new NegativeImageLoss(config, model.network(), words);
    List<Objective> all = new ArrayList<>();
    all.add(contrast);
    all.add(new MatchingLoss(config));
    all.add(negativeImages);
    if (config.nva().mirrorWeight() > 0) {
      all.add(new MirroredImageLoss(config, Objects.requireNonNull(textNegatives)::mirror));
    }
    all.add(new NegativeTextLoss(config));
    if (config.objective().mlmWeight() > 0) {
      all.add(new MaskedLanguageLoss(config, model.network(), model.tokenizer()));
    }
    if (config.objective().mvmWeight() > 0) {
      all.add(new MaskedVisualLoss(config, model.network()));
    }
    if (config.dictionary().commitmentWeight() > 0) {
      all.add(new CommitmentLoss(config));
    }
    if (start != null) {
      all.add(new DistillationLoss(config, start.network()));
    }
    all.addAll(further);
    return new Objectives(contrast, negativeImages, List.copyOf(all));
  }

  /** All but contrast. */
  List<Objective> withoutContrast() {
    return all.subList(1, all.size());
  }

  /**
   * Checks the name of a program's own objective.
   *
   * @param others that the program has named before
   * @throws IllegalArgumentException if it is taken, or not of lower-case letters, digits, '-' and
   *     '_'
   */
  static void checkName(String name, List<Objective> others) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "an objective is called '%s': names have lower-case letters, digits, '-' and '_'"
              .formatted(name));
    }
    if (OWN.contains(name)) {
      throw new IllegalArgumentException(
          "an objective is called '%s', as one of the library's own is: choose another name"
              .formatted(name));
    }
    if (others.stream().anyMatch(other -> other.name().equals(name))) {
      throw new IllegalArgumentException(
          "two objectives are called '%s': choose another name for one of them".formatted(name));
    }
  }
}
