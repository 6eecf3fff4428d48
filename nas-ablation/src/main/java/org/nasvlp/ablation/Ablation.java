package org.nasvlp.ablation;

import java.io.BufferedReader;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Trains arms with several seeds each, at equal steps or equal time and equal batches, and reports
 * what each reaches: {@code results.md}, {@code results.json} and {@code curves.svg} in the output
 * folder. Every run is a process of its own, with the JVM, class path, module path and JVM options
 * of this one; the runs of a seed come before those of the next, so that arms are compared early.
 *
 * <pre>{@code
 * Ablation.Outcome outcome =
 *     Ablation.builder()
 *         .base(NasConfig.preset("tiny"))
 *         .arms(AblationArm.builtIn())
 *         .seeds(List.of(1L, 2L, 3L))
 *         .steps(600)
 *         .data(train, tokenizer, test, pairs)
 *         .output(Path.of("out"))
 *         .build()
 *         .run();
 * }</pre>
 *
 * <p>An ablation runs once; {@link #stop} may be called from any thread. Should this process end
 * without it, the runs at work write a checkpoint and end as well.
 */
public final class Ablation {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** Batches of a run: more than any time is enough for. */
  private static final int MOST_BATCHES = 1_000_000_000;

  private static final double MOST_MINUTES = 1_000_000;

  private final NasConfig base;
  private final List<AblationArm> arms;
  private final List<Long> seeds;
  private final int steps;
  private final @Nullable Double minutes;
  private final int evaluateEvery;
  private final RunFolder.Data data;
  private final Path output;
  private final int threads;
  private final int parallel;
  private final boolean resume;
  private final String command;
  private final Listener listener;
  private final Set<Process> processes = new HashSet<>();
  private boolean stopped; // guarded by processes
  private boolean started;

  private Ablation(Builder builder) {
    this.base = Objects.requireNonNull(builder.base, "base is missing");
    this.arms = builder.arms;
    this.seeds = builder.seeds;
    if (builder.steps > 0 && builder.minutes != null) {
      throw new IllegalArgumentException(
          "steps and minutes are both set: runs have equal steps or equal time; leave one out");
    }
    this.minutes = builder.minutes;
    this.steps =
        minutes != null
            ? MOST_BATCHES
            : builder.steps > 0 ? builder.steps : base.training().steps();
    this.evaluateEvery =
        builder.evaluateEvery > 0
            ? builder.evaluateEvery
            : minutes != null ? base.training().evaluateEvery() : Math.max(1, this.steps / 12);
    this.data = Objects.requireNonNull(builder.data, "data is missing");
    this.output = Objects.requireNonNull(builder.output, "output is missing");
    this.threads = builder.threads;
    this.parallel = builder.parallel;
    this.resume = builder.resume;
    this.command = builder.command;
    this.listener = builder.listener;
    unique("arms", arms.stream().map(AblationArm::name).toList());
    unique("seeds", seeds);
  }

  private static void unique(String what, List<?> values) {
    if (values.isEmpty()) {
      throw new IllegalArgumentException(what + " is empty: give at least one");
    }
    Set<Object> seen = new HashSet<>();
    for (Object value : values) {
      if (!seen.add(value)) {
        throw new IllegalArgumentException(what + ": " + value + " occurs twice");
      }
    }
  }

  /** A new builder. */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects what an ablation needs; base, arms, seeds, data and output are required. */
  public static final class Builder {
    private @Nullable NasConfig base;
    private List<AblationArm> arms = List.of();
    private List<Long> seeds = List.of();
    private int steps;
    private @Nullable Double minutes;
    private int evaluateEvery;
    private RunFolder.@Nullable Data data;
    private @Nullable Path output;
    private int threads = 1;
    private int parallel = 1;
    private boolean resume;
    private String command = "";
    private Listener listener = new Listener() {};

    private Builder() {}

    /**
     * The configuration that arms change; seed, steps, time budget and evaluation are the
     * ablation's own.
     */
    public Builder base(NasConfig value) {
      base = value;
      return this;
    }

    /** The arms, the one that the others are compared with first. */
    public Builder arms(List<AblationArm> value) {
      arms = List.copyOf(value);
      return this;
    }

    /** One run of every arm for each. */
    public Builder seeds(List<Long> value) {
      seeds = List.copyOf(value);
      return this;
    }

    /**
     * Optimiser steps of every run; the base configuration's unless these or {@link #minutes} are
     * set.
     */
    public Builder steps(int value) {
      steps = positive("steps", value);
      return this;
    }

    /**
     * Wall-clock minutes of every run's steps, waiting for their data included, start-up,
     * evaluations and checkpoints not; in place of equal steps. Each run plans its own number of
     * steps, and its schedules span it.
     */
    public Builder minutes(double value) {
      if (!(value > 0 && value <= MOST_MINUTES)) {
        throw new IllegalArgumentException("minutes is " + value + ": it must lie in (0, 1000000]");
      }
      minutes = value;
      return this;
    }

    /**
     * Steps between evaluations; unless set a twelfth of the steps, with {@link #minutes} the base
     * configuration's.
     */
    public Builder evaluateEvery(int value) {
      evaluateEvery = positive("evaluateEvery", value);
      return this;
    }

    /**
     * The data: training pairs, tokenizer, test pairs and the list of pairs to compare, in the
     * forms that {@code ImageTextDataset.open}, {@code CaptionTokenizer.load} and {@code
     * FineGrainedBenchmark.load} read.
     */
    public Builder data(Path train, Path tokenizer, Path test, Path pairs) {
      data =
          new RunFolder.Data(absolute(train), absolute(tokenizer), absolute(test), absolute(pairs));
      return this;
    }

    private static String absolute(Path path) {
      return path.toAbsolutePath().normalize().toString();
    }

    /** Folder of the runs and the report; made if absent. */
    public Builder output(Path value) {
      output = value;
      return this;
    }

    /** Threads of LibTorch and the kernels in each run; 1 unless set. */
    public Builder threads(int value) {
      threads = positive("threads", value);
      return this;
    }

    /** Runs at a time; 1 unless set. */
    public Builder parallel(int value) {
      parallel = positive("parallel", value);
      return this;
    }

    /** Whether to keep the output's finished runs and go on with the others. */
    public Builder resume(boolean value) {
      resume = value;
      return this;
    }

    /** The command line that the report names. */
    public Builder command(String value) {
      command = value;
      return this;
    }

    /** Told of every run. */
    public Builder listener(Listener value) {
      listener = value;
      return this;
    }

    /** The ablation. */
    public Ablation build() {
      return new Ablation(this);
    }

    private static int positive(String name, int value) {
      if (value < 1) {
        throw new IllegalArgumentException(name + " is " + value + ": it must be above 0");
      }
      return value;
    }
  }

  /** Told of runs, from several threads but one at a time. */
  public interface Listener {
    /**
     * Before a run.
     *
     * @param number counted from 1
     * @param runs all of them, finished ones included
     */
    default void onStart(String arm, long seed, int number, int runs) {}

    /** A line that a run told. */
    default void onProgress(String arm, long seed, String line) {}

    /** After a run, or for one that an earlier ablation finished. */
    default void onResult(RunResult result) {}

    /** A run failed; the others go on. */
    default void onFailure(String arm, long seed, String message) {}
  }

  /**
   * How an ablation ended.
   *
   * @param stopped whether it was asked to stop before all runs were done
   * @param failures why runs failed, by {@code "ARM seed N"}
   * @param report over all finished runs of the output; null if there are none
   */
  public record Outcome(
      boolean stopped, Map<String, String> failures, @Nullable AblationReport report) {}

  /** What the output folder keeps of an ablation besides its runs. */
  private record Plan(String command, int parallel, List<Entry> arms) {
    record Entry(String name, JsonNode patch) {}

    static Path file(Path output) {
      return output.resolve("ablation.json");
    }

    static Optional<Plan> read(Path output) throws IOException {
      Path file = file(output);
      if (!Files.exists(file)) {
        return Optional.empty();
      }
      try {
        return Optional.of(JSON.readValue(Files.readString(file), Plan.class));
      } catch (JacksonException e) {
        throw new IOException(file + ": damaged: " + e.getOriginalMessage(), e);
      }
    }
  }

  /**
   * Asks the runs at work to stop: each writes a checkpoint and ends, and {@link #run} returns.
   * From any thread.
   */
  public void stop() {
    synchronized (processes) {
      stopped = true;
      // Process.destroy would close its output as well, under the thread that reads it.
      processes.forEach(process -> process.toHandle().destroy());
    }
  }

  private boolean isStopped() {
    synchronized (processes) {
      return stopped;
    }
  }

  /** One run to do. */
  private record Job(RunFolder folder, RunFolder.Task task) {}

  /**
   * Trains what is not finished and writes the report.
   *
   * @throws IllegalArgumentException for an arm that does not fit the base configuration, an output
   *     that holds another ablation's runs, or one that holds any without {@code resume}
   * @throws IOException if the output cannot be read or written
   */
  public Outcome run() throws IOException, InterruptedException {
    synchronized (this) {
      if (started) {
        throw new IllegalStateException("an ablation runs once; build another one");
      }
      started = true;
    }
    Optional<Plan> earlier = Plan.read(output);
    if (earlier.isPresent() && !resume) {
      throw new IllegalArgumentException(
          output + " already holds an ablation: resume it, or choose another output");
    }
    List<Job> jobs = prepare(earlier);
    writePlan(earlier);
    Map<String, String> failures = Collections.synchronizedMap(new LinkedHashMap<>());
    try (ExecutorService workers =
        Executors.newFixedThreadPool(
            Math.min(parallel, jobs.size()),
            Thread.ofPlatform().name("nas-ablation-", 0).factory())) {
      List<Future<?>> futures = new ArrayList<>();
      for (int i = 0; i < jobs.size(); i++) {
        int number = i + 1;
        Job job = jobs.get(i);
        futures.add(
            workers.submit(
                () -> {
                  one(job, number, jobs.size(), failures);
                  return null;
                }));
      }
      try {
        for (Future<?> future : futures) {
          future.get();
        }
      } catch (ExecutionException e) {
        stop();
        if (e.getCause() instanceof IOException cause) {
          throw cause;
        }
        throw new IllegalStateException(e.getCause());
      } catch (InterruptedException e) {
        stop();
        throw e;
      }
    }
    return new Outcome(isStopped(), Map.copyOf(failures), writeReport(output).orElse(null));
  }

  /** Checks every arm and every folder before anything is written or trained. */
  private List<Job> prepare(Optional<Plan> earlier) throws IOException {
    List<NasConfig> configs = new ArrayList<>();
    for (AblationArm arm : arms) {
      configs.add(arm.apply(base));
    }
    List<Job> jobs = new ArrayList<>();
    for (long seed : seeds) {
      for (int i = 0; i < arms.size(); i++) {
        String arm = arms.get(i).name();
        int most = minutes == null ? steps : steps / configs.get(i).optimizer().accumulation();
        String shared =
            """
            {"training":
              {"seed": %d, "steps": %d, "minutes": 0, "stepMinutes": %s, "evaluateEvery": %d}}
            """
                .formatted(seed, most, minutes == null ? 0 : minutes, evaluateEvery);
        NasConfig config = configs.get(i).merge(shared, "arm " + arm);
        RunFolder folder = RunFolder.of(output, arm, seed);
        RunFolder.Task task =
            new RunFolder.Task(arm, seed, threads, data, JSON.readTree(config.toJson()));
        folder.check(task);
        jobs.add(new Job(folder, task));
      }
    }
    if (earlier.isPresent()) {
      requireComparable(earlier.get());
    }
    for (Job job : jobs) {
      job.folder().prepare(job.task());
    }
    return jobs;
  }

  /** Arms that are not trained again stay in the report, and must not have had another setting. */
  private void requireComparable(Plan earlier) throws IOException {
    String own = RunResult.setting(steps, minutes, base.data().batchSize(), threads);
    for (Plan.Entry arm : earlier.arms()) {
      for (long seed : seeds(output.resolve("runs").resolve(arm.name()))) {
        Optional<RunResult> found = RunFolder.of(output, arm.name(), seed).result();
        if (found.isPresent() && !found.get().setting().equals(own)) {
          throw new IllegalArgumentException(
              "%s holds %s seed %d with %s, to which %s cannot be compared; choose another output,"
                      .formatted(output, arm.name(), seed, found.get().setting(), own)
                  + " or go on with the same options");
        }
      }
    }
  }

  /** Arms of an earlier ablation stay in the report. */
  private void writePlan(Optional<Plan> earlier) throws IOException {
    Map<String, Plan.Entry> entries = new LinkedHashMap<>();
    for (AblationArm arm : arms) {
      entries.put(arm.name(), new Plan.Entry(arm.name(), JSON.readTree(arm.patch())));
    }
    if (earlier.isPresent()) {
      Map<String, Plan.Entry> first = new LinkedHashMap<>();
      earlier.get().arms().forEach(entry -> first.put(entry.name(), entry));
      first.putAll(entries);
      entries = first;
    }
    Plan plan = new Plan(command, parallel, List.copyOf(entries.values()));
    RunFolder.write(
        Plan.file(output), JSON.writerWithDefaultPrettyPrinter().writeValueAsString(plan) + "\n");
  }

  private void one(Job job, int number, int runs, Map<String, String> failures)
      throws IOException, InterruptedException {
    String arm = job.task().arm();
    long seed = job.task().seed();
    Optional<RunResult> result = job.folder().result();
    if (result.isEmpty() && !isStopped()) {
      // Never told with the lock held: a listener may call stop().
      tell(() -> listener.onStart(arm, seed, number, runs));
      String failure = train(job, Math.min(parallel, runs));
      result = job.folder().result();
      if (result.isEmpty() && !isStopped()) {
        String message = failure + " (more in " + job.folder().output() + ")";
        failures.put(arm + " seed " + seed, message);
        tell(() -> listener.onFailure(arm, seed, message));
      }
    }
    result.ifPresent(finished -> tell(() -> listener.onResult(finished)));
  }

  /** Runs a run's process to its end; returns what it told of a failure, or its exit status. */
  private String train(Job job, int together) throws IOException, InterruptedException {
    Process process;
    synchronized (processes) {
      if (stopped) {
        return "stopped";
      }
      process = start(job.folder(), together);
      processes.add(process);
    }
    String failure = null;
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String told = line;
        if (line.startsWith(AblationWorker.FAILURE)) {
          failure = line.substring(AblationWorker.FAILURE.length());
        } else {
          tell(() -> listener.onProgress(job.task().arm(), job.task().seed(), told));
        }
      }
      int status = process.waitFor();
      return failure == null ? "ended with exit status " + status : failure;
    } finally {
      process.destroyForcibly();
      synchronized (processes) {
        processes.remove(process);
      }
    }
  }

  private void tell(Runnable message) {
    synchronized (listener) {
      message.run();
    }
  }

  private static Process start(RunFolder folder, int together) throws IOException {
    List<String> line = new ArrayList<>();
    line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (String option : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      // A debugger or profiler is meant for this process, the main module is this one's.
      if (!option.startsWith("-agent")
          && !option.startsWith("-javaagent")
          && !option.startsWith("-Djdk.module.main=")) {
        line.add(option);
      }
    }
    String classPath = System.getProperty("java.class.path");
    if (!classPath.isEmpty()) {
      line.add("-cp");
      line.add(classPath);
    }
    String worker = AblationWorker.class.getName();
    Module module = AblationWorker.class.getModule();
    if (module.isNamed()) {
      // The module path is among the JVM's options.
      line.add("-m");
      worker = module.getName() + "/" + worker;
    }
    line.add(worker);
    line.add(folder.path().toString());
    line.add(Integer.toString(together));
    return new ProcessBuilder(line)
        .redirectError(Redirect.appendTo(folder.output().toFile()))
        .start();
  }

  /**
   * Writes {@code results.md}, {@code results.json} and, if a curve is known, {@code curves.svg}
   * from the finished runs of an output folder.
   *
   * @return the report; empty if no run is finished
   * @throws IllegalArgumentException if the folder holds no ablation
   * @throws IOException if a file is damaged or cannot be written
   */
  public static Optional<AblationReport> writeReport(Path output) throws IOException {
    Plan plan =
        Plan.read(output)
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        output + ": holds no ablation (it has no ablation.json)"));
    List<RunResult> results = new ArrayList<>();
    List<String> unfinished = new ArrayList<>();
    for (Plan.Entry arm : plan.arms()) {
      for (long seed : seeds(output.resolve("runs").resolve(arm.name()))) {
        RunFolder.of(output, arm.name(), seed)
            .result()
            .ifPresentOrElse(results::add, () -> unfinished.add(arm.name() + " seed " + seed));
      }
    }
    if (results.isEmpty()) {
      return Optional.empty();
    }
    AblationReport report =
        new AblationReport(
            plan.command(),
            plan.parallel(),
            plan.arms().stream()
                .map(entry -> new AblationArm(entry.name(), entry.patch().toString()))
                .toList(),
            results,
            unfinished);
    if (report.curves() != null) {
      RunFolder.write(output.resolve(AblationReport.CURVES), report.curves());
    }
    RunFolder.write(output.resolve("results.json"), report.json());
    RunFolder.write(output.resolve("results.md"), report.markdown());
    return Optional.of(report);
  }

  private static Set<Long> seeds(Path arm) throws IOException {
    Set<Long> seeds = new TreeSet<>();
    if (Files.isDirectory(arm)) {
      try (Stream<Path> folders = Files.list(arm)) {
        for (Path folder : folders.toList()) {
          String name = folder.getFileName().toString();
          if (name.matches("seed--?\\d+")) {
            seeds.add(Long.valueOf(name.substring("seed-".length())));
          }
        }
      }
    }
    return seeds;
  }
}
