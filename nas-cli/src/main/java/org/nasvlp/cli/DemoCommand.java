package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.model.PretrainedWeights;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code nas demo}. */
@Command(
    name = "demo",
    description = {
      "Composes scenes of emoji and drawn shapes, trains a small model on them and on the emoji"
          + " themselves, and shows how well it tells fine differences apart: who is where, how"
          + " many, what colour belongs to what.",
      "Progress goes to stderr, the final tables to stdout."
    })
final class DemoCommand implements Callable<Integer> {
  private static final double USUAL_MINUTES = 12;
  private static final double MOST_MINUTES = 100_000;
  private static final int IMAGES = 40_000;

  private final Shell shell;

  @Spec private CommandSpec spec;
  @Mixin private TrainingOptions options;

  @Option(
      names = "--minutes",
      paramLabel = "M",
      description = "Time for all of it, start-up and final evaluation included (default: 12).")
  private @Nullable Double minutes;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Seed of every random choice (default: 1).")
  private @Nullable Long seed;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "runs/demo",
      description = "Folder for checkpoints and log (default: ${DEFAULT-VALUE}).")
  private Path out;

  @Option(
      names = "--data",
      paramLabel = "DIR",
      description =
          "Folder with train.tar, test.tar, pairs.json and tokenizer.json (default: scenes composed"
              + " of the emoji that come with the program, in the folder data of --out).")
  private @Nullable Path data;

  @Option(
      names = "--images",
      paramLabel = "N",
      description = "Scenes to compose for training (default: 40000).")
  private @Nullable Integer images;

  DemoCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    if (minutes != null && !(minutes > 0 && minutes <= MOST_MINUTES)) {
      throw new ParameterException(
          spec.commandLine(),
          "Invalid value for option '--minutes': " + minutes + " is not above 0 (at most 100000)");
    }
    if (options.resume && (minutes != null || seed != null)) {
      throw new ParameterException(
          spec.commandLine(),
          "--resume continues with the run's own seed and minutes: leave out --seed and --minutes");
    }
    if (data != null && images != null) {
      throw new ParameterException(
          spec.commandLine(), "--images and --data exclude one another: only scenes are composed");
    }
    int threads = options.threads();
    MlflowListener.Target mlflow = options.mlflow();
    OutputFolder output = new OutputFolder(out);
    output.check(options.resume);
    DataFiles files =
        DataFiles.complete(
            data == null
                ? new DemoData(shell, output, images == null ? IMAGES : images).folder()
                : data);
    NasConfig config =
        options.resume && output.hasCheckpoint()
            ? output.savedConfig()
            : DemoConfig.create(seed == null ? 1 : seed, minutes == null ? USUAL_MINUTES : minutes);
    List<String> again = new ArrayList<>(List.of("demo", "--resume", "--out", out.toString()));
    if (data != null) {
      again.addAll(List.of("--data", data.toString()));
    }
    if (options.tensorBoard) {
      again.add("--tensorboard");
    }
    if (mlflow != null) {
      again.addAll(List.of("--mlflow", mlflow.url().toString()));
      again.addAll(List.of("--mlflow-experiment", mlflow.experiment()));
    }
    String hint = shell.command(again.toArray(String[]::new));
    return new TrainingSession(
            shell,
            "demo",
            options.device.on(config),
            files,
            new ReadingOptions(),
            List.of(),
            PretrainedWeights.none(),
            output,
            options.resume,
            threads,
            !options.namesThreads(),
            options.json,
            options.report,
            options.tensorBoard,
            mlflow,
            options.profile,
            options.memory,
            options.ignoreMemory,
            Cluster.alone(),
            hint,
            null)
        .run();
  }
}
