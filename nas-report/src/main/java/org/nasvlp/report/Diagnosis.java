package org.nasvlp.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.FineGrainedScore;
import org.nasvlp.eval.LargeTypes;
import org.nasvlp.eval.RewordedScores;
import org.nasvlp.eval.Share;
import org.nasvlp.report.Finding.Level;
import tools.jackson.databind.JsonNode;

/**
 * Says what usually goes wrong in a training, and whether it does in a run. It reads what the run
 * left in its folder alone: neither the model nor the data.
 */
public final class Diagnosis {
  /** Steps before which nothing is said of what is learned. */
  private static final int LEAST_STEPS = 50;

  private final RunRecord run;
  private final StepTable steps;
  private final @Nullable NasConfig config;
  private final List<Finding> findings = new ArrayList<>();

  private Diagnosis(RunRecord run) {
    this.run = run;
    this.steps = run.steps();
    this.config = run.config().orElse(null);
  }

  /** What was looked at, the worst first; what is said of the last steps is of their last tenth. */
  public static List<Finding> of(RunRecord run) {
    Diagnosis diagnosis = new Diagnosis(run);
    diagnosis.finished();
    diagnosis.finite();
    diagnosis.contrast();
    diagnosis.matching();
    diagnosis.temperature();
    diagnosis.gradients();
    diagnosis.dictionary();
    diagnosis.hardNegatives();
    diagnosis.captionEdits();
    diagnosis.artefacts();
    diagnosis.scores();
    diagnosis.rewordings();
    diagnosis.loader();
    diagnosis.skipped();
    diagnosis.truncated();
    diagnosis.repeated();
    diagnosis.findings.sort(Comparator.comparing(Finding::level));
    return List.copyOf(diagnosis.findings);
  }

  private void add(Level level, String subject, String figure, String threshold, String remedy) {
    findings.add(
        new Finding(
            level,
            subject,
            figure,
            threshold,
            level == Level.PROBLEM || level == Level.WARNING || level == Level.UNKNOWN
                ? remedy
                : ""));
  }

  /** The mark for formats would be a dependency of its own. */
  @SuppressWarnings("AnnotateFormatMethod")
  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  private boolean early(String subject) {
    if (steps.rows() >= LEAST_STEPS) {
      return false;
    }
    add(
        Level.UNKNOWN,
        subject,
        format("%d steps so far", steps.rows()),
        format("said of %d steps or more", LEAST_STEPS),
        "Let the run go on.");
    return true;
  }

  private void finished() {
    long left = run.planned() - run.done();
    add(
        left > 0 ? Level.WARNING : Level.FINE,
        "Length of the run",
        format("%,d of %,d steps", run.done(), run.planned()),
        "all planned steps: the learning rate falls to its end over them",
        "Go on with the command that began the run and --resume.");
  }

  private void finite() {
    long bad = 0;
    for (String name : steps.names()) {
      if (name.startsWith("loss") || name.equals("gradient norm")) {
        // A loss that is switched on later has no values before; only the sum is in every line.
        boolean always = name.equals("loss") || name.equals("gradient norm");
        for (double value : steps.column(name)) {
          if (Double.isInfinite(value) || (always && Double.isNaN(value))) {
            bad++;
          }
        }
      }
    }
    List<String> saved = run.failedBatches();
    add(
        bad > 0 || !saved.isEmpty() ? Level.PROBLEM : Level.FINE,
        "Numbers that are not finite",
        saved.isEmpty()
            ? format("%,d in the log", bad)
            : format("%,d in the log; saved batches: %s", bad, String.join(", ", saved)),
        "none",
        "Look at the samples that the saved batches name; lower optimizer.learningRate or"
            + " optimizer.clipNorm, lengthen optimizer.warmupShare, and train in FLOAT32.");
  }

  private void contrast() {
    if (config == null || early("Contrast (ITC)")) {
      return;
    }
    double now = steps.lately("loss itc");
    if (Double.isNaN(now)) {
      return;
    }
    int batch = config.data().batchSize();
    double blind = Math.log(batch + config.objective().queue());
    Level level =
        now > 0.95 * blind ? Level.PROBLEM : now > 0.8 * blind ? Level.WARNING : Level.FINE;
    add(
        level,
        "Contrast (ITC) learns",
        format("loss %.3f in the last steps", now),
        format(
            "a look above %.2f, a problem above %.2f; blind %.2f, the logarithm of %,d candidates",
            0.8 * blind, 0.95 * blind, blind, batch + config.objective().queue()),
        "Check with nas data check that images and captions belong together; raise or lower"
            + " optimizer.learningRate; check that published weights were loaded (weights.json).");
  }

  private void matching() {
    if (early("Matching (ITM)")) {
      return;
    }
    double now = steps.lately("loss itm");
    if (Double.isNaN(now)) {
      return;
    }
    double blind = blindMatching(config == null ? 1 : config.objective().itmShare());
    Level level =
        now > 0.97 * blind ? Level.PROBLEM : now > 0.85 * blind ? Level.WARNING : Level.FINE;
    double itc = steps.lately("loss itc");
    boolean contrastLearns =
        config != null
            && itc < 0.5 * Math.log(config.data().batchSize() + config.objective().queue());
    add(
        level,
        "Matching (ITM) learns",
        format("loss %.3f in the last steps", now),
        format(
            "a look above %.2f, a problem above %.2f; blind %.3f, where every pair is held for a"
                + " match with the probability that any is one",
            0.85 * blind, 0.97 * blind, blind),
        contrastLearns
            ? "Contrast learns and matching does not. Check that the fusion encoder's weights were"
                + " loaded (weights.json); train longer, since matching starts late; raise"
                + " optimizer.learningRate; begin with short captions (data.singleThingSteps)."
            : "Contrast has not learned either, so its hard negatives are drawn at random: look"
                + " there first.");
  }

  /**
   * Cross-entropy of a head that says the same of all pairs, of which one matches to two that do
   * not, or to that share of two.
   */
  static double blindMatching(double share) {
    double match = 1 / (1 + 2 * share);
    return -match * Math.log(match) - (1 - match) * Math.log(1 - match);
  }

  private void temperature() {
    double now = steps.last("temperature");
    if (config == null || Double.isNaN(now)) {
      return;
    }
    double low = config.objective().minTemperature();
    double high = config.objective().maxTemperature();
    boolean clamped = now <= low * 1.01 || now >= high * 0.99;
    add(
        clamped ? Level.WARNING : Level.FINE,
        "Temperature of the contrast",
        format("%.4f", now),
        format("within 1 %% of its clamps, %s and %s", low, high),
        now >= high * 0.99
            ? "It grows where contrast finds no order: look at the contrast's loss, and at repeated"
                + " captions and images."
            : "It shrinks where nearly all pairs are told apart: harder batches, more data or"
                + " objective.softTargets help; or set objective.minTemperature lower.");
  }

  private void gradients() {
    if (early("Gradient")) {
      return;
    }
    int from = steps.rows() / 10;
    double before = steps.mean("gradient norm", from, Math.max(from + 20, steps.rows() / 2));
    double now = steps.lately("gradient norm");
    if (Double.isNaN(before) || Double.isNaN(now)) {
      return;
    }
    add(
        now > 10 * before ? Level.WARNING : Level.FINE,
        "Gradient's norm",
        format("mean %.2f in the last steps, %.2f earlier", now, before),
        "10 times what it was",
        "The training is about to come apart: lower optimizer.learningRate.");
  }

  private void dictionary() {
    if (config == null || Double.isNaN(steps.last("codewords"))) {
      return;
    }
    double codewords = steps.last("codewords");
    double perplexity = run.lastEpochPerplexity().orElse(steps.lately("perplexity"));
    double collapse = config.dictionary().collapseShare() * codewords;
    double low = 0.25 * codewords;
    add(
        perplexity < collapse ? Level.PROBLEM : perplexity < low ? Level.WARNING : Level.FINE,
        "Dictionary's perplexity",
        format("%.0f of %,.0f codewords in even use", perplexity, codewords),
        format("a look below %.0f, collapsed below %.0f (dictionary.collapseShare)", low, collapse),
        "Lower dictionary.codewords or dictionary.deadSteps, so that dead codes restart sooner.");
    double live = steps.last("live");
    add(
        live < 0.5 * codewords ? Level.WARNING : Level.FINE,
        "Live codewords",
        format("%,.0f of %,.0f", live, codewords),
        "half of them",
        "Lower dictionary.codewords, dictionary.deadThreshold or dictionary.deadSteps.");
    double[] restarts = steps.column("restarts");
    double[] at = steps.column(StepTable.STEP);
    int from = steps.lateFrom();
    double late = restarts[restarts.length - 1] - restarts[from];
    double span = Math.max(1, at[at.length - 1] - at[from]);
    double each = 100 * late / span;
    add(
        steps.rows() >= LEAST_STEPS && each > 0.1 * codewords ? Level.WARNING : Level.FINE,
        "Restarts of codewords",
        format("%.1f in 100 steps lately, %,.0f in all", each, steps.last("restarts")),
        format("%.1f in 100 steps: a tenth of the codewords", 0.1 * codewords),
        "Codes that restart again and again mean nothing to the model: lower dictionary.codewords"
            + " or dictionary.deadThreshold.");
  }

  private void hardNegatives() {
    if (config == null) {
      return;
    }
    int batch = config.data().batchSize() * config.optimizer().accumulation();
    if (config.nta().enabled()) {
      coverage("nta", "Hard negative captions", batch, "captions", "nta");
    }
    if (config.nva().enabled()) {
      coverage(
          "nva",
          "Hard negative images",
          Math.max(1, (int) Math.round(batch * config.nva().imageShare())),
          "images",
          "nva");
    }
  }

  private void coverage(String column, String subject, int of, String what, String section) {
    double now = steps.lately("negatives " + column);
    if (Double.isNaN(now)) {
      return;
    }
    double share = now / of;
    add(
        share < 0.1 ? Level.PROBLEM : share < 0.5 ? Level.WARNING : Level.FINE,
        subject,
        format("%.0f %% of the %s have one in the last steps", 100 * share, what),
        "a look below 50 %, a problem below 10 %",
        "Few "
            + what
            + " can be changed: see which edits the data allows (the line that training begins"
            + " with), and look at "
            + section
            + ".startShare.");
  }

  private void captionEdits() {
    if (config == null || !config.nta().enabled()) {
      return;
    }
    JsonNode edits = run.summary().path("captionEdits").path("edits");
    long all = 0;
    long most = 0;
    String type = "";
    for (Map.Entry<String, JsonNode> edit : edits.properties()) {
      long count = edit.getValue().asLong(0);
      all += count;
      if (count > most) {
        most = count;
        type = edit.getKey();
      }
    }
    if (all == 0) {
      unknown("Types of caption edits", "a look above 80 % of one type");
      return;
    }
    double share = (double) most / all;
    add(
        share > 0.8 ? Level.WARNING : Level.FINE,
        "Types of caption edits",
        format("%.0f %% are of the type %s", 100 * share, type),
        "80 % of one type",
        "The model learns that one difference: weigh the types (nta.typeWeights), or bring captions"
            + " that say more.");
  }

  private void artefacts() {
    if (run.probes().isEmpty()) {
      return;
    }
    RunRecord.Probed probe = run.probes().getLast();
    add(
        probe.accuracy() > 0.9
            ? Level.PROBLEM
            : probe.accuracy() > 0.75 ? Level.WARNING : Level.FINE,
        "Hard negative images told by their looks",
        format("%.1f %% of %,d are told from true ones", 100 * probe.accuracy(), probe.images()),
        "a look above 75 %, a problem above 90 %; chance 50 %",
        "Matching can be learned without the caption: use nva.control MATCHED, more nva.neighbours"
            + " or a lower nva.ratio.");
  }

  private void scores() {
    EvaluationReport report = run.lastReport().map(RunRecord.Evaluated::report).orElse(null);
    if (report == null) {
      add(
          Level.UNKNOWN,
          "What it can tell apart",
          "no evaluation in the log",
          "at chance: the 95 % interval of caption choice holds 50 %",
          "Train with test pairs (--test, --pairs), or run nas eval on the checkpoint.");
      return;
    }
    FineGrainedReport best = report.itm() != null ? report.itm() : report.itc();
    List<String> blind = new ArrayList<>();
    int large = 0;
    for (Map.Entry<String, AttributeScores> type : best.byAttribute().entrySet()) {
      AttributeScores scores = type.getValue();
      if (!LargeTypes.isLarge(scores.pairs())) {
        continue;
      }
      large++;
      if (interval(scores).low() <= 0.5) {
        blind.add(format("%s %.1f %%", type.getKey(), 100 * scores.captionChoice()));
      }
    }
    Level level =
        blind.isEmpty()
            ? Level.FINE
            : blind.size() == large && large > 0 ? Level.PROBLEM : Level.WARNING;
    add(
        level,
        "What it can tell apart" + (report.itm() != null ? " by matching" : " by contrast"),
        blind.isEmpty()
            ? format("all %d types are above chance", large)
            : "at chance: " + String.join(", ", blind),
        format(
            "the 95 %% interval of caption choice holds 50 %% (types with %d pairs or more)",
            LargeTypes.LEAST_PAIRS),
        "Train longer; give those types hard negative captions (nta.typeWeights); small pictures"
            + " may not show the difference.");
    OptionalDouble top =
        run.evaluations().stream()
            .filter(of -> of.report() != null)
            .mapToDouble(of -> of.report() == null ? 0 : of.report().headline())
            .max();
    double drop = 100 * (top.orElse(0) - report.headline());
    add(
        drop > 3 ? Level.WARNING : Level.FINE,
        "Last evaluation against the best",
        format("caption choice %.1f %%, %.1f points below the best", 100 * report.headline(), drop),
        "3 points",
        "Use the best checkpoint (checkpoints/best-itm or best-itc); train for fewer steps, or on"
            + " more data.");
  }

  private static Share interval(AttributeScores scores) {
    return new Share(
        (int) FineGrainedScore.CAPTION_CHOICE.right(scores),
        FineGrainedScore.CAPTION_CHOICE.decisions(scores.pairs()));
  }

  private void rewordings() {
    EvaluationReport report = run.lastReport().map(RunRecord.Evaluated::report).orElse(null);
    if (report == null) {
      return;
    }
    FineGrainedReport best = report.itm() != null ? report.itm() : report.itc();
    RewordedScores macro = best.rewordedMacro().orElse(null);
    if (macro == null) {
      return;
    }
    double behind = 100 * (best.macro().captionChoice() - macro.choice());
    add(
        behind > 10 ? Level.WARNING : Level.FINE,
        "True rewordings",
        format(
            "chosen in %.1f %%, the caption itself in %.1f %%",
            100 * macro.choice(), 100 * best.macro().captionChoice()),
        "10 points below the caption itself",
        "The model takes changes for falsehoods: bring captions in several wordings.");
  }

  private void loader() {
    double data = steps.lately("time data");
    if (Double.isNaN(data)) {
      return;
    }
    double all = 0;
    for (String name : steps.names()) {
      if (name.startsWith("time ")) {
        double section = steps.lately(name);
        all += Double.isNaN(section) ? 0 : section;
      }
    }
    double share = data / Math.max(all, 1e-9);
    add(
        share > 0.3 ? Level.PROBLEM : share > 0.1 ? Level.WARNING : Level.FINE,
        "Waiting for data",
        format("%.1f %% of a step's %.0f ms", 100 * share, 1000 * all),
        "a look above 10 %, a problem above 30 %",
        "Raise data.loaderThreads; pack small files into shards (nas data shard) at the model's"
            + " image size.");
  }

  private void skipped() {
    double skipped = steps.last("skipped");
    long pairs = run.summary().path("pairs").asLong(0);
    if (Double.isNaN(skipped)) {
      return;
    }
    boolean many = pairs > 0 ? skipped > 0.001 * pairs : skipped > 0;
    add(
        many ? Level.WARNING : Level.FINE,
        "Samples that could not be read",
        format("%,.0f", skipped) + (pairs > 0 ? format(" met among %,d pairs", pairs) : ""),
        pairs > 0 ? "0.1 % of the pairs" : "none",
        "nas data check names them.");
  }

  private void truncated() {
    JsonNode cut = run.summary().path("truncatedCaptions");
    long pairs = run.summary().path("pairs").asLong(0);
    if (!cut.isNumber() || pairs == 0) {
      unknown("Captions cut off", "5 % of the pairs");
      return;
    }
    double share = cut.doubleValue() / pairs;
    add(
        share > 0.05 ? Level.WARNING : Level.FINE,
        "Captions cut off",
        format("%,d, %.1f %% of %,d pairs", cut.longValue(), 100 * share, pairs),
        "5 % of the pairs",
        "Raise model.textTokens: a hard negative that differs behind the cut is left out.");
  }

  private void repeated() {
    add(
        Level.UNKNOWN,
        "Repeated captions and images",
        "not in the run's folder",
        "a caption of two images is a false negative in a batch",
        "nas data check counts them.");
  }

  private void unknown(String subject, String threshold) {
    add(
        Level.UNKNOWN,
        subject,
        "not in the run's folder",
        threshold,
        "It is known once the run has come to its end (run.json).");
  }
}
