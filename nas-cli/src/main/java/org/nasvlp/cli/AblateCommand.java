package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.nasvlp.ablation.Ablation;
import org.nasvlp.ablation.AblationArm;
import org.nasvlp.ablation.AblationReport;
import org.nasvlp.ablation.RunResult;
import org.nasvlp.config.NasConfig;
import org.nasvlp.report.AblationPage;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code nas ablate}. */
@Command(
    name = "ablate",
    description = {
      "Trains variants (arms) of a configuration with several seeds each, at equal steps or equal"
          + " time and equal batches, and compares what they reach, by the better of ITC and ITM"
          + " and by each: fine differences, retrieval, steps, samples and minutes to given"
          + " accuracies, and cost.",
      "Every run is a process of its own. Its folder under --out holds its configuration,"
          + " checkpoints, log and result; the tables are written there as results.md and"
          + " results.json, the curves as curves.svg, all of it as report.html, and results.md to"
          + " stdout. Progress goes to"
          + " stderr. A run that fails is named; the others go on, and the exit status is 1 at the"
          + " end."
    },
    footerHeading =
        "%nA file of arms, the baseline first; a patch has the form of a configuration:%n",
    footer = {
      "  - name: baseline",
      "    patch: {nva: {enabled: false}}",
      "  - name: wide",
      "    patch: {nva: {enabled: true, neighbours: 64}}"
    })
final class AblateCommand implements Callable<Integer> {
  private static final int DEMO_STEPS = 600;
  private static final double MOST_MINUTES = 100_000;
  private static final Set<String> NOT_REPORTED =
      Set.of("--resume", "--report-only", "--report", "--no-report");

  private final Shell shell;

  @Spec private CommandSpec spec;

  @Option(
      names = "--arms",
      paramLabel = "FILE",
      description = "Arms, JSON or YAML (default: the method's parts).")
  private @Nullable Path armsFile;

  @Option(
      names = "--arm",
      paramLabel = "NAME",
      arity = "1..*",
      description = "Only these arms; the first of them in the list is the baseline.")
  private @Nullable List<String> names;

  @Option(
      names = "--seeds",
      paramLabel = "N",
      split = ",",
      defaultValue = "1,2,3",
      description = "Seeds, one run of every arm for each (default: ${DEFAULT-VALUE}).")
  private List<Long> seeds;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description =
          "Steps of every run (default: the configuration's; " + DEMO_STEPS + " without --config).")
  private @Nullable Integer steps;

  @Option(
      names = "--minutes",
      paramLabel = "M",
      description = {
        "In place of --steps: minutes of training for every run, loading of data included, start-up"
            + " and evaluations not. Each run makes as many steps as fit, and its learning rate"
            + " spans them."
      })
  private @Nullable Double minutes;

  @Option(
      names = "--evaluate-every",
      paramLabel = "N",
      description =
          "Steps between evaluations (default: a twelfth of the steps; with --minutes the"
              + " configuration's).")
  private @Nullable Integer evaluateEvery;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "Configuration that the arms change (default: the demonstration's).")
  private @Nullable Path configFile;

  @Option(
      names = "--data",
      paramLabel = "DIR",
      description =
          "Folder with train.tar, test.tar, pairs.json and tokenizer.json (default: the emoji that"
              + " come with the program).")
  private @Nullable Path data;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "runs/ablation",
      description = "Folder for runs and tables (default: ${DEFAULT-VALUE}).")
  private Path out;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "1",
      description = "Threads of each run (default: ${DEFAULT-VALUE}).")
  private int threads;

  @Option(
      names = "--parallel",
      paramLabel = "P",
      description = "Runs at a time (default: as many as fill the processors).")
  private @Nullable Integer parallel;

  @Option(
      names = "--resume",
      description = {
        "Go on with the ablation in --out: finished runs are kept, others go on from their last"
            + " checkpoint. Further seeds and arms may be given."
      })
  private boolean resume;

  @Option(
      names = "--report-only",
      description = "Train nothing; write the tables from the finished runs in --out.")
  private boolean reportOnly;

  @Option(
      names = "--report",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = {
        "Leave an HTML page on the ablation in --out, report.html, and beside it one with the"
            + " curves of each arm's first run, compared.html (default: ${DEFAULT-VALUE})."
      })
  private boolean page;

  AblateCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    check("--steps", steps);
    if (steps != null && minutes != null) {
      throw new ParameterException(
          spec.commandLine(),
          "--steps and --minutes exclude each other: runs have equal steps or equal time");
    }
    if (minutes != null && !(minutes > 0 && minutes <= MOST_MINUTES)) {
      throw new ParameterException(
          spec.commandLine(),
          "Invalid value for option '--minutes': " + minutes + " is not above 0 (at most 100000)");
    }
    check("--evaluate-every", evaluateEvery);
    check("--threads", threads);
    check("--parallel", parallel);
    if (reportOnly) {
      Optional<AblationReport> report = Ablation.writeReport(out);
      print(
          report.orElseThrow(
              () -> new CommandFailure(out + ": no run is finished yet; go on with --resume")));
      return 0;
    }
    new OutputFolder(out).checkAblation(resume);
    DataFiles files = DataFiles.complete(data == null ? DataFiles.shipped(shell.home()) : data);
    NasConfig base = configFile == null ? NasConfig.preset("emoji") : NasConfig.load(configFile);
    int fill = Math.max(1, Runtime.getRuntime().availableProcessors() / threads);
    Ablation.Builder builder =
        Ablation.builder()
            .base(base)
            .arms(arms())
            .seeds(seeds)
            .data(files.train(), files.tokenizer(), files.test(), files.pairs())
            .output(out)
            .threads(threads)
            .parallel(parallel == null ? fill : parallel)
            .resume(resume)
            .command(command())
            .listener(new Progress());
    if (minutes != null) {
      builder.minutes(minutes);
    } else if (steps != null || configFile == null) {
      builder.steps(steps == null ? DEMO_STEPS : steps);
    }
    if (evaluateEvery != null) {
      builder.evaluateEvery(evaluateEvery);
    }
    Ablation ablation = builder.build();
    Ablation.Outcome outcome;
    try (Interruption.Guard guard =
        shell
            .interruption()
            .during("stopping every run after its step, with a checkpoint ...", ablation::stop)) {
      outcome = ablation.run();
    }
    if (outcome.report() != null) {
      print(outcome.report());
    }
    if (outcome.stopped()) {
      shell.err().println("stopped; continue with the same command and --resume");
      return Nas.INTERRUPTED;
    }
    outcome
        .failures()
        .forEach((run, message) -> shell.err().println("nas: " + run + " failed: " + message));
    return outcome.failures().isEmpty() ? 0 : Nas.FAILURE;
  }

  private void check(String option, @Nullable Integer value) {
    if (value != null && value < 1) {
      throw new ParameterException(
          spec.commandLine(),
          "Invalid value for option '" + option + "': " + value + " is not above 0");
    }
  }

  private List<AblationArm> arms() throws IOException {
    List<AblationArm> all = armsFile == null ? AblationArm.builtIn() : AblationArm.load(armsFile);
    if (names == null) {
      return all;
    }
    List<String> unknown = new ArrayList<>(names);
    unknown.removeAll(all.stream().map(AblationArm::name).toList());
    if (!unknown.isEmpty()) {
      throw new ParameterException(
          spec.commandLine(),
          "Invalid value for option '--arm': there is no arm "
              + unknown.getFirst()
              + "; there are "
              + all.stream().map(AblationArm::name).collect(Collectors.joining(", ")));
    }
    return all.stream().filter(arm -> names.contains(arm.name())).toList();
  }

  /** What makes the report again from nothing. */
  private String command() {
    return "./nas "
        + spec.commandLine().getParent().getParseResult().originalArgs().stream()
            .filter(arg -> !NOT_REPORTED.contains(arg))
            .map(arg -> arg.matches("[\\w+./,:=-]+") ? arg : "'" + arg.replace("'", "'\\''") + "'")
            .collect(Collectors.joining(" "));
  }

  private void print(AblationReport report) {
    shell.out().print(report.markdown());
    shell.out().flush();
    shell
        .err()
        .println("tables: " + out.resolve("results.md") + ", " + out.resolve("results.json"));
    if (Files.exists(out.resolve("curves.svg"))) {
      shell.err().println("curves: " + out.resolve("curves.svg"));
    }
    if (page) {
      try {
        shell.err().println("report: " + AblationPage.write(out).toAbsolutePath().toUri());
      } catch (IOException e) {
        shell.err().println("warning: no report was written: " + Failures.describe(e));
      }
    }
  }

  /** Tells what runs do. */
  private final class Progress implements Ablation.Listener {
    @Override
    public void onStart(String arm, long seed, int number, int runs) {
      line(arm, seed, "run " + number + " of " + runs);
    }

    @Override
    public void onProgress(String arm, long seed, String text) {
      line(arm, seed, text);
    }

    @Override
    public void onResult(RunResult result) {
      line(
          result.arm(),
          result.seed(),
          String.format(
              Locale.ROOT,
              "finished: caption choice %s %% (mean of all types)",
              Text.percent(result.evaluation().headline())));
    }

    @Override
    public void onFailure(String arm, long seed, String message) {
      line(arm, seed, "failed: " + message);
    }

    private void line(String arm, long seed, String text) {
      shell.err().println(arm + " seed " + seed + ": " + text);
    }
  }
}
