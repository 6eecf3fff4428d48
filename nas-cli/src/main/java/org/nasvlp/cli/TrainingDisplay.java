package org.nasvlp.cli;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.ArtefactProbe;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.model.WeightReport;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.train.StepReport;
import org.nasvlp.train.TrainingListener;
import org.nasvlp.train.TrainingStart;

/**
 * Shows a training as it goes: a live bar on a terminal, a line every few seconds elsewhere, and a
 * line for each evaluation and warning.
 */
final class TrainingDisplay implements TrainingListener, AutoCloseable {
  private static final long PLAIN_INTERVAL_NANOS = 10_000_000_000L;
  private static final int REFRESH_MILLIS = 500;

  private final PrintStream err;
  private final int columns;
  private final LongSupplier nanos;
  private final StatusLine status;
  private final StepProfile profile = new StepProfile();

  private String note = "";
  private @Nullable TrainingStart start;
  private NegativeTextAugmentation.@Nullable Preparation captionEdits;
  private @Nullable ProgressBar bar;
  private volatile @Nullable StepReport latest;
  private volatile double secondsLeft;
  private long firstStep;
  private long startNanos;
  private long lastPlainNanos;

  /**
   * @param columns width of the terminal; 0 for plain lines
   * @param nanos a clock, in nanoseconds
   */
  TrainingDisplay(PrintStream err, int columns, LongSupplier nanos) {
    this.err = err;
    this.columns = columns;
    this.nanos = nanos;
    this.status = new StatusLine(err.charset().equals(StandardCharsets.UTF_8));
  }

  /** A line to be shown once the training begins. */
  void noteAtStart(String line) {
    note = line;
  }

  @Override
  public void onStart(TrainingStart begun) {
    start = begun;
    line(
        String.format(
            Locale.ROOT,
            "%s%s pairs, %.1f million parameters, %s, kernels: %s",
            begun.firstStep() > 0 ? "resuming after step " + begun.firstStep() + ": " : "",
            Text.count(begun.pairs()),
            begun.parameters() / 1e6,
            begun.device(),
            begun.kernels()));
    if (begun.singleThingPairs() > 0) {
      line(
          "captions that name one thing, which the run begins with: "
              + Text.count(begun.singleThingPairs()));
    }
    if (!note.isEmpty()) {
      line(note);
    }
    firstStep = begun.firstStep();
    startNanos = nanos.getAsLong();
    lastPlainNanos = startNanos;
    if (columns > 0) {
      bar =
          new ProgressBarBuilder()
              .setTaskName("training")
              .setInitialMax(begun.steps())
              .startsFrom(begun.firstStep(), Duration.ZERO)
              .setUpdateIntervalMillis(REFRESH_MILLIS)
              // With the width given, the library does not open the terminal itself: doing so would
              // replace the JVM's own handling of Ctrl-C.
              .setConsumer(new ConsoleProgressBarConsumer(err, columns))
              .setRenderer((state, width) -> rendered(Math.min(width, columns - 1)))
              .build();
    }
  }

  private String rendered(int width) {
    StepReport report = latest;
    return report == null ? "first steps ..." : status.fitted(report, secondsLeft, width);
  }

  @Override
  public void onStep(StepReport report) {
    profile.add(report);
    long now = nanos.getAsLong();
    double perStep = (now - startNanos) * 1e-9 / Math.max(1, report.step() - firstStep);
    secondsLeft = perStep * Math.max(0, report.steps() - report.step());
    latest = report;
    if (bar != null) {
      bar.maxHint(report.steps());
      bar.stepTo(report.step());
    } else if (now - lastPlainNanos >= PLAIN_INTERVAL_NANOS || report.step() == firstStep + 1) {
      lastPlainNanos = now;
      line(StatusLine.plain(report, secondsLeft));
    }
  }

  @Override
  public void onCaptionEdits(NegativeTextAugmentation.Preparation edits) {
    captionEdits = edits;
    edits.notes().forEach(this::onWarning);
    line(
        String.format(
            Locale.ROOT,
            "hard negative captions%s: %s captions, %s without one; edits: %s%s",
            edits.fromCache() ? " (kept from before)" : "",
            Text.count(edits.captions()),
            Text.count(edits.withoutEdit()),
            edits.edits().entrySet().stream()
                .map(
                    edit ->
                        edit.getKey().name().toLowerCase(Locale.ROOT).replace('_', ' ')
                            + " "
                            + Text.count(edit.getValue()))
                .collect(Collectors.joining(", ")),
            edits.unreadable() == 0
                ? ""
                : "; " + Text.count(edits.unreadable()) + " captions could not be read"));
  }

  @Override
  public void onArtefactProbe(long step, ArtefactProbe.Result result) {
    line(
        ("step %d: artefact probe %s %%: how often a hard negative image is told by its looks alone"
                + " (chance 50; near 100 the model need not read), of %s images")
            .formatted(step, Text.percent(result.accuracy()), Text.count(result.images())));
  }

  @Override
  public void onEvaluation(long step, EvaluationReport report) {
    line("step " + step + ": " + summary(report));
  }

  @Override
  public void onBenchmark(long step, String name, Map<String, BenchmarkReport> byWay) {
    byWay.forEach(
        (way, report) ->
            line(
                "step %d: %s by %s %s %%"
                    .formatted(step, name, way, Text.percent(report.headline()))));
  }

  @Override
  public void onCheckpoint(long step, Path directory) {
    if (columns == 0) {
      line("step " + step + ": checkpoint " + directory);
    }
  }

  @Override
  public void onWeights(WeightReport report) {
    report.text().lines().forEach(this::line);
  }

  @Override
  public void onWarning(String message) {
    line("warning: " + message);
  }

  /** Shows a line that is no warning. */
  void tell(String message) {
    line(message);
  }

  /** Where the steps' time went. */
  StepProfile profile() {
    return profile;
  }

  /** The hard negative captions that were prepared; null where there are none. */
  NegativeTextAugmentation.@Nullable Preparation edits() {
    return captionEdits;
  }

  /** What the training began with; null before it did. */
  @Nullable TrainingStart start() {
    return start;
  }

  /** Takes the bar away. */
  @Override
  public void close() {
    if (bar != null) {
      bar.close();
      bar = null;
    }
  }

  static String summary(EvaluationReport report) {
    FineGrainedReport shown = report.itm() != null ? report.itm() : report.itc();
    String name = report.itm() != null ? "ITM" : "ITC";
    String attributes =
        ReportTables.ordered(shown.byAttribute()).entrySet().stream()
            .map(entry -> entry.getKey() + " " + Text.percent(entry.getValue().captionChoice()))
            .collect(Collectors.joining(", "));
    AttributeScores macro = shown.macro();
    return String.format(
        Locale.ROOT,
        "%s caption choice %s %% (%s), image choice %s %%, group %s %%%s",
        name,
        Text.percent(macro.captionChoice()),
        attributes,
        Text.percent(macro.imageChoice()),
        Text.percent(macro.group()),
        report.itm() == null
            ? ""
            : "; ITC caption choice " + Text.percent(report.itc().macro().captionChoice()) + " %");
  }

  private void line(String text) {
    if (bar == null) {
      err.println(text);
    } else {
      err.print("\r" + " ".repeat(columns - 1) + "\r" + text + System.lineSeparator());
      bar.refresh();
    }
  }
}
