package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.Torch;
import org.nasvlp.objective.CaptionPlan;
import org.nasvlp.objective.CrossModalRank;
import org.nasvlp.objective.Features;
import org.nasvlp.objective.Forward;
import org.nasvlp.objective.FusionPlan;
import org.nasvlp.objective.NegativeCaptionContrast;
import org.nasvlp.objective.Objective;
import org.nasvlp.objective.SigmoidContrast;

/** A program's own losses. */
class ObjectiveInTrainingTest {
  @TempDir private Path folder;
  private CaptionTokenizer tokenizer;

  @BeforeEach
  void open() {
    tokenizer = Shapes.tokenizer(folder, 8);
  }

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private NasTrainerBuilder trainer(NasConfig config, String output) {
    return NasTrainer.builder()
        .config(config)
        .dataset(new Shapes())
        .tokenizer(tokenizer)
        .textEditor(ShapesEditor.factory())
        .output(folder.resolve(output))
        .threads(1);
  }

  /** A loss on embeddings alone: the mean squared distance of a pair's two. */
  private static class Alignment implements Objective {
    final List<Double> byHand = new ArrayList<>();
    final List<Long> updates = new ArrayList<>();
    private final double weight;

    Alignment(double weight) {
      this.weight = weight;
    }

    @Override
    public String name() {
      return "alignment";
    }

    @Override
    public double weight(long step, long steps) {
      return weight;
    }

    @Override
    public @Nullable Tensor loss(Forward forward) {
      Tensor images = forward.features().imageEmbeddings();
      Tensor texts = forward.features().textEmbeddings();
      float[] a = Torch.toFloats(images.detach());
      float[] b = Torch.toFloats(texts.detach());
      double sum = 0;
      for (int i = 0; i < a.length; i++) {
        sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
      }
      byHand.add(sum / forward.features().size());
      return Torch.sum(images.sub(texts).square(), 1).mean();
    }

    @Override
    public void update(Features features) {
      updates.add((long) features.draw());
    }
  }

  /**
   * A loss that has its own pairs fused: a caption should fit its image better than the next one.
   */
  private static final class Ranking implements Objective {
    final List<Double> byHand = new ArrayList<>();
    private FusionPlan.@Nullable Pairs own;
    private FusionPlan.@Nullable Pairs next;
    private FusionPlan.@Nullable Pairs seen;

    @Override
    public String name() {
      return "next-caption";
    }

    @Override
    public double weight(long step, long steps) {
      return step + 1 < steps ? 0.5 : 0.25;
    }

    @Override
    public void plan(FusionPlan plan) {
      int size = plan.features().size();
      int[] rows = plan.features().rows();
      int[] shifted = new int[size];
      for (int i = 0; i < size; i++) {
        shifted[i] = (i + 1) % size;
      }
      own = plan.positives();
      next = plan.match(rows, shifted);
      seen = plan.fuse(rows, shifted);
    }

    @Override
    public Tensor loss(Forward forward) {
      Tensor fits = forward.matchLogits(own).select(1, 1);
      Tensor fitsNot = forward.matchLogits(next).select(1, 1);
      float[] a = Torch.toFloats(fits.detach());
      float[] b = Torch.toFloats(fitsNot.detach());
      float[] features = Torch.toFloats(forward.fused(seen).detach().select(1, 0));
      double sum = 0;
      for (int i = 0; i < a.length; i++) {
        sum += Math.log1p(Math.exp((double) b[i] - a[i]));
      }
      double squares = 0;
      for (float feature : features) {
        squares += (double) feature * feature;
      }
      byHand.add(sum / a.length + 0.01 * squares / features.length);
      return torch
          .softplus(fitsNot.sub(fits))
          .mean()
          .add(forward.fused(seen).select(1, 0).square().mean().mul(new Scalar(0.01)));
    }
  }

  private static TrainingListener collecting(List<StepReport> reports) {
    return new TrainingListener() {
      @Override
      public void onStep(StepReport report) {
        reports.add(report);
      }
    };
  }

  @Test
  void ownLossesAreLearnedFromReportedAndLogged() throws IOException {
    Alignment alignment = new Alignment(0.7);
    Ranking ranking = new Ranking();
    List<StepReport> reports = new ArrayList<>();
    TrainingResult result =
        trainer(Shapes.config(30), "out")
            .objective(alignment)
            .objective(ranking)
            .listener(collecting(reports))
            .build()
            .run();
    assertThat(reports).hasSize(30);
    for (int i = 0; i < 30; i++) {
      Map<String, Double> losses = reports.get(i).losses();
      assertThat(losses).containsOnlyKeys("itc", "itm", "nva", "mlm", "alignment", "next-caption");
      assertThat(losses.get("alignment")).isCloseTo(alignment.byHand.get(i), Offset.offset(1e-6));
      assertThat(losses.get("next-caption")).isCloseTo(ranking.byHand.get(i), Offset.offset(1e-6));
      double total =
          losses.get("itc")
              + losses.get("itm")
              + 0.5 * losses.get("nva")
              + losses.get("mlm")
              + 0.7 * losses.get("alignment")
              + (i < 29 ? 0.5 : 0.25) * losses.get("next-caption");
      assertThat(reports.get(i).loss()).isCloseTo(total, Offset.offset(1e-5));
    }
    assertThat(mean(alignment.byHand.subList(25, 30)))
        .isLessThan(0.8 * mean(alignment.byHand.subList(0, 5)));
    assertThat(result.losses()).containsKeys("alignment", "next-caption");
    assertThat(Files.readAllLines(folder.resolve("out/log.jsonl")).getFirst())
        .contains(
            String.format(
                Locale.ROOT, "\"alignment\":%s", reports.getFirst().losses().get("alignment")));
  }

  /** Which have no weight but theirs: contrast learns from them alone. */
  @Test
  void theLibrarysFurtherContrastsAreLearnedFrom() throws IOException {
    NasConfig config =
        Shapes.config(40)
            .withObjective(objective -> objective.itcWeight(0).itmWeight(0).mlmWeight(0).queue(0))
            .withNva(nva -> nva.enabled(false))
            .withNta(nta -> nta.enabled(true).weight(0).startShare(0).rampShare(0));
    List<StepReport> reports = new ArrayList<>();
    var _ =
        trainer(config, "out")
            .objective(new SigmoidContrast(1, -2))
            .objective(new NegativeCaptionContrast(1))
            .objective(new CrossModalRank(0.2, 10))
            .listener(collecting(reports))
            .build()
            .run();
    for (String name : List.of("sigmoid", "negclip")) {
      List<Double> losses = reports.stream().map(report -> report.losses().get(name)).toList();
      assertThat(mean(losses.subList(35, 40)))
          .as(name)
          .isLessThan(0.8 * mean(losses.subList(0, 5)));
    }
    assertThat(reports.getLast().losses().get("rank")).isGreaterThanOrEqualTo(0);
    assertThat(reports.getLast().losses()).containsKey("itc").doesNotContainKey("nva");
  }

  private static double mean(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).average().orElseThrow();
  }

  @Test
  void ofWeightZeroALossIsReportedAndNotLearnedFrom() throws IOException {
    Path without = trainer(Shapes.config(6), "without").build().run().checkpoint();
    List<StepReport> reports = new ArrayList<>();
    Path with =
        trainer(Shapes.config(6), "with")
            .objective(new Alignment(0))
            .listener(collecting(reports))
            .build()
            .run()
            .checkpoint();
    assertThat(reports).allSatisfy(r -> assertThat(r.losses().get("alignment")).isPositive());
    assertThat(Files.readAllBytes(with.resolve("model.safetensors")))
        .isEqualTo(Files.readAllBytes(without.resolve("model.safetensors")));
  }

  @Test
  void updatesFollowEveryBatchOfAStep() {
    NasConfig config = Shapes.config(3);
    Alignment alignment = new Alignment(1);
    trainer(config.withOptimizer(optimizer -> optimizer.accumulation(2)), "out")
        .objective(alignment)
        .build()
        .run();
    assertThat(alignment.updates).containsExactly(0L, 1L, 2L, 3L, 4L, 5L);
  }

  @Test
  void aLossThatIsNotFiniteIsNamed() {
    Objective oddity =
        new Alignment(1) {
          @Override
          public String name() {
            return "oddity";
          }

          @Override
          public Tensor loss(Forward forward) {
            return forward.features().imageEmbeddings().mul(new Scalar(Double.NaN)).mean();
          }
        };
    assertThatThrownBy(() -> trainer(Shapes.config(2), "out").objective(oddity).build().run())
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("oddity=NaN")
        .hasMessageContaining("is not finite at step 1");
  }

  @Test
  void aBatchWithoutTheLossIsLeftOut() {
    Objective seldom =
        new Alignment(1) {
          @Override
          public @Nullable Tensor loss(Forward forward) {
            return forward.features().step() == 1 ? super.loss(forward) : null;
          }
        };
    List<StepReport> reports = new ArrayList<>();
    trainer(Shapes.config(3), "out").objective(seldom).listener(collecting(reports)).build().run();
    assertThat(reports.stream().map(r -> r.losses().containsKey("alignment")))
        .containsExactly(false, true, false);
  }

  @Test
  void aLossThatIsNoScalarIsRefused() {
    Objective rows =
        new Alignment(1) {
          @Override
          public Tensor loss(Forward forward) {
            return Torch.sum(forward.features().imageEmbeddings(), 1);
          }
        };
    assertThatThrownBy(() -> trainer(Shapes.config(2), "out").objective(rows).build().run())
        .isInstanceOf(TrainingException.class)
        .hasMessage(
            "the objective alignment gives a loss of 8 elements: it must be a scalar, such as"
                + " their mean");
  }

  @ParameterizedTest
  @ValueSource(doubles = {-1, Double.NaN, Double.POSITIVE_INFINITY})
  void aWeightThatIsNoneIsRefused(double weight) {
    assertThatThrownBy(
            () -> trainer(Shapes.config(2), "out").objective(new Alignment(weight)).build().run())
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("the objective alignment has a weight of " + weight + " at step 1");
  }

  @Test
  void hardNegativeCaptionsThatTheConfigurationDoesNotMakeAreRefused() {
    Objective asking =
        new Alignment(1) {
          @Override
          public void captions(CaptionPlan plan) {
            plan.requestHardNegatives();
          }
        };
    assertThatThrownBy(() -> trainer(Shapes.config(2), "out").objective(asking).build().run())
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("set nta.enabled");
  }

  @Test
  void namesThatAreTakenAreRefused() {
    assertThatThrownBy(() -> NasTrainer.builder().objective(named("itc")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("called 'itc', as one of the library's own is");
    NasTrainerBuilder builder = NasTrainer.builder().objective(named("mine"));
    assertThatThrownBy(() -> builder.objective(named("mine")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("two objectives are called 'mine'");
    assertThatThrownBy(() -> builder.objective(named("My loss")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("lower-case letters");
  }

  private static Objective named(String name) {
    return new Alignment(1) {
      @Override
      public String name() {
        return name;
      }
    };
  }
}
