package org.nasvlp.train;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.model.PretrainedWeights;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.TextEditor;
import org.nasvlp.objective.Objective;

/**
 * Collects what a run needs; configuration, data set, tokenizer and output are required. Made by
 * {@link NasTrainer#builder}. Not thread-safe.
 */
public final class NasTrainerBuilder {
  private static final Pattern METRIC_NAME =
      Pattern.compile("(?!it[cm])(?!.*-it[cm]$)[a-z0-9][a-z0-9_-]*");
  private static final Pattern BENCHMARK_NAME = Pattern.compile("(?!it[cm])[a-z0-9][a-z0-9_-]*");

  private @Nullable NasConfig config;
  private @Nullable ImageTextDataset dataset;
  private @Nullable CaptionTokenizer tokenizer;
  private @Nullable FineGrainedBenchmark benchmark;
  private final Map<String, Evaluator.Published> published = new LinkedHashMap<>();
  private final Map<String, Metric> metrics = new LinkedHashMap<>();
  private @Nullable Guard guard;
  private @Nullable Path output;
  private PretrainedWeights initialWeights = PretrainedWeights.none();
  private boolean resume;
  private int threads = Runtime.getRuntime().availableProcessors();
  private int traceEvery;
  private TextEditor.@Nullable Factory textEditor;
  private @Nullable Path captionEdits;
  private final List<Objective> objectives = new ArrayList<>();
  private final List<TrainingListener> listeners = new ArrayList<>();
  private Cluster cluster = Cluster.alone();
  private boolean timesWaiting;

  NasTrainerBuilder() {}

  /**
   * What is trained, and how.
   *
   * @param value the configuration
   * @return this
   */
  public NasTrainerBuilder config(NasConfig value) {
    config = value;
    return this;
  }

  /**
   * The pairs to train on.
   *
   * @param value stays the caller's to close
   * @return this
   */
  public NasTrainerBuilder dataset(ImageTextDataset value) {
    dataset = value;
    return this;
  }

  /**
   * Splits captions into tokens.
   *
   * @param value stays the caller's to close
   * @return this
   */
  public NasTrainerBuilder tokenizer(CaptionTokenizer value) {
    tokenizer = value;
    return this;
  }

  /**
   * Evaluated during training and at its end; none unless set.
   *
   * @param value null for none
   * @return this
   */
  public NasTrainerBuilder benchmark(@Nullable FineGrainedBenchmark value) {
    benchmark = value;
    return this;
  }

  /**
   * Evaluated with the other, or alone: a published benchmark, by contrast and by matching. Its
   * results go to the listeners, the log and the result; with {@code training.keepBest} the
   * checkpoints {@code best-NAME-itc} and {@code best-NAME-itm} are kept, by {@link
   * BenchmarkReport#headline}. Items whose images cannot be read are told by {@link
   * TrainingListener#onWarning} and counted in the reports.
   *
   * @param name of lower-case letters, digits, '-' and '_'; does not begin with itc or itm
   * @param items what is scored
   * @param images folder that the items' paths are relative to
   * @return this
   * @throws IllegalArgumentException if the name is of another form or taken, or the folder absent
   */
  public NasTrainerBuilder benchmark(String name, PublishedBenchmark items, Path images) {
    if (!BENCHMARK_NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "a benchmark is called '%s': names have lower-case letters, digits, '-' and '_', and"
                  .formatted(name)
              + " do not begin with itc or itm");
    }
    if (!Files.isDirectory(images)) {
      throw new IllegalArgumentException(
          images + ": no such folder; it should hold the images of the benchmark " + name);
    }
    if (published.putIfAbsent(name, new Evaluator.Published(items, images)) != null) {
      throw new IllegalArgumentException("two benchmarks are called '" + name + "'");
    }
    return this;
  }

  /**
   * A metric of the program's own, taken at each evaluation beside those of the benchmarks, or
   * alone. It is one of {@link Evaluation#metrics}: it goes to the listeners and the log, with
   * {@code training.keepBest} the checkpoint {@code best-NAME} is kept, and {@link EarlyStopping}
   * can watch it. A higher value is a better one: give the negative of an error. What it does has
   * no influence on what the model learns.
   *
   * <p>Of several ranks the first one takes it while the others wait, no longer than {@link
   * Cluster#timeout}. A value that is not finite is told by {@link TrainingListener#onWarning} and
   * counts as none; an exception ends the run, and names the metric.
   *
   * @param name of lower-case letters, digits, '-' and '_'; begins and ends otherwise than the
   *     library's own metrics, with itc or itm
   * @param value on the thread that runs the trainer, and on the model as it is then
   * @return this
   * @throws IllegalArgumentException if the name is of another form or taken
   */
  public NasTrainerBuilder metric(String name, Metric value) {
    Objects.requireNonNull(value, "metric");
    if (!METRIC_NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "a metric is called '%s': names have lower-case letters, digits, '-' and '_', and do not"
                  .formatted(name)
              + " begin with itc or itm, nor end with -itc or -itm");
    }
    if (metrics.putIfAbsent(name, value) != null) {
      throw new IllegalArgumentException("two metrics are called '" + name + "'");
    }
    return this;
  }

  /**
   * Ends the run where it loses too much of what its first model could do. The metrics are taken
   * before the first step as well; an evaluation that finds this one lower by more than the drop
   * ends the run, is told by {@link TrainingListener#onGuard}, and none of it becomes a best
   * checkpoint. The value of the start is part of the checkpoints, for a run that is resumed.
   *
   * @param metric one of {@link Evaluation#metrics}
   * @param drop 0 or more, in the metric's unit: 0.02 for two points of an accuracy
   * @return this
   * @throws IllegalArgumentException if the drop is out of range
   */
  public NasTrainerBuilder guard(String metric, double drop) {
    guard = new Guard(Objects.requireNonNull(metric, "metric"), drop);
    return this;
  }

  /**
   * Where checkpoints and log go.
   *
   * @param value a folder; made if absent
   * @return this
   */
  public NasTrainerBuilder output(Path value) {
    output = value;
    return this;
  }

  /**
   * Published weights that a fresh run starts from, momentum encoders included; none unless set. A
   * run that goes on from a checkpoint has its own: it says so by {@link
   * TrainingListener#onWarning} and loads none.
   *
   * @param value files of weights
   * @return this
   */
  public NasTrainerBuilder initialWeights(PretrainedWeights value) {
    initialWeights = value;
    return this;
  }

  /**
   * Whether to go on from the output's newest checkpoint; without one the run starts fresh. What
   * the log holds of later steps is cut off, so that every step stands in it once.
   *
   * @param value false, unless set: an output that holds a run is refused
   * @return this
   */
  public NasTrainerBuilder resume(boolean value) {
    resume = value;
    return this;
  }

  /**
   * Threads of LibTorch and of the kernels, process-wide.
   *
   * @param value 1 to 1024; all processors unless set
   * @return this
   * @throws IllegalArgumentException if it is out of range
   */
  public NasTrainerBuilder threads(int value) {
    if (value < 1 || value > 1024) {
      throw new IllegalArgumentException("threads is " + value + ": it must lie in 1..1024");
    }
    threads = value;
    return this;
  }

  /**
   * Makes hard negative captions.
   *
   * @param value unless set, that of English, which {@code org.nasvlp:nas-text-en} brings
   * @return this
   */
  public NasTrainerBuilder textEditor(TextEditor.Factory value) {
    textEditor = value;
    return this;
  }

  /**
   * Where the caption edits that hard negative captions are drawn from may lie already, made by
   * {@link NegativeTextAugmentation#prepare} or {@code nas data captions} of the same captions with
   * the same settings. Nothing is written there. Where they are not there, or belong to other
   * captions, the run makes its own and keeps them with its output.
   *
   * @param value a folder, which need not exist
   * @return this
   */
  public NasTrainerBuilder captionEdits(Path value) {
    captionEdits = value;
    return this;
  }

  /**
   * Steps between traces of a hard negative image, which go to the listeners and the log. No
   * influence on the training.
   *
   * @param value 0, the default, for none
   * @return this
   * @throws IllegalArgumentException if it is negative
   */
  public NasTrainerBuilder traceEvery(int value) {
    if (value < 0) {
      throw new IllegalArgumentException("traceEvery is " + value + ": it must not be negative");
    }
    traceEvery = value;
    return this;
  }

  /**
   * Adds a loss of the program's own to those of the configuration. It is reported and logged by
   * its name.
   *
   * @param value serves one run
   * @return this
   * @throws IllegalArgumentException if the library or another objective has its name
   */
  public NasTrainerBuilder objective(Objective value) {
    Objectives.checkName(Objects.requireNonNull(value, "objective").name(), objectives);
    objectives.add(value);
    return this;
  }

  /**
   * Adds a listener, which is told after those added before.
   *
   * @param value called on the thread that runs the trainer
   * @return this
   */
  public NasTrainerBuilder listener(TrainingListener value) {
    listeners.add(Objects.requireNonNull(value, "listener"));
    return this;
  }

  /**
   * The processes that train together: each builds the same trainer, and what it learns is what one
   * process would. The batch of the configuration is that of all of them, and is divided evenly.
   * Listeners are told on rank 0 alone, which also writes log and checkpoints; the output must be a
   * folder that all ranks see, and so must what the data set reads.
   *
   * @param value {@link Cluster#alone}, unless set
   * @return this
   */
  public NasTrainerBuilder cluster(Cluster value) {
    cluster = Objects.requireNonNull(value, "cluster");
    return this;
  }

  /**
   * Tells in {@link StepReport#seconds} how long a rank waits for others ("waiting for ranks")
   * apart from what they send each other ("exchange"), for which all wait for each other before
   * each exchange: some tenths of a millisecond on one machine. The same on all ranks.
   *
   * @return this
   */
  public NasTrainerBuilder timeWaiting() {
    timesWaiting = true;
    return this;
  }

  /**
   * The trainer.
   *
   * @return for one run
   * @throws NullPointerException naming what is required and was not given
   */
  public NasTrainer build() {
    return new NasTrainer(
        new RunSettings(
            Objects.requireNonNull(config, "config is missing"),
            Objects.requireNonNull(dataset, "dataset is missing"),
            Objects.requireNonNull(tokenizer, "tokenizer is missing"),
            benchmark,
            Collections.unmodifiableMap(new LinkedHashMap<>(published)),
            Collections.unmodifiableMap(new LinkedHashMap<>(metrics)),
            guard,
            Objects.requireNonNull(output, "output is missing"),
            initialWeights,
            resume,
            threads,
            traceEvery,
            textEditor,
            captionEdits,
            List.copyOf(objectives),
            List.copyOf(listeners),
            cluster,
            timesWaiting));
  }
}
