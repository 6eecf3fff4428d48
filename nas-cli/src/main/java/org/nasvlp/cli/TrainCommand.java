package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.eval.BenchmarkFormat;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.model.PretrainedWeights;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code nas train}. */
@Command(
    name = "train",
    description = {
      "Trains a model as a configuration file says, or as suits the data.",
      "Progress goes to stderr, the final tables to stdout.",
      "Several processes train one model together where nas launch, torchrun, Slurm, Open MPI or"
          + " Kubeflow started them; those of other ranks than 0 print warnings and failures alone."
    })
final class TrainCommand implements Callable<Integer> {
  private final Shell shell;

  @Spec private CommandSpec spec;
  @Mixin private TrainingOptions options;
  @Mixin private ReadingOptions reading;
  @Mixin private ClusterOptions ranks;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description =
          "Configuration, JSON or YAML (default: a preset for the data's size and this machine's"
              + " memory, told with its reasons; of a run that is resumed, its own).")
  private @Nullable Path configFile;

  @Option(
      names = "--data",
      paramLabel = "PATH",
      description =
          "Training pairs: a WebDataset .tar shard, a folder or pattern {000..331} of shards, a"
              + " list of images and captions (.json, .jsonl, .csv, .tsv, COCO's captions, a"
              + " Karpathy split) or a folder with one; or a folder with train.tar and, if they are"
              + " to be used, tokenizer.json, test.tar and pairs.json (default: the emoji that come"
              + " with the program).")
  private @Nullable Path data;

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description = "WordPiece tokenizer.json (default: the one in the data folder).")
  private @Nullable Path tokenizer;

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
      names = "--benchmark",
      paramLabel = "NAME=PATH",
      description =
          "Published benchmark to evaluate as often as the configuration says and at the end: a"
              + " name and a file as nas eval takes them, for example winoground=examples.jsonl."
              + " Can be given several times.")
  private Map<String, Path> benchmarkFiles = Map.of();

  @Option(
      names = "--benchmark-images",
      paramLabel = "NAME=DIR",
      description = "Folder of a benchmark's images (default: the one its file is in).")
  private Map<String, Path> benchmarkImages = Map.of();

  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "runs/train",
      description = "Folder for checkpoints and log (default: ${DEFAULT-VALUE}).")
  private Path out;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Steps of the run, in place of the configuration's steps and minutes.")
  private @Nullable Integer steps;

  @Option(
      names = "--image-weights",
      paramLabel = "FILE",
      description =
          "ViT or DeiT weights under HuggingFace's or timm's names (a safetensors or PyTorch file,"
              + " or a folder with one) that the image encoder starts from.")
  private @Nullable Path imageWeights;

  @Option(
      names = "--text-weights",
      paramLabel = "FILE",
      description =
          "BERT weights from HuggingFace that the text and fusion encoders start from, with"
              + " vocab.txt or tokenizer.json beside them.")
  private @Nullable Path textWeights;

  @Option(
      names = "--weights",
      paramLabel = "FILE",
      description =
          "Weights of a whole model to start from: a file that nas export wrote, a checkpoint's"
              + " folder, or a checkpoint of ALBEF or TCL.")
  private @Nullable Path weights;

  TrainCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    if (steps != null && steps < 1) {
      throw new ParameterException(
          spec.commandLine(), "Invalid value for option '--steps': " + steps + " is not above 0");
    }
    for (String name : benchmarkImages.keySet()) {
      if (!benchmarkFiles.containsKey(name)) {
        throw new ParameterException(
            spec.commandLine(),
            "--benchmark-images " + name + " has no --benchmark " + name + "=…");
      }
    }
    Cluster cluster = ranks.cluster(shell.environment());
    List<TrainingJob.NamedBenchmark> benchmarks = benchmarks();
    int threads = options.threads();
    MlflowListener.Target mlflow = options.mlflow();
    if (configFile == null && !cluster.isAlone()) {
      throw new ParameterException(
          spec.commandLine(), "Several processes that train together need a --config FILE");
    }
    NasConfig given = configFile == null ? null : NasConfig.load(configFile);
    DataFiles files = files();
    OutputFolder output = new OutputFolder(out);
    if (cluster.rank() == 0) {
      // The others may come when rank 0 has already begun to write.
      output.check(options.resume);
    }
    NasConfig config =
        options.device.on(given == null ? chosen(files, output, benchmarks.size()) : given);
    if (steps != null) {
      config = config.withTraining(t -> t.steps(steps).minutes(0));
    }
    return new TrainingSession(
            shell,
            "train",
            config,
            files,
            reading,
            benchmarks,
            new PretrainedWeights(weights, imageWeights, textWeights),
            output,
            options.resume,
            threads,
            false,
            options.json,
            options.report,
            options.tensorBoard,
            mlflow,
            options.profile,
            options.memory,
            options.ignoreMemory,
            cluster,
            "the same command with --resume",
            null)
        .run();
  }

  private DataFiles files() {
    Path of = data == null ? DataFiles.shipped(shell.home()) : data;
    try {
      return DataFiles.choose(of, tokenizer, test, pairs);
    } catch (DataFiles.NoTokenizer e) {
      List<String> make = new ArrayList<>(List.of("data", "tokenizer", of.toString()));
      if (reading.images() != null) {
        make.addAll(List.of("--images", reading.images().toString()));
      }
      make.addAll(List.of("--size", "8000", "--out", "tokenizer.json"));
      throw new CommandFailure(
          e.getMessage() + ", which this makes: " + shell.command(make.toArray(String[]::new)), e);
    }
  }

  /** The configuration of a run without a file of one. */
  private NasConfig chosen(DataFiles files, OutputFolder output, int benchmarks)
      throws IOException {
    if (options.resume && output.hasCheckpoint()) {
      return output.savedConfig();
    }
    NasConfig any = NasConfig.preset("tiny");
    int vocabulary;
    try (CaptionTokenizer words =
        CaptionTokenizer.load(files.tokenizer(), any.model().textTokens())) {
      vocabulary = words.vocabularySize();
    }
    long count;
    try (ImageTextDataset all =
        ImageTextDataset.open(files.train(), reading.over(any.data().background()))) {
      count = all.size();
    }
    ChosenConfig chosen =
        ChosenConfig.of(
            count,
            vocabulary,
            benchmarks,
            files.pairs() != null,
            new ChosenConfig.Machine(
                options.device.asksForGpu(),
                Runtime.getRuntime().maxMemory(),
                ProcessMemory.availableBytes()));
    shell.err().print(chosen.text());
    return chosen.config();
  }

  private List<TrainingJob.NamedBenchmark> benchmarks() throws IOException {
    List<TrainingJob.NamedBenchmark> benchmarks = new ArrayList<>();
    for (Map.Entry<String, Path> of : benchmarkFiles.entrySet()) {
      BenchmarkFormat format;
      try {
        format = BenchmarkFormat.of(of.getKey());
      } catch (IllegalArgumentException e) {
        throw new ParameterException(spec.commandLine(), e.getMessage(), e);
      }
      Path data = of.getValue();
      PublishedBenchmark items = PublishedBenchmark.read(format, data);
      Path images =
          benchmarkImages.getOrDefault(
              of.getKey(), Files.isDirectory(data) ? data : data.toAbsolutePath().getParent());
      if (!Files.isDirectory(images)) {
        throw new CommandFailure(images + ": no such folder; it should hold the images of " + data);
      }
      benchmarks.add(new TrainingJob.NamedBenchmark(of.getKey(), items, images));
    }
    return benchmarks;
  }
}
