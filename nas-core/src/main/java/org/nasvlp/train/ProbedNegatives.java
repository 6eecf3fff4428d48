package org.nasvlp.train;

import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.eval.ArtefactProbe;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.objective.HardNegativeObserver;

/** Gives images and their hard negatives to a probe for artefacts. */
final class ProbedNegatives implements HardNegativeObserver {
  private final ArtefactProbe probe;

  ProbedNegatives(ArtefactProbe probe) {
    this.probe = probe;
  }

  @Override
  public void onHardNegatives(Observed observed) {
    Tensor tokens = observed.features().fusionTokens().detach();
    VisualDictionary dictionary = observed.features().dictionary();
    int[] rows = observed.images().rows();
    Tensor real = tokens.index_select(0, TorchDevice.of(tokens).index(rows)).contiguous();
    Tensor negative = observed.images().negativeTokens(tokens).contiguous();
    float[] realTokens = Torch.toFloats(real);
    float[] negativeTokens = Torch.toFloats(negative);
    int[] realCodes = Torch.toInts(dictionary.lookup(real));
    int[] negativeCodes = Torch.toInts(dictionary.lookup(negative));
    int count = realCodes.length / rows.length;
    int each = realTokens.length / rows.length;
    for (int i = 0; i < rows.length; i++) {
      probe.add(
          Arrays.copyOfRange(realTokens, i * each, (i + 1) * each),
          Arrays.copyOfRange(realCodes, i * count, (i + 1) * count),
          Arrays.copyOfRange(negativeTokens, i * each, (i + 1) * each),
          Arrays.copyOfRange(negativeCodes, i * count, (i + 1) * count));
    }
  }
}
