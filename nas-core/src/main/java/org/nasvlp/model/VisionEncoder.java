package org.nasvlp.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.layer.LayerNorm;
import org.nasvlp.model.layer.Parameter;
import org.nasvlp.model.layer.ParameterScope;
import org.nasvlp.model.layer.Start;
import org.nasvlp.model.layer.VitBlock;

/** A ViT: a stem, a class token, learned positions, pre-norm layers and a last norm. */
final class VisionEncoder {
  private final Parameter classToken;
  private final Parameter positions;
  private final Stem stem;
  private final List<UnaryOperator<Tensor>> stages = new ArrayList<>();
  private final List<List<Parameter>> parameters = new ArrayList<>();

  VisionEncoder(ParameterScope scope, ModelConfig config) {
    int d = config.width();
    int others = scope.declared().size();
    ParameterScope embeddings = scope.scope("embeddings");
    classToken = embeddings.declare("cls_token", Start.NORMAL, false, 1, 1, d);
    positions =
        embeddings.declare(
            "position_embeddings", Start.NORMAL, false, 1, 1 + config.patchTokens(), d);
    stem = Stem.of(embeddings, config);
    add(this::embed, scope, others);
    for (int i = 0; i < config.imageLayers(); i++) {
      others = scope.declared().size();
      ParameterScope layer = scope.scope("encoder.layer." + i);
      add(new VitBlock(layer, d, config.heads(), config.imageNormEps())::apply, scope, others);
    }
    others = scope.declared().size();
    add(new LayerNorm(scope.scope("layernorm"), d, config.imageNormEps())::apply, scope, others);
  }

  /** Adds a stage, whose parameters are those declared after so many others. */
  private void add(UnaryOperator<Tensor> stage, ParameterScope scope, int others) {
    stages.add(stage);
    parameters.add(scope.declared().values().stream().skip(others).toList());
  }

  private Tensor embed(Tensor images) {
    Tensor patches = stem.apply(images).flatten(2, 3).transpose(1, 2);
    Tensor cls = classToken.value().expand(images.size(0), 1, patches.size(2));
    return Torch.cat(1, cls, patches).add(positions.value());
  }

  /** B x 3 x S x S to B x (1 + N) x d: the class token, then the patch tokens row by row. */
  Tensor features(Tensor images) {
    Tensor x = images;
    for (UnaryOperator<Tensor> stage : stages) {
      x = stage.apply(x);
    }
    return x;
  }

  /** The first of {@link #stages} with parameters that are not frozen; their number if all are. */
  int firstTrained() {
    int stage = 0;
    while (stage < stages.size()
        && parameters.get(stage).stream().noneMatch(of -> of.value().requires_grad())) {
      stage++;
    }
    return stage;
  }

  /** What {@link #features} does one after the other: embedding, each layer, the last norm. */
  List<UnaryOperator<Tensor>> stages() {
    return List.copyOf(stages);
  }
}
