package org.nasvlp.model;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.model.layer.Convolution;
import org.nasvlp.model.layer.GroupNorm;
import org.nasvlp.model.layer.ParameterScope;
import org.nasvlp.model.layer.Start;

/** How pixels become patch tokens. */
sealed interface Stem {
  /** B x 3 x S x S to B x d x grid x grid. */
  Tensor apply(Tensor images);

  /**
   * The stem of a configuration.
   *
   * @param scope of the embeddings
   */
  static Stem of(ParameterScope scope, ModelConfig config) {
    return switch (config.stem()) {
      case PATCH -> new Patch(scope.scope("patch_embeddings"), config);
      case CONVOLUTION -> new Convolutions(scope.scope("stem"), config);
    };
  }

  /** One linear map of each patch (Dosovitskiy et al., arXiv 2010.11929). */
  final class Patch implements Stem {
    private final Convolution projection;

    Patch(ParameterScope scope, ModelConfig config) {
      projection =
          Convolution.ofPatches(
              scope.scope("projection"), Start.NORMAL, 3, config.width(), config.patchSize());
    }

    @Override
    public Tensor apply(Tensor images) {
      return projection.apply(images);
    }
  }

  /** Halvings of the image down to the patch grid (Xiao et al., arXiv 2106.14881). */
  final class Convolutions implements Stem {
    private final List<Stage> stages = new ArrayList<>();
    private final Convolution projection;

    private record Stage(Convolution halving, GroupNorm norm) {}

    Convolutions(ParameterScope scope, ModelConfig config) {
      int count = Integer.numberOfTrailingZeros(config.patchSize());
      long in = 3;
      for (int i = 0; i < count; i++) {
        // Channels double towards the model width, in multiples of 8 for the group norm.
        long out = Math.max(8, (config.width() >> (count - 1 - i)) / 8 * 8);
        ParameterScope stage = scope.scope(Integer.toString(i));
        stages.add(
            new Stage(
                Convolution.halving(stage, in, out), new GroupNorm(stage.scope("norm"), out)));
        in = out;
      }
      projection =
          Convolution.ofPatches(scope.scope("projection"), Start.FAN_IN, in, config.width(), 1);
    }

    @Override
    public Tensor apply(Tensor images) {
      Tensor x = images;
      for (Stage stage : stages) {
        x = stage.norm().apply(stage.halving().apply(x)).relu();
      }
      return projection.apply(x);
    }
  }
}
