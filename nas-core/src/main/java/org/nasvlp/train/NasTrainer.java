package org.nasvlp.train;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Checkpoints;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.data.BatchLoader;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.LoaderState;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.dictionary.WordCodes;
import org.nasvlp.eval.ArtefactProbe;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.kernels.NonFiniteInputException;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.PretrainedWeights;
import org.nasvlp.model.WeightReport;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NvaTrace;
import org.nasvlp.negatives.TextEditor;
import org.nasvlp.objective.FeatureQueue;
import org.nasvlp.objective.Objective;
import org.nasvlp.random.Draws;
import org.nasvlp.scoring.ImageTextScorer;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/**
 * Pretrains a model and leaves checkpoints and a log in an output folder.
 *
 * <pre>{@code
 * TrainingResult result =
 *     NasTrainer.builder()
 *         .config(NasConfig.tiny())
 *         .dataset(dataset)
 *         .tokenizer(tokenizer)
 *         .output(Path.of("out"))
 *         .build()
 *         .run();
 * }</pre>
 *
 * <p>A trainer runs once, on the calling thread; {@link #stop} may be called from any thread. A JVM
 * that is asked to exit meanwhile (Ctrl-C, SIGTERM, {@code System.exit}) stops the run and waits
 * for its checkpoint. {@code System.exit} must not be called from a listener: it would wait for
 * itself.
 */
public final class NasTrainer {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** Often enough that freed memory does not pile up, seldom enough to cost little time. */
  private static final int STEPS_BETWEEN_RELEASES = 100;

  private static final int CALIBRATION_FROM = 3;
  private static final int CALIBRATION_TO = 13;

  /** Steps before an evaluation whose hard negative images are probed for artefacts. */
  private static final int PROBED_STEPS = 20;

  /** Share of a time budget that training steps may use; the rest is for evaluations. */
  private static final double STEP_SHARE = 0.93;

  private static final Pattern BENCHMARK_NAME = Pattern.compile("[a-z0-9][a-z0-9_-]*");

  private final NasConfig config;
  private final ImageTextDataset dataset;
  private final CaptionTokenizer tokenizer;
  private final @Nullable FineGrainedBenchmark benchmark;
  private final Map<String, Published> published;
  private final Path output;
  private final PretrainedWeights initialWeights;
  private final boolean resume;
  private final int threads;
  private final int traceEvery;
  private final TextEditor.@Nullable Factory textEditor;
  private final List<Objective> objectives;
  private final List<TrainingListener> listeners;
  private volatile boolean stopRequested;
  private boolean started;

  private NasTrainer(Builder builder) {
    this.config = Objects.requireNonNull(builder.config, "config is missing");
    this.dataset = Objects.requireNonNull(builder.dataset, "dataset is missing");
    this.tokenizer = Objects.requireNonNull(builder.tokenizer, "tokenizer is missing");
    this.benchmark = builder.benchmark;
    this.published = new LinkedHashMap<>(builder.published);
    this.output = Objects.requireNonNull(builder.output, "output is missing");
    this.initialWeights = builder.initialWeights;
    this.resume = builder.resume;
    this.threads = builder.threads;
    this.traceEvery = builder.traceEvery;
    this.textEditor = builder.textEditor;
    this.objectives = List.copyOf(builder.objectives);
    this.listeners = List.copyOf(builder.listeners);
  }

  /** A new builder. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects what a run needs; configuration, data set, tokenizer and output are required. */
  public static final class Builder {
    private @Nullable NasConfig config;
    private @Nullable ImageTextDataset dataset;
    private @Nullable CaptionTokenizer tokenizer;
    private @Nullable FineGrainedBenchmark benchmark;
    private final Map<String, Published> published = new LinkedHashMap<>();
    private @Nullable Path output;
    private PretrainedWeights initialWeights = PretrainedWeights.none();
    private boolean resume;
    private int threads = Runtime.getRuntime().availableProcessors();
    private int traceEvery;
    private TextEditor.@Nullable Factory textEditor;
    private final List<Objective> objectives = new ArrayList<>();
    private final List<TrainingListener> listeners = new ArrayList<>();

    private Builder() {}

    public Builder config(NasConfig value) {
      config = value;
      return this;
    }

    /** The pairs to train on; stays the caller's to close. */
    public Builder dataset(ImageTextDataset value) {
      dataset = value;
      return this;
    }

    /** Splits captions into tokens; stays the caller's to close. */
    public Builder tokenizer(CaptionTokenizer value) {
      tokenizer = value;
      return this;
    }

    /** Evaluated during training and at its end; optional. */
    public Builder benchmark(@Nullable FineGrainedBenchmark value) {
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
     * @param name of lower-case letters, digits, '-' and '_'
     * @param images folder that the items' paths are relative to
     */
    public Builder benchmark(String name, PublishedBenchmark items, Path images) {
      if (!BENCHMARK_NAME.matcher(name).matches()
          || name.startsWith("itc")
          || name.startsWith("itm")) {
        throw new IllegalArgumentException(
            "a benchmark is called '%s': names have lower-case letters, digits, '-' and '_', and"
                    .formatted(name)
                + " do not begin with itc or itm");
      }
      if (!Files.isDirectory(images)) {
        throw new IllegalArgumentException(
            images + ": no such folder; it should hold the images of the benchmark " + name);
      }
      if (published.putIfAbsent(name, new Published(items, images)) != null) {
        throw new IllegalArgumentException("two benchmarks are called '" + name + "'");
      }
      return this;
    }

    /** Folder for checkpoints and log; made if absent. */
    public Builder output(Path value) {
      output = value;
      return this;
    }

    /**
     * Published weights that a fresh run starts from, momentum encoders included; none unless set.
     * A run that goes on from a checkpoint has its own: it says so by {@link
     * TrainingListener#onWarning} and loads none.
     */
    public Builder initialWeights(PretrainedWeights value) {
      initialWeights = value;
      return this;
    }

    /**
     * Whether to go on from the output's newest checkpoint; without one the run starts fresh. What
     * the log holds of later steps is cut off, so that every step stands in it once.
     */
    public Builder resume(boolean value) {
      resume = value;
      return this;
    }

    /** Threads of LibTorch and of the kernels; all processors unless set. */
    public Builder threads(int value) {
      if (value < 1 || value > 1024) {
        throw new IllegalArgumentException("threads is " + value + ": it must lie in 1..1024");
      }
      threads = value;
      return this;
    }

    /**
     * Makes hard negative captions; unless set, that of English, which {@code
     * org.nasvlp:nas-text-en} brings.
     */
    public Builder textEditor(TextEditor.Factory value) {
      textEditor = value;
      return this;
    }

    /**
     * Steps between traces of a hard negative image, which go to the listeners and the log; 0, the
     * default, for none. No influence on the training.
     */
    public Builder traceEvery(int value) {
      if (value < 0) {
        throw new IllegalArgumentException("traceEvery is " + value + ": it must not be negative");
      }
      traceEvery = value;
      return this;
    }

    /**
     * Adds a loss of the program's own to those of the configuration. It is reported and logged by
     * its name. The object serves one run.
     *
     * @throws IllegalArgumentException if the library or another objective has its name
     */
    public Builder objective(Objective value) {
      Objectives.checkName(value.name(), objectives);
      objectives.add(value);
      return this;
    }

    /** Adds a listener. */
    public Builder listener(TrainingListener value) {
      listeners.add(value);
      return this;
    }

    /** The trainer. */
    public NasTrainer build() {
      return new NasTrainer(this);
    }
  }

  /**
   * Asks a run to stop: it finishes its step, writes a checkpoint and returns. From any thread;
   * before {@link #run} it makes the run stop after its first step.
   */
  public void stop() {
    stopRequested = true;
  }

  private record Published(PublishedBenchmark items, Path images) {}

  /** What a checkpoint keeps besides tensors. */
  private record State(
      int format,
      long step,
      long plannedSteps,
      double seconds,
      int queueFilled,
      int queueNext,
      @Nullable LoaderState samples,
      @Nullable Map<String, Double> best) {}

  /**
   * Trains.
   *
   * @throws TrainingException if the run cannot start or go on; a checkpoint written before stays
   * @throws org.nasvlp.data.TooManyBadSamplesException if more samples are bad than allowed
   */
  public TrainingResult run() {
    synchronized (this) {
      if (started) {
        throw new IllegalStateException("a trainer runs once; build another one");
      }
      started = true;
    }
    // A JVM that exits tears LibTorch down: under a step at work that would be a crash.
    CountDownLatch ended = new CountDownLatch(1);
    Thread hook = new Thread(() -> stopAndAwait(ended), "nas-trainer-shutdown");
    try {
      Runtime.getRuntime().addShutdownHook(hook);
    } catch (IllegalStateException e) {
      throw new TrainingException("the JVM is shutting down; no run can start", e);
    }
    try {
      return runLocked();
    } finally {
      ended.countDown();
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException e) {
        // The hook is running: it ends now.
      }
    }
  }

  private void stopAndAwait(CountDownLatch ended) {
    stop();
    try {
      ended.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private TrainingResult runLocked() {
    try {
      Files.createDirectories(output);
      try (FileChannel channel =
              FileChannel.open(
                  output.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
          FileLock lock = lock(channel)) {
        return train();
      }
    } catch (IOException e) {
      throw failed(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new TrainingException(
          "interrupted; the run can be resumed from its last checkpoint in " + output, e);
    }
  }

  private FileLock lock(FileChannel channel) throws IOException {
    try {
      FileLock lock = channel.tryLock();
      if (lock != null) {
        return lock;
      }
    } catch (OverlappingFileLockException e) {
      // Held by this process: the same answer as for another one.
    }
    throw new TrainingException(
        output + " is in use by another run; choose another output or wait for it to end");
  }

  private TrainingException failed(IOException e) {
    String remedy =
        e instanceof AccessDeniedException
            ? "choose an output folder that can be written"
            : e instanceof FileSystemException
                ? "check space and permissions of the output folder"
                : "check the output folder and the disk";
    String reason = e instanceof AccessDeniedException ? "access denied: " : "";
    return new TrainingException(
        "the run in "
            + output
            + " cannot go on: "
            + reason
            + e.getMessage()
            + "; "
            + remedy
            + " (checkpoints written before are complete)",
        e);
  }

  private TrainingResult train() throws IOException, InterruptedException {
    Optional<Path> previous = Checkpoints.latest(output);
    if (previous.isPresent() && !resume) {
      throw new TrainingException(
          output
              + " already holds a run ("
              + previous.get().getFileName()
              + "): resume it, or choose another output");
    }
    Torch.setThreads(threads);
    Kernels.setThreads(threads);
    long begin = System.nanoTime();
    try (NasModel model = newModel(previous.orElse(null));
        TrainingStep step =
            new TrainingStep(config, model, textNegatives(), stepsPerEpoch(), objectives)) {
      Run run = new Run(model, step, begin);
      if (previous.isPresent()) {
        run.restore(previous.get());
      } else {
        run.runLog.rewind(0, false);
      }
      return run.train();
    }
  }

  private double stepsPerEpoch() {
    return Math.max(
        1, (double) dataset.size() / config.data().batchSize() / config.optimizer().accumulation());
  }

  /** Hard negative captions, where the configuration needs any; their edits are kept beside. */
  private @Nullable NegativeTextAugmentation textNegatives() throws InterruptedException {
    if (!config.nta().enabled() && !config.nva().usesWords()) {
      return null;
    }
    NegativeTextAugmentation negatives =
        NegativeTextAugmentation.prepare(
            dataset,
            tokenizer,
            textEditor != null ? textEditor : TextEditor.factory("en", config.nta().exactLabels()),
            config.nta(),
            output.resolve("captions"),
            config.training().seed());
    listeners.forEach(listener -> listener.onCaptionEdits(negatives.preparation()));
    return negatives;
  }

  /** A fresh model, of a fresh run with its initial weights. */
  private NasModel newModel(@Nullable Path previous) throws IOException {
    NasModel model = NasModel.create(config, tokenizer);
    if (initialWeights.isEmpty()) {
      return model;
    }
    if (previous != null) {
      listeners.forEach(
          listener ->
              listener.onWarning(
                  "the initial weights are not loaded: the run goes on from " + previous));
      return model;
    }
    try {
      WeightReport report = model.importWeights(initialWeights);
      Files.writeString(
          output.resolve("weights.json"),
          JSON.writerWithDefaultPrettyPrinter().writeValueAsString(report));
      listeners.forEach(listener -> listener.onWeights(report));
      return model;
    } catch (IOException e) {
      model.close();
      throw new TrainingException("the initial weights cannot be loaded: " + e.getMessage(), e);
    } catch (RuntimeException e) {
      model.close();
      throw e;
    }
  }

  /** The state of one run. */
  private final class Run {
    private final NasModel model;
    private final TrainingStep trainingStep;
    private final long begin;
    private final Deque<Double> stepSeconds = new ArrayDeque<>();
    private int step;
    private long steps = config.training().steps();
    private boolean planned;
    private double earlierSeconds;
    private double evaluationSeconds;
    private final double stepsPerEpoch;
    private final Map<String, Double> best = new TreeMap<>();
    private ArtefactProbe probe = new ArtefactProbe(config.dictionary().codewords());
    private Map<String, Double> losses = Map.of();
    private @Nullable Path checkpoint;
    private long checkpointStep = -1;
    private final RunLog runLog = new RunLog(output);
    private @Nullable LoaderState samples;
    private boolean evaluated = true;

    Run(NasModel model, TrainingStep trainingStep, long begin) {
      this.model = model;
      this.trainingStep = trainingStep;
      this.begin = begin;
      this.stepsPerEpoch = stepsPerEpoch();
    }

    private double seconds() {
      return (System.nanoTime() - begin) * 1e-9;
    }

    TrainingResult train() throws IOException, InterruptedException {
      long dataSeed = Draws.DATA.seed(config.training().seed());
      int imageSize = config.model().imageSize();
      if (step == 0) {
        startDictionary(dataSeed);
      }
      try (BatchLoader loader =
          new BatchLoader(
              dataset,
              tokenizer,
              imageSize,
              config.data(),
              dataSeed,
              (long) step * config.optimizer().accumulation())) {
        TrainingStart start =
            new TrainingStart(
                step,
                steps,
                model.parameters().count(),
                dataset.size(),
                TorchDevice.of(model.parameters().values()) + ", " + threads + " threads",
                Kernels.describe());
        listeners.forEach(listener -> listener.onStart(start));
        if (samples != null) {
          loader.restore(samples);
        }
        if (!evaluated && evaluationIsDue()) {
          evaluate(false, loader);
        }
        boolean stopped = false;
        while (step < steps) {
          oneStep(loader);
          plan();
          boolean last = step >= steps;
          if (stopRequested && !last) {
            stopped = true;
            break;
          }
          if (evaluationIsDue()) {
            evaluate(false, loader);
          }
          int checkpoints = config.training().checkpointEvery();
          if (checkpoints > 0 && step % checkpoints == 0 && !last) {
            writeCheckpoint(loader);
          }
        }
        writeCheckpoint(loader);
        Evaluation evaluation =
            stopped || !evaluates() ? new Evaluation(null, Map.of()) : evaluate(true, loader);
        TrainingResult result =
            new TrainingResult(
                step,
                steps,
                stopped,
                Objects.requireNonNull(checkpoint),
                evaluation.report,
                evaluation.benchmarks,
                model.dictionary().health(),
                losses,
                seconds(),
                loader.skipped().skipped(),
                loader.skipped().examples(),
                loader.truncatedCaptions());
        listeners.forEach(listener -> listener.onEnd(result));
        return result;
      }
    }

    private boolean evaluationIsDue() {
      int every = config.training().evaluateEvery();
      return evaluates() && every > 0 && step % every == 0 && step < steps;
    }

    private boolean evaluates() {
      return benchmark != null || !published.isEmpty();
    }

    private void startDictionary(long dataSeed) throws InterruptedException {
      // Enough tokens that no codeword has to stand for fewer than four of them.
      int width = config.model().width();
      long each = (long) config.data().batchSize() * config.model().patchTokens();
      int batches = (int) Math.min(64, Math.ceilDiv(4L * config.dictionary().codewords(), each));
      float[] features = new float[0];
      try (BatchLoader loader =
          new BatchLoader(
              dataset, tokenizer, config.model().imageSize(), config.data(), dataSeed, 0)) {
        for (int i = 0; i < batches; i++) {
          float[] more = trainingStep.patchTokens(loader.next());
          float[] all = Arrays.copyOf(features, features.length + more.length);
          System.arraycopy(more, 0, all, features.length, more.length);
          features = all;
        }
      }
      if (features.length / width < config.dictionary().codewords()) {
        throw new TrainingException(
            "dictionary.codewords is "
                + config.dictionary().codewords()
                + ", more than the patch tokens of "
                + batches
                + " batches: lower it or raise data.batchSize");
      }
      model.startDictionary(features);
    }

    private void oneStep(BatchLoader loader) throws IOException, InterruptedException {
      long from = System.nanoTime();
      List<Batch> batches = new ArrayList<>();
      for (int a = 0; a < config.optimizer().accumulation(); a++) {
        batches.add(loader.next());
      }
      double waited = (System.nanoTime() - from) * 1e-9;
      TrainingStep.Outcome outcome;
      try {
        boolean traced = traceEvery > 0 && (step + 1) % traceEvery == 0;
        outcome = trainingStep.take(batches, step, steps, traced, probing() ? probe : null);
      } catch (NonFiniteInputException e) {
        throw notFinite(batches, "the image encoder's features", e);
      }
      if (!Double.isFinite(outcome.loss()) || !Double.isFinite(outcome.gradientNorm())) {
        throw notFinite(
            batches,
            Double.isFinite(outcome.loss()) ? "the gradient" : "the loss " + outcome.losses(),
            null);
      }
      Map<String, Double> sections = new LinkedHashMap<>();
      sections.put("data", waited);
      sections.putAll(outcome.seconds());
      double learningRate = config.optimizer().learningRate(step, steps);
      step++;
      if (step % STEPS_BETWEEN_RELEASES == 0) {
        Torch.releaseFreedMemory();
      }
      losses = outcome.losses();
      stepSeconds.addLast((System.nanoTime() - from) * 1e-9);
      if (stepSeconds.size() > 20) {
        stepSeconds.removeFirst();
      }
      double mean = stepSeconds.stream().mapToDouble(Double::doubleValue).average().orElse(1);
      StepReport report =
          new StepReport(
              step,
              steps,
              outcome.loss(),
              outcome.losses(),
              learningRate,
              outcome.gradientNorm(),
              outcome.temperature(),
              outcome.hardNegatives(),
              config.data().batchSize() * (double) config.optimizer().accumulation() / mean,
              sections,
              model.dictionary().health(),
              loader.skipped().skipped());
      log("step", report);
      listeners.forEach(listener -> listener.onStep(report));
      NvaTrace trace = outcome.trace();
      if (trace != null) {
        log("nva_trace", Map.of("step", step, "trace", trace));
        listeners.forEach(listener -> listener.onNvaTrace(step, trace));
      }
      if (Math.floor(step / stepsPerEpoch) > Math.floor((step - 1) / stepsPerEpoch)) {
        endEpoch();
      }
    }

    /** Whether the step to come is one of the last before an evaluation. */
    private boolean probing() {
      int every = config.training().evaluateEvery();
      boolean beforeEvaluation = every > 0 && every - step % every <= PROBED_STEPS;
      return evaluates() && (beforeEvaluation || steps - step <= PROBED_STEPS);
    }

    private void endEpoch() throws IOException {
      double perplexity = model.dictionary().endEpoch();
      log("epoch", Map.of("step", step, "perplexity", perplexity));
      double least = config.dictionary().collapseShare() * config.dictionary().codewords();
      if (perplexity < least) {
        String message =
            String.format(
                Locale.ROOT,
                "the dictionary is collapsing: in the epoch that ended with step %d the tokens used"
                    + " its %d codes with a perplexity of %.1f; lower dictionary.deadSteps or"
                    + " dictionary.codewords",
                step,
                config.dictionary().codewords(),
                perplexity);
        listeners.forEach(listener -> listener.onWarning(message));
      }
    }

    private TrainingException notFinite(
        List<Batch> batches, String what, @Nullable RuntimeException cause) {
      String saved;
      try {
        saved = "they are saved in " + saveBatches(batches);
      } catch (IOException e) {
        saved = "they could not be saved (" + e.getMessage() + ")";
      }
      List<String> keys = new ArrayList<>();
      batches.forEach(batch -> keys.addAll(Arrays.asList(batch.keys())));
      return new TrainingException(
          what
              + " is not finite at step "
              + (step + 1)
              + " (samples "
              + String.join(", ", keys)
              + "; "
              + saved
              + "): lower optimizer.learningRate, or look at these samples; "
              + (checkpoint == null
                  ? "no checkpoint was written yet"
                  : "the last checkpoint is " + checkpoint),
          cause);
    }

    /** Writes what the step that failed was given: tensors, and keys and captions as metadata. */
    private Path saveBatches(List<Batch> batches) throws IOException {
      String name = String.format(Locale.ROOT, "not-finite-step-%08d", step + 1);
      Map<String, Safetensors.Entry> tensors = new TreeMap<>();
      List<Map<String, Object>> samples = new ArrayList<>();
      int size = config.model().imageSize();
      for (int a = 0; a < batches.size(); a++) {
        Batch batch = batches.get(a);
        TokenizedCaptions tokens = batch.tokens();
        int rows = batch.keys().length;
        tensors.put(
            "images." + a,
            entry(
                Safetensors.Type.F32, MemorySegment.ofArray(batch.images()), rows, 3, size, size));
        tensors.put(
            "ids." + a,
            entry(
                Safetensors.Type.I64, MemorySegment.ofArray(tokens.ids()), rows, tokens.length()));
        for (int i = 0; i < rows; i++) {
          samples.add(Map.of("key", batch.keys()[i], "caption", batch.captions()[i]));
        }
      }
      Path file = output.resolve(name + ".safetensors");
      Files.deleteIfExists(file);
      Safetensors.write(file, tensors);
      Files.writeString(output.resolve(name + ".json"), JSON.writeValueAsString(samples));
      return file;
    }

    private static Safetensors.Entry entry(
        Safetensors.Type type, MemorySegment values, long... shape) {
      return new Safetensors.Entry(
          type, shape, MemorySegment.ofArray(values.toArray(ValueLayout.JAVA_BYTE)));
    }

    /** Fits the number of steps to the time budget, from the time that steps have taken. */
    private void plan() {
      double budget = config.training().minutes() * 60;
      if (budget == 0 || stepSeconds.size() < CALIBRATION_TO) {
        return;
      }
      double elapsed = earlierSeconds + seconds();
      if (!planned) {
        double perStep =
            stepSeconds.stream()
                .skip(CALIBRATION_FROM)
                .mapToDouble(Double::doubleValue)
                .average()
                .orElse(1);
        long fits = step + (long) Math.max(1, (budget * STEP_SHARE - elapsed) / perStep);
        steps = Math.min(fits, config.training().steps());
        planned = true;
      } else if (step % 25 == 0) {
        // Other work on the machine comes and goes: up to half-way the plan follows the pace both
        // ways; after that it only shrinks, since ending the schedule early beats missing the
        // budget.
        boolean early = step < steps / 2;
        double perStep = (elapsed - evaluationSeconds) / step;
        double left = budget * (early ? STEP_SHARE : 1) - elapsed;
        long fits = step + (long) Math.max(1, left / perStep);
        steps = early ? Math.min(fits, config.training().steps()) : Math.min(fits, steps);
      }
    }

    /** An evaluation: on pairs, and on published benchmarks by name and way of scoring. */
    private record Evaluation(
        @Nullable EvaluationReport report, Map<String, Map<String, BenchmarkReport>> benchmarks) {

      /** What the best checkpoints are chosen by. */
      Map<String, Double> metrics() {
        Map<String, Double> metrics = new LinkedHashMap<>();
        if (report != null) {
          metrics.putAll(report.metrics());
        }
        benchmarks.forEach(
            (name, byWay) ->
                byWay.forEach((way, of) -> metrics.put(name + "-" + way, of.headline())));
        return metrics;
      }
    }

    private Evaluation evaluate(boolean last, BatchLoader loader) throws IOException {
      long from = System.nanoTime();
      EvaluationReport report =
          benchmark == null ? null : benchmark.evaluate(model.itcScorer(), model.itmScorer(), last);
      Map<String, Map<String, BenchmarkReport>> benchmarks = new LinkedHashMap<>();
      for (var of : published.entrySet()) {
        benchmarks.put(of.getKey(), evaluate(of.getKey(), of.getValue()));
      }
      Evaluation evaluation = new Evaluation(report, benchmarks);
      evaluationSeconds += (System.nanoTime() - from) * 1e-9;
      // One line, so that a kill cannot leave half of an evaluation in the log.
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("step", step);
      line.put("report", report);
      if (!benchmarks.isEmpty()) {
        line.put("benchmarks", benchmarks);
      }
      log("evaluation", line);
      if (probe.images() >= PROBED_STEPS) {
        ArtefactProbe.Result probed = probe.result();
        log("artefact_probe", Map.of("step", step, "result", probed));
        listeners.forEach(listener -> listener.onArtefactProbe(step, probed));
      }
      probe = new ArtefactProbe(config.dictionary().codewords());
      if (report != null) {
        listeners.forEach(listener -> listener.onEvaluation(step, report));
      }
      benchmarks.forEach(
          (name, byWay) -> listeners.forEach(listener -> listener.onBenchmark(step, name, byWay)));
      if (config.training().keepBest()) {
        keepBest(evaluation, loader);
      }
      return evaluation;
    }

    private Map<String, BenchmarkReport> evaluate(String name, Published of) throws IOException {
      Map<String, ImageTextScorer> ways = new LinkedHashMap<>();
      ways.put("itc", model.itcScorer());
      ways.put("itm", model.itmScorer());
      PublishedBenchmark.Scored scored =
          of.items.score(of.images, config.data().background(), ways, done -> {});
      if (!scored.unreadable().isEmpty()) {
        String message =
            "%d of %d items of %s were not scored, their images cannot be read: %s"
                .formatted(
                    scored.unreadable().size(),
                    of.items.items().size(),
                    name,
                    scored.unreadable().values().iterator().next());
        listeners.forEach(listener -> listener.onWarning(message));
      }
      Map<String, BenchmarkReport> byWay = new LinkedHashMap<>();
      if (!scored.scores().byItem().isEmpty()) {
        ways.keySet()
            .forEach(way -> byWay.put(way, of.items.report(scored.scores(), way, Set.of())));
      }
      return byWay;
    }

    private void keepBest(Evaluation evaluation, BatchLoader loader) throws IOException {
      for (var metric : evaluation.metrics().entrySet()) {
        if (metric.getValue() > best.getOrDefault(metric.getKey(), Double.NEGATIVE_INFINITY)) {
          best.put(metric.getKey(), metric.getValue());
          writeCheckpoint(loader);
          Checkpoints.keepAs(output, "best-" + metric.getKey(), Objects.requireNonNull(checkpoint));
        }
      }
    }

    private void log(String kind, Object value) throws IOException {
      runLog.append(kind, earlierSeconds + seconds(), value);
    }

    private void writeCheckpoint(BatchLoader loader) throws IOException {
      if (checkpointStep == step) {
        return;
      }
      checkpoint =
          Checkpoints.write(
              output,
              step,
              config.training().keepCheckpoints(),
              directory -> {
                model.write(directory);
                try (PointerScope scope = new PointerScope()) {
                  Safetensors.write(directory.resolve("training.safetensors"), trainingTensors());
                }
                FeatureQueue queue = trainingStep.queue();
                State state =
                    new State(
                        1,
                        step,
                        planned ? steps : 0,
                        earlierSeconds + seconds(),
                        queue == null ? 0 : queue.filled(),
                        queue == null ? 0 : queue.next(),
                        loader.state(),
                        best);
                Files.writeString(directory.resolve("state.json"), JSON.writeValueAsString(state));
              });
      checkpointStep = step;
      Path written = checkpoint;
      listeners.forEach(listener -> listener.onCheckpoint(step, written));
    }

    /** Optimiser state, momentum encoders and queue, by name. */
    private Map<String, Tensor> liveTensors() {
      Map<String, Tensor> tensors = new TreeMap<>();
      tensors.put("adamw.first", trainingStep.optimizer().first());
      tensors.put("adamw.second", trainingStep.optimizer().second());
      NasModel.MomentumCopy momentum = trainingStep.momentum();
      if (momentum != null) {
        tensors.put("momentum", momentum.parameters().values());
      }
      FeatureQueue queue = trainingStep.queue();
      if (queue != null) {
        tensors.put("queue.images", queue.images());
        tensors.put("queue.texts", queue.texts());
      }
      return tensors;
    }

    /** What a checkpoint holds of them: live memory on the host, else copies in the scope. */
    private Map<String, Safetensors.Entry> trainingTensors() {
      Map<String, Safetensors.Entry> tensors = new TreeMap<>();
      liveTensors().forEach((name, tensor) -> tensors.put(name, flat(tensor)));
      FeatureQueue queue = trainingStep.queue();
      if (queue != null) {
        tensors.put(
            "queue.ids",
            entry(Safetensors.Type.I64, MemorySegment.ofArray(queue.ids()), queue.ids().length));
      }
      WordCodes words = trainingStep.words();
      if (words != null) {
        tensors.put(
            "word_codes",
            entry(Safetensors.Type.F64, MemorySegment.ofArray(words.state()), words.stateSize()));
      }
      return tensors;
    }

    private static Safetensors.Entry flat(Tensor tensor) {
      return new Safetensors.Entry(
          Safetensors.Type.F32, Torch.shape(tensor), Torch.segment(Torch.host(tensor)));
    }

    void restore(Path directory) throws IOException {
      Path stateFile = directory.resolve("state.json");
      State state;
      NasConfig saved;
      try {
        state = JSON.readValue(Files.readString(stateFile), State.class);
        Path configFile = directory.resolve("config.json");
        saved = NasConfig.fromJson(Files.readString(configFile), configFile.toString());
      } catch (JacksonException e) {
        throw new TrainingException(
            stateFile + " is damaged (" + e.getOriginalMessage() + "): remove this checkpoint", e);
      } catch (IllegalArgumentException e) {
        throw new TrainingException(e.getMessage(), e);
      }
      requireSame(directory, saved);
      model.read(directory);
      Path file = directory.resolve("training.safetensors");
      try (Arena arena = Arena.ofConfined();
          PointerScope scope = new PointerScope()) {
        Map<String, Safetensors.Entry> found = Safetensors.read(file, arena);
        Map<String, Tensor> live = liveTensors();
        for (var expected : trainingTensors().entrySet()) {
          Safetensors.Entry entry = found.get(expected.getKey());
          if (entry == null
              || entry.type() != expected.getValue().type()
              || !Arrays.equals(entry.shape(), expected.getValue().shape())) {
            throw new TrainingException(
                file
                    + " does not fit this run: "
                    + expected.getKey()
                    + " is missing or of another"
                    + " shape");
          }
          if (expected.getKey().equals("queue.ids")) {
            long[] ids = Objects.requireNonNull(trainingStep.queue()).ids();
            MemorySegment.ofArray(ids).copyFrom(entry.data());
          } else if (expected.getKey().equals("word_codes")) {
            double[] counts = new double[(int) entry.shape()[0]];
            MemorySegment.ofArray(counts).copyFrom(entry.data());
            Objects.requireNonNull(trainingStep.words()).restore(counts);
          } else {
            Torch.copyInto(Objects.requireNonNull(live.get(expected.getKey())), entry.data());
          }
        }
      }
      if (trainingStep.queue() != null) {
        trainingStep.queue().restore(state.queueFilled(), state.queueNext());
      }
      step = Math.toIntExact(state.step());
      earlierSeconds = state.seconds();
      if (state.best() != null) {
        best.putAll(state.best());
      }
      if (state.plannedSteps() > 0) {
        steps = state.plannedSteps();
        planned = true;
      }
      checkpoint = directory;
      checkpointStep = step;
      samples = state.samples();
      evaluated = runLog.rewind(step, step >= steps);
    }

    private void requireSame(Path directory, NasConfig saved) throws IOException {
      Map<String, Object[]> parts = new LinkedHashMap<>();
      parts.put("model", new Object[] {config.model(), saved.model()});
      parts.put("dictionary", new Object[] {config.dictionary(), saved.dictionary()});
      parts.put("nva", new Object[] {config.nva(), saved.nva()});
      parts.put("nta", new Object[] {config.nta(), saved.nta()});
      parts.put("objective", new Object[] {config.objective(), saved.objective()});
      parts.put("optimizer", new Object[] {config.optimizer(), saved.optimizer()});
      parts.put("data", new Object[] {config.data(), saved.data()});
      parts.put("training.seed", new Object[] {config.training().seed(), saved.training().seed()});
      for (var part : parts.entrySet()) {
        if (!part.getValue()[0].equals(part.getValue()[1])) {
          throw new TrainingException(
              directory
                  + " was written with another "
                  + part.getKey()
                  + ": "
                  + part.getValue()[1]
                  + ", this run has "
                  + part.getValue()[0]
                  + "; resume with the same configuration or choose another output");
        }
      }
      if (!Files.readString(directory.resolve("tokenizer.json")).equals(tokenizer.json())) {
        throw new TrainingException(
            directory + " was written with another tokenizer; resume with the same one");
      }
    }
  }
}
