package org.nasvlp.ablation;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.train.NasTrainer;
import org.nasvlp.train.StepReport;
import org.nasvlp.train.TrainingListener;
import org.nasvlp.train.TrainingResult;
import org.nasvlp.train.TrainingStart;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The process of one run: trains as its folder (the first argument) says, or goes on from its
 * checkpoint, and writes the result; the second argument is how many run at a time. Tells its
 * progress line by line on stdout; a failure is a line that begins with {@link #FAILURE}.
 */
final class AblationWorker {
  static final String FAILURE = "failure: ";

  private static final long PROGRESS_NANOS = 30_000_000_000L;

  private AblationWorker() {}

  static void main(String[] args) {
    RunFolder folder = new RunFolder(Path.of(args[0]));
    int status = 1;
    try {
      status = run(folder, Integer.parseInt(args[1]));
    } catch (Throwable e) {
      System.out.println(FAILURE + message(e));
      e.printStackTrace();
    }
    System.out.flush();
    System.exit(status);
  }

  /** LibTorch's errors carry a native stack trace behind their first line. */
  private static String message(Throwable e) {
    String text = e.getMessage();
    return text == null || text.isBlank()
        ? e.getClass().getSimpleName()
        : text.strip().lines().findFirst().orElseThrow();
  }

  private static int run(RunFolder folder, int parallel) throws IOException {
    RunFolder.Task task = folder.task();
    NasConfig config = NasConfig.fromJson(task.config().toString(), folder.path().toString());
    int background = config.data().background();
    FineGrainedBenchmark benchmark;
    try (ImageTextDataset test = ImageTextDataset.open(Path.of(task.data().test()), background)) {
      benchmark = FineGrainedBenchmark.load(Path.of(task.data().pairs()), test);
    }
    Progress progress = new Progress();
    TrainingResult result;
    try (ImageTextDataset train = ImageTextDataset.open(Path.of(task.data().train()), background);
        CaptionTokenizer tokenizer =
            CaptionTokenizer.load(Path.of(task.data().tokenizer()), config.model().textTokens())) {
      NasTrainer trainer =
          NasTrainer.builder()
              .config(config)
              .dataset(train)
              .tokenizer(tokenizer)
              .benchmark(benchmark)
              .output(folder.training())
              .resume(true)
              .threads(task.threads())
              .listener(progress)
              .build();
      // Left alone, a run stops with a checkpoint: nobody waits for its result.
      ProcessHandle.current()
          .parent()
          .ifPresent(
              parent -> {
                var _ = parent.onExit().thenRun(trainer::stop);
              });
      result = trainer.run();
    }
    if (result.stopped()) {
      System.out.println(FAILURE + "stopped after step " + result.step());
      return 1;
    }
    EvaluationReport evaluation = Objects.requireNonNull(result.evaluation());
    int samplesPerStep = config.data().batchSize() * config.optimizer().accumulation();
    Log log = Log.read(folder.training().resolve("log.jsonl"), samplesPerStep);
    double minutes = config.training().stepMinutes();
    folder.write(
        new RunResult(
            task.arm(),
            task.seed(),
            result.steps(),
            minutes > 0 ? minutes : null,
            config.data().batchSize(),
            task.threads(),
            parallel,
            Runtime.getRuntime().availableProcessors(),
            Kernels.describe(),
            progress.parameters,
            evaluation,
            log.curve(),
            log.medianStepSeconds(),
            peakMebibytes(),
            result.skippedSamples()));
    return 0;
  }

  private static @Nullable Long peakMebibytes() throws IOException {
    Path status = Path.of("/proc/self/status");
    if (!Files.exists(status)) {
      return null;
    }
    return Files.readAllLines(status, StandardCharsets.ISO_8859_1).stream()
        .filter(line -> line.startsWith("VmHWM:"))
        .map(line -> Long.parseLong(line.replaceAll("\\D", "")) / 1024)
        .findFirst()
        .orElse(null);
  }

  /** Prints what the ablation relays. */
  private static final class Progress implements TrainingListener {
    private long parameters;
    private long printed = System.nanoTime();

    @Override
    public void onStart(TrainingStart start) {
      parameters = start.parameters();
      if (start.firstStep() > 0) {
        System.out.println("resuming after step " + start.firstStep());
      }
    }

    @Override
    public void onStep(StepReport report) {
      long now = System.nanoTime();
      if (now - printed >= PROGRESS_NANOS) {
        printed = now;
        System.out.println(
            String.format(
                Locale.ROOT,
                "step %d of %d, loss %.3f, %.1f pairs/s",
                report.step(),
                report.steps(),
                report.loss(),
                report.pairsPerSecond()));
      }
    }

    @Override
    public void onEvaluation(long step, EvaluationReport report) {
      CurvePoint point = CurvePoint.of(step, null, null, report);
      Double macro = point.betterMacroLarge();
      System.out.println(
          String.format(
              Locale.ROOT,
              "step %d: caption choice, better of ITC and ITM: %s%.1f %% (micro)",
              step,
              macro == null ? "" : String.format(Locale.ROOT, "%.1f %% (macro), ", 100 * macro),
              100 * point.betterMicro()));
    }

    @Override
    public void onWarning(String message) {
      System.out.println("warning: " + message);
    }
  }

  /**
   * What a run's log tells.
   *
   * @param curve by step, each step once
   * @param medianStepSeconds median difference between the times of successive steps with nothing
   *     that takes time logged between them; null without any
   */
  record Log(List<CurvePoint> curve, @Nullable Double medianStepSeconds) {
    private static final JsonMapper JSON = JsonMapper.builder().build();

    static Log read(Path file, int samplesPerStep) throws IOException {
      TreeMap<Long, CurvePoint> curve = new TreeMap<>();
      List<Double> taken = new ArrayList<>();
      long lastStep = -1;
      double lastSeconds = 0;
      try (Stream<String> lines = Files.lines(file)) {
        for (String line : (Iterable<String>) lines::iterator) {
          JsonNode node = JSON.readTree(line);
          JsonNode step = node.get("step");
          if (step != null) {
            long number = step.get("step").longValue();
            double now = node.get("seconds").doubleValue();
            if (number == lastStep + 1) {
              taken.add(now - lastSeconds);
            }
            lastStep = number;
            lastSeconds = now;
          } else if (!node.has("codeword_use")) {
            lastStep = -1;
          }
          JsonNode evaluation = node.get("evaluation");
          if (evaluation != null) {
            long number = evaluation.get("step").longValue();
            EvaluationReport report =
                JSON.treeToValue(evaluation.get("report"), EvaluationReport.class);
            JsonNode seconds = evaluation.get("stepSeconds");
            curve.put(
                number,
                CurvePoint.of(
                    number,
                    number * samplesPerStep,
                    seconds == null ? null : seconds.doubleValue(),
                    report));
          }
        }
      } catch (JacksonException e) {
        throw new IOException(file + ": damaged: " + e.getOriginalMessage(), e);
      }
      return new Log(List.copyOf(curve.values()), median(taken));
    }

    private static @Nullable Double median(List<Double> values) {
      if (values.isEmpty()) {
        return null;
      }
      double[] sorted = values.stream().mapToDouble(Double::doubleValue).toArray();
      Arrays.sort(sorted);
      int middle = sorted.length / 2;
      return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
  }
}
