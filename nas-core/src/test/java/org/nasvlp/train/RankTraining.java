package org.nasvlp.train;

import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.config.Precision;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.PretrainedWeights;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Mirror;
import org.nasvlp.negatives.TextEditor;
import org.nasvlp.objective.Features;
import org.nasvlp.objective.Forward;
import org.nasvlp.objective.Objective;
import org.nasvlp.random.StableHash;

/**
 * A training in the cluster of this process's environment. Every rank prints a hash of parameters
 * and dictionary after each step; rank 0 prints the losses.
 */
public final class RankTraining {
  private RankTraining() {}

  /**
   * Trains.
   *
   * @param args output, kind, steps, and what else the kind takes
   */
  public static void main(String[] args) throws IOException {
    Path output = Path.of(args[0]);
    Cluster cluster = Cluster.fromEnvironment();
    try {
      TrainingResult result = train(output, args[1], Integer.parseInt(args[2]), cluster);
      System.out.println("report " + result.evaluation());
      System.out.println("own " + result.ownMetrics());
      System.out.println("restarts " + result.dictionary().restarts());
      System.out.println("done");
      System.exit(0);
    } catch (TrainingException e) {
      System.out.println("failed: " + e.getMessage());
      System.exit(1);
    }
  }

  static TrainingResult train(Path output, String kind, int steps, Cluster cluster)
      throws IOException {
    Path words =
        Files.createDirectories(
            output.resolveSibling(output.getFileName() + "-words-" + cluster.rank()));
    boolean isLast = cluster.rank() == cluster.size() - 1;
    Watch watch = new Watch(isLast && kind.contains("nan"));
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(words, 8)) {
      NasTrainerBuilder builder =
          NasTrainer.builder()
              .config(config(kind, steps, cluster))
              .dataset(kind.contains("broken") ? Shapes.withBroken(5) : new Shapes())
              .tokenizer(tokenizer)
              .output(output)
              .threads(1)
              .textEditor(kind.contains("few") ? onlyRed() : ShapesEditor.factory())
              .cluster(cluster)
              .resume(kind.contains("resumed"))
              .objective(watch)
              .listener(
                  new TrainingListener() {
                    @Override
                    public void onStep(StepReport report) {
                      System.out.printf(
                          Locale.ROOT,
                          "losses %d %s %s%n",
                          report.step(),
                          new TreeMap<>(report.losses()),
                          report.hardNegatives());
                      System.out.println("sections " + report.seconds());
                    }
                  });
      if (kind.contains("timed")) {
        builder.timeWaiting();
      }
      if (kind.contains("evaluated")) {
        builder.benchmark(ShapesBenchmarks.pairs(words));
        builder.metric("rank-and-a-half", model -> cluster.rank() + 0.5);
      }
      if (kind.contains("distilled")) {
        Path start = words.resolve("start.safetensors");
        NasConfig other = config(kind, steps, cluster).withTraining(training -> training.seed(9));
        try (NasModel model = NasModel.create(other, tokenizer)) {
          model.exportWeights(start);
        }
        builder.initialWeights(PretrainedWeights.none().withModel(start));
        builder.guard("rank-and-a-half", 0);
      }
      NasTrainer trainer = builder.build();
      if (isLast && kind.contains("stopped")) {
        watch.stops = trainer;
      }
      return trainer.run();
    }
  }

  static NasConfig config(String kind, int steps, Cluster cluster) {
    NasConfig config =
        Shapes.config(steps)
            .withData(data -> data.maxBadShare(0.2))
            .withTraining(training -> training.checkpointEvery(5).keepCheckpoints(2))
            .withObjective(loss -> loss.itmAcrossRanks(!kind.contains("own")));
    if (kind.contains("everything")) {
      config =
          config
              .withNta(nta -> nta.enabled(true).weight(1).inContrast(true).exactLabels(true))
              .withNva(
                  nva ->
                      nva.ratio(0.5)
                          .neighbours(12)
                          .similarity(NvaConfig.Similarity.RAW)
                          .choose(NvaConfig.Choose.GAIN)
                          .substitute(NvaConfig.Substitute.EVIDENCE)
                          .control(NvaConfig.Control.CROSSED)
                          .mirrorWeight(1)
                          .loss(HardNegativeLoss.PAIRWISE));
    }
    if (kind.contains("restarting")) {
      config = config.withDictionary(dictionary -> dictionary.deadThreshold(2).deadSteps(3));
    }
    if (kind.contains("accumulated")) {
      config = config.withOptimizer(optimizer -> optimizer.accumulation(2));
    }
    if (kind.contains("contrast")) {
      // One rank has the pairs of a step in one batch, several have them in two.
      int batches = cluster.isAlone() ? 1 : 2;
      config =
          config.toBuilder()
              .nva(nva -> nva.enabled(false))
              .nta(nta -> nta.enabled(false))
              .dictionary(dictionary -> dictionary.commitmentWeight(0))
              .objective(loss -> loss.itmWeight(0).mlmWeight(0).itcOverAccumulation(true))
              .optimizer(optimizer -> optimizer.accumulation(batches).clipNorm(0).epsilon(1e-2))
              .data(data -> data.batchSize(16 / batches).minCropScale(1).flip(false).colorJitter(0))
              .build();
    }
    if (kind.contains("checkpointing")) {
      config = config.withTraining(training -> training.gradientCheckpointing(true));
    }
    if (kind.contains("best")) {
      config = config.withTraining(training -> training.keepBest(true).evaluateEvery(7));
    }
    if (kind.contains("sharded")) {
      config = config.withTraining(training -> training.shardedOptimizer(true));
    }
    if (kind.contains("rounded")) {
      config = config.withTraining(training -> training.gradientExchange(Precision.BFLOAT16));
    }
    if (kind.contains("layered")) {
      config =
          config.withOptimizer(
              optimizer ->
                  optimizer.layerDecay(0.5).freeze(List.of("image_enc*", "*.query.weight")));
    }
    if (kind.contains("wordless")) {
      config =
          config.withOptimizer(
              optimizer -> optimizer.freeze(List.of("text_encoder.*", "text_projection.*")));
    }
    if (kind.contains("distilled")) {
      config =
          config
              .withObjective(loss -> loss.distillWeight(3))
              .withTraining(training -> training.evaluateAverage(true).evaluateEvery(9));
    }
    if (kind.contains("differently") && cluster.rank() == 1) {
      config = config.withOptimizer(optimizer -> optimizer.learningRate(1e-3));
    }
    return config;
  }

  /** Edits a quarter of the captions alone. */
  private static TextEditor.Factory onlyRed() {
    TextEditor.Factory all = ShapesEditor.factory();
    return new TextEditor.Factory() {
      @Override
      public String identity() {
        return "shapes, red";
      }

      @Override
      public @Nullable Mirror mirror(String caption, CaptionEdit edit) {
        return all.mirror(caption, edit);
      }

      @Override
      public TextEditor create(Iterable<String> captions) {
        TextEditor editor = all.create(captions);
        return (TextEditor)
            Proxy.newProxyInstance(
                TextEditor.class.getClassLoader(),
                new Class<?>[] {TextEditor.class},
                (proxy, method, arguments) ->
                    method.getName().equals("edits") && !arguments[0].toString().startsWith("red")
                        ? List.of()
                        : method.invoke(editor, arguments));
      }
    };
  }

  /** Has no loss, and prints what has become of the codewords by the next step. */
  private static final class Watch implements Objective {
    private final boolean fails;
    private @Nullable NasTrainer stops;

    Watch(boolean fails) {
      this.fails = fails;
    }

    @Override
    public String name() {
      return "watch";
    }

    @Override
    public double weight(long step, long steps) {
      return 0;
    }

    @Override
    public @Nullable Tensor loss(Forward forward) {
      Features features = forward.features();
      try (PointerScope scope = new PointerScope()) {
        float[] codewords = Torch.toFloats(features.dictionary().codewords());
        System.out.println(
            "codewords %d %s %s"
                .formatted(
                    features.step(),
                    Long.toHexString(StableHash.of(Arrays.toString(codewords))),
                    Float.toHexString(features.temperature().item_float())));
      }
      if (stops != null && features.step() == 9) {
        stops.stop();
      }
      return fails && features.step() == 6 ? Torch.floats(new float[] {Float.NaN}, 1) : null;
    }
  }
}
