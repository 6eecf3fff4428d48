package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Checkpoints;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.PretrainedWeights;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code nas finetune}. */
@Command(
    name = "finetune",
    description = {
      "Adapts a trained model to pairs of your own without losing what it knows.",
      "A lower learning rate, lower still for lower layers; a few epochs; distillation from the"
          + " model of the start; and a metric that ends the training if it falls. Prints what it"
          + " does, and in the end what has become better and worse: docs/fine-tuning.md."
    })
final class FinetuneCommand implements Callable<Integer> {
  private final Shell shell;

  @Spec private CommandSpec spec;
  @Mixin private TrainingOptions options;
  @Mixin private ReadingOptions reading;

  @Option(
      names = "--model",
      paramLabel = "PATH",
      description =
          "The model to begin with: a file of nas export, a run's folder, or one of its"
              + " checkpoints. Needed unless a run is resumed.")
  private @Nullable Path model;

  @Option(
      names = "--data",
      paramLabel = "PATH",
      required = true,
      description =
          "Training pairs, in any form that nas train takes; of a folder with test.tar and"
              + " pairs.json these are evaluated too.")
  private Path data;

  @Option(
      names = "--held-out",
      paramLabel = "PATH",
      description =
          "Pairs like the training pairs, but none of them: the best checkpoint is the one of the"
              + " best retrieval among these, "
              + FineTuning.OWN
              + ".")
  private @Nullable Path heldOut;

  @Option(
      names = "--guard",
      paramLabel = "PATH",
      description =
          "Pairs of what the model is to be good at still: retrieval among these, "
              + FineTuning.KEPT
              + ", must not fall by more than --guard-drop (default: what --held-out names, or the"
              + " test pairs, must not).")
  private @Nullable Path guard;

  @Option(
      names = "--guard-drop",
      paramLabel = "POINTS",
      defaultValue = "2",
      description =
          "Percentage points that the guard's metric may fall below the start before the training"
              + " ends (default: ${DEFAULT-VALUE}).")
  private double guardDrop;

  @Option(
      names = "--test",
      paramLabel = "PATH",
      description = "Test pairs for the evaluation; needs --pairs.")
  private @Nullable Path test;

  @Option(
      names = "--pairs",
      paramLabel = "FILE",
      description = "JSON list of the test pairs to compare; needs --test.")
  private @Nullable Path pairs;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "runs/finetune",
      description = "Folder for checkpoints and log (default: ${DEFAULT-VALUE}).")
  private Path out;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      defaultValue = "5",
      description = "How often each pair is learned from (default: ${DEFAULT-VALUE}).")
  private int epochs;

  @Option(
      names = "--learning-rate",
      paramLabel = "RATE",
      description = "Peak learning rate (default: a tenth of the model's own).")
  private @Nullable Double learningRate;

  @Option(
      names = "--layer-decay",
      paramLabel = "FACTOR",
      defaultValue = "0.75",
      description =
          "What the rate of each layer is of that of the layer above it (default:"
              + " ${DEFAULT-VALUE}; 1 for one rate).")
  private double layerDecay;

  @Option(
      names = "--distill",
      paramLabel = "WEIGHT",
      defaultValue = "1",
      description =
          "Weight of distillation from the model of the start (default: ${DEFAULT-VALUE}; 0 for"
              + " none).")
  private double distill;

  @Option(
      names = "--freeze",
      paramLabel = "PATTERN",
      split = ",",
      description = "Parameters that stay as they are, such as 'image_encoder.*'.")
  private List<String> freeze = List.of();

  @Option(
      names = "--average",
      description =
          "Evaluate the moving average of the parameters; nas export --average writes it.")
  private boolean average;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description =
          "Fields of a configuration, JSON or YAML, in place of the model's and of those that the"
              + " options above set.")
  private @Nullable Path configFile;

  FinetuneCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    if (epochs < 1) {
      throw wrong("--epochs", epochs + " is not above 0");
    }
    if (!(guardDrop >= 0 && guardDrop <= 100)) {
      throw wrong("--guard-drop", guardDrop + " is not between 0 and 100");
    }
    OutputFolder output = new OutputFolder(out);
    output.check(options.resume);
    boolean goesOn = options.resume && output.hasCheckpoint();
    Path from = goesOn ? out : model;
    if (from == null) {
      throw new ParameterException(spec.commandLine(), "Missing required option: '--model=PATH'");
    }
    Path words = Files.createTempFile("nas-tokenizer", ".json");
    try (FineTuning tuning = new FineTuning()) {
      NasConfig start;
      try (NasModel trained = NasModel.load(from)) {
        Files.writeString(words, trained.tokenizer().json());
        start = trained.config();
      }
      DataFiles files = DataFiles.pictures(data, test, pairs);
      files = new DataFiles(files.train(), words, files.test(), files.pairs());
      NasConfig config = options.device.on(goesOn ? output.savedConfig() : config(start, files));
      int background = config.data().background();
      measure(tuning, background, files.pairs() != null);
      shell.err().print(described(from, config, tuning));
      return new TrainingSession(
              shell,
              "finetune",
              config,
              files,
              reading,
              List.of(),
              goesOn ? PretrainedWeights.none() : PretrainedWeights.none().withModel(weights(from)),
              output,
              options.resume,
              options.threads(),
              false,
              options.json,
              options.report,
              options.tensorBoard,
              options.mlflow(),
              options.profile,
              options.memory,
              options.ignoreMemory,
              Cluster.alone(),
              "the same command with --resume",
              tuning)
          .run();
    } finally {
      Files.deleteIfExists(words);
    }
  }

  private ParameterException wrong(String option, String why) {
    return new ParameterException(
        spec.commandLine(), "Invalid value for option '%s': %s".formatted(option, why));
  }

  private static Path weights(Path from) throws IOException {
    return Files.isRegularFile(from) ? from : Checkpoints.resolve(from);
  }

  private void measure(FineTuning tuning, int background, boolean comparesPairs)
      throws IOException {
    if (heldOut != null) {
      tuning.retrieval(FineTuning.OWN, heldOut(heldOut, background));
    }
    if (guard != null) {
      tuning.retrieval(FineTuning.KEPT, heldOut(guard, background));
    }
    String aim = heldOut != null ? FineTuning.OWN : comparesPairs ? "itc" : null;
    String kept = guard != null ? FineTuning.KEPT : aim;
    if (kept != null) {
      tuning.aim(aim == null ? kept : aim);
      tuning.guard(kept, guardDrop);
    }
  }

  private ImageTextDataset heldOut(Path path, int background) throws IOException {
    return ImageTextDataset.open(path, reading.over(background).forTest());
  }

  /** The start's configuration, changed as is usual for a fine-tuning, and as the options say. */
  private NasConfig config(NasConfig start, DataFiles files) throws IOException {
    long count;
    try (ImageTextDataset all =
        ImageTextDataset.open(files.train(), reading.over(start.data().background()))) {
      count = all.size();
    }
    int batch = Math.toIntExact(Math.min(count, start.data().batchSize()));
    long each = Math.max(1, count / batch / start.optimizer().accumulation());
    int steps = Math.toIntExact(Math.min(Integer.MAX_VALUE / 64, each * epochs));
    double rate = learningRate == null ? start.optimizer().learningRate() / 10 : learningRate;
    NasConfig config =
        start.toBuilder()
            .optimizer(
                optimizer ->
                    optimizer
                        .learningRate(rate)
                        .finalLearningRate(rate / 100)
                        .warmupSteps(0)
                        .warmupShare(0.05)
                        .layerDecay(layerDecay)
                        .freeze(freeze))
            .objective(
                loss ->
                    loss.distillWeight(distill).queue(start.objective().queue() / batch * batch))
            .nva(nva -> nva.startShare(0).rampShare(0))
            .nta(nta -> nta.startShare(0).rampShare(0))
            .data(pictures -> pictures.batchSize(batch).singleThingSteps(0))
            .training(
                training ->
                    training
                        .steps(steps)
                        .minutes(0)
                        .stepMinutes(0)
                        .evaluateEvery((int) each)
                        .checkpointEvery((int) each)
                        .keepBest(true)
                        .evaluateAverage(average)
                        .device("cpu"))
            .build();
    return configFile == null ? config : config.merge(configFile);
  }

  private String described(Path from, NasConfig config, FineTuning tuning) {
    var optimizer = config.optimizer();
    List<String> lines = new ArrayList<>();
    lines.add("fine-tuning of " + from);
    lines.add(
        String.format(
            Locale.ROOT,
            "  rate        %s at most%s",
            optimizer.learningRate(),
            optimizer.layerDecay() == 1
                ? ""
                : ", and of each layer " + optimizer.layerDecay() + " of the one above it"));
    lines.add(
        String.format(
            Locale.ROOT,
            "  length      %d steps of %d pairs, evaluated every %d",
            config.training().steps(),
            config.data().batchSize() * optimizer.accumulation(),
            config.training().evaluateEvery()));
    if (!optimizer.freeze().isEmpty()) {
      lines.add("  frozen      " + String.join(", ", optimizer.freeze()));
    }
    double weight = config.objective().distillWeight();
    lines.add(
        "  start       " + (weight > 0 ? "distilled from with weight " + weight : "not kept"));
    lines.add("  guard       " + tuning.guarded());
    if (config.training().evaluateAverage()) {
      lines.add("  evaluated   the moving average of the parameters");
    }
    return String.join(System.lineSeparator(), lines) + System.lineSeparator();
  }
}
