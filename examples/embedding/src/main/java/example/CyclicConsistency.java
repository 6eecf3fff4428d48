package example;

import org.bytedeco.pytorch.Tensor;
import org.nasvlp.objective.Forward;
import org.nasvlp.objective.Objective;

/**
 * A loss of one's own: cross-modal consistency of CyCLIP (arXiv 2205.14459), which pulls the
 * similarity of one pair's image to another pair's caption towards that of the other image to the
 * one caption: the mean over j and k of (I_j · T_k - I_k · T_j)².
 */
final class CyclicConsistency implements Objective {
  private final double weight;

  CyclicConsistency(double weight) {
    this.weight = weight;
  }

  @Override
  public String name() {
    return "cyclic";
  }

  @Override
  public double weight(long step, long steps) {
    return weight;
  }

  @Override
  public Tensor loss(Forward forward) {
    Tensor images = forward.features().imageEmbeddings();
    Tensor captions = forward.features().textEmbeddings();
    Tensor similarities = images.matmul(captions.t());
    return similarities.sub(similarities.t()).square().mean();
  }
}
