package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.BenchmarkFormat;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.ImageTextScorer;
import org.nasvlp.eval.ItemScores;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.eval.Share;
import org.nasvlp.model.NasModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code nas eval}. */
@Command(
    name = "eval",
    description = {
      "Evaluates a checkpoint, or scores from a file, on a published benchmark of fine"
          + " differences.",
      "NAME: aro-relation, aro-attribution, winoground, valse, sugarcrepe, svo-probes or"
          + " vl-checklist. A tie counts as wrong; accuracies come with Wilson's 95 %% interval."
    })
final class EvalCommand implements Callable<Integer> {
  private static final int NAMED = 10;

  enum Mode {
    ITC,
    ITM,
    BOTH
  }

  private final Shell shell;

  @Spec private CommandSpec spec;

  @Option(
      names = "--benchmark",
      paramLabel = "NAME",
      required = true,
      description = "Which benchmark the data are.")
  private String benchmark;

  @Option(
      names = "--data",
      paramLabel = "PATH",
      description =
          "The benchmark's file; for sugarcrepe, valse and vl-checklist also a folder of them.")
  private @Nullable Path data;

  @Option(
      names = "--images",
      paramLabel = "DIR",
      description =
          "Folder that the data's image paths are relative to (default: the data's own folder).")
  private @Nullable Path images;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      description = "A run's folder or one of its checkpoints.")
  private @Nullable Path checkpoint;

  @Option(
      names = "--scores",
      paramLabel = "FILE",
      description =
          "Scores in place of a checkpoint: JSON lines as --dump writes them, or Winoground's"
              + " {id, c0_i0, c1_i0, c0_i1, c1_i1}.")
  private @Nullable Path scoresFile;

  @Option(
      names = "--mode",
      paramLabel = "MODE",
      description = "itc (contrast), itm (matching) or both (the default).")
  private @Nullable Mode mode;

  @Option(
      names = "--leave-out",
      paramLabel = "FILE",
      description = "Categories, one a line, that the macro average leaves out.")
  private @Nullable Path leaveOut;

  @Option(
      names = "--allow-missing",
      description = "Exit with 0 although images are missing or unreadable.")
  private boolean allowMissing;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the results as JSON.")
  private @Nullable Path json;

  @Option(
      names = "--dump",
      paramLabel = "FILE",
      description = "Write every item's scores as JSON lines.")
  private @Nullable Path dump;

  EvalCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    BenchmarkFormat format;
    try {
      format = BenchmarkFormat.of(benchmark);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage(), e);
    }
    if ((checkpoint == null) == (scoresFile == null)) {
      throw new ParameterException(
          spec.commandLine(), "Name either --checkpoint or --scores, not both");
    }
    if (data == null && (scoresFile == null || format != BenchmarkFormat.WINOGROUND)) {
      throw new ParameterException(
          spec.commandLine(), "--data is needed, the file of " + format.title());
    }
    if (scoresFile != null && (mode != null || images != null || dump != null)) {
      throw new ParameterException(
          spec.commandLine(),
          "--mode, --images and --dump belong to --checkpoint, not to --scores");
    }
    if (data == null && leaveOut != null) {
      throw new ParameterException(spec.commandLine(), "--leave-out needs --data");
    }
    if (json != null) {
      OutputFolder.checkWritable(json, "--json");
    }
    if (dump != null) {
      OutputFolder.checkWritable(dump, "--dump");
    }
    Set<String> leftOut = leaveOut == null ? Set.of() : categories(leaveOut);
    if (data == null) {
      ItemScores scores = ItemScores.read(scoresFile);
      Map<String, BenchmarkReport> reports = new LinkedHashMap<>();
      for (String way : scores.ways()) {
        reports.put(way, PublishedBenchmark.winoground(scores, way));
      }
      print(format, Map.of(), reports, Map.of());
      return 0;
    }
    PublishedBenchmark items = PublishedBenchmark.read(format, data);
    PublishedBenchmark.Scored scored =
        checkpoint == null
            ? new PublishedBenchmark.Scored(ItemScores.read(scoresFile), Map.of())
            : score(items, checkpoint);
    if (dump != null) {
      scored.scores().write(dump);
    }
    if (scored.scores().byItem().isEmpty()) {
      tellMissing(items, scored.unreadable());
      throw new CommandFailure(
          "no item of %s could be scored: no image was found in %s; --images says where they are"
              .formatted(format.title(), imageFolder(data)));
    }
    Map<String, BenchmarkReport> reports = new LinkedHashMap<>();
    for (String way : scored.scores().ways()) {
      reports.put(way, items.report(scored.scores(), way, leftOut));
    }
    print(format, items.dropped(), reports, scored.unreadable());
    if (scored.unreadable().isEmpty()) {
      return 0;
    }
    tellMissing(items, scored.unreadable());
    return allowMissing ? 0 : Nas.FAILURE;
  }

  private PublishedBenchmark.Scored score(PublishedBenchmark items, Path from) throws IOException {
    try (NasModel model = NasModel.load(from)) {
      Map<String, ImageTextScorer> scorers = new LinkedHashMap<>();
      if (mode != Mode.ITM) {
        scorers.put("itc", model.itcScorer());
      }
      if (mode != Mode.ITC) {
        scorers.put("itm", model.itmScorer());
      }
      ItemProgress progress = new ItemProgress(shell, "items", items.items().size());
      return items.score(
          imageFolder(data), model.config().data().background(), scorers, progress::accept);
    }
  }

  private Path imageFolder(Path of) {
    if (images != null) {
      return images;
    }
    return Files.isDirectory(of) ? of : of.toAbsolutePath().getParent();
  }

  private static Set<String> categories(Path file) throws IOException {
    Set<String> names = new LinkedHashSet<>();
    for (String line : Files.readAllLines(file)) {
      if (!line.isBlank()) {
        names.add(line.strip());
      }
    }
    return names;
  }

  private void tellMissing(PublishedBenchmark items, Map<String, String> unreadable) {
    shell
        .err()
        .println(
            "nas: %d of %d items were not scored, their images cannot be read:"
                .formatted(unreadable.size(), items.items().size()));
    unreadable.entrySet().stream()
        .limit(NAMED)
        .forEach(entry -> shell.err().println("  " + entry.getKey() + ": " + entry.getValue()));
    if (unreadable.size() > NAMED) {
      shell.err().println("  and " + (unreadable.size() - NAMED) + " more; --json lists them all");
    }
  }

  private void print(
      BenchmarkFormat format,
      Map<String, Integer> dropped,
      Map<String, BenchmarkReport> reports,
      Map<String, String> unreadable)
      throws IOException {
    StringBuilder text = new StringBuilder();
    dropped.forEach(
        (reason, count) ->
            text.append("left out by the benchmark's rule: %d, %s%n".formatted(count, reason)));
    reports.forEach(
        (way, report) -> {
          if (!text.isEmpty()) {
            text.append(System.lineSeparator());
          }
          text.append(table(format, way, report));
        });
    shell.out().print(text);
    shell.out().flush();
    if (json != null) {
      Files.writeString(json, json(format, dropped, reports, unreadable));
    }
  }

  private static String table(BenchmarkFormat format, String way, BenchmarkReport report) {
    StringBuilder table = new StringBuilder();
    table.append("%s by %s, %% right of %d items%n".formatted(format.title(), way, report.items()));
    if (report.unscored() > 0) {
      table.append("(%d items were not scored)%n".formatted(report.unscored()));
    }
    table.append(String.format(Locale.ROOT, "%n%-32s %7s", "", "items"));
    report.metrics().forEach(metric -> table.append(String.format(Locale.ROOT, " %21s", metric)));
    table.append(System.lineSeparator());
    if (report.byCategory().size() > 1) {
      report.byCategory().forEach((category, shares) -> row(table, category, shares));
    }
    row(table, "all (micro)", report.all());
    if (report.byCategory().size() > 1) {
      table.append(String.format(Locale.ROOT, "%-32s %7s", "categories (macro)", ""));
      report
          .macro()
          .forEach(
              mean ->
                  table.append(String.format(Locale.ROOT, " %5.1f                ", 100 * mean)));
      table.append(System.lineSeparator());
    }
    return table.toString().replaceAll(" +(\\R)", "$1");
  }

  private static void row(StringBuilder table, String name, List<Share> shares) {
    String shown = name.length() > 32 ? name.substring(0, 31) + "…" : name;
    table.append(String.format(Locale.ROOT, "%-32s %7d", shown, shares.getFirst().of()));
    for (Share share : shares) {
      table.append(
          String.format(
              Locale.ROOT,
              " %5.1f (%5.1f to %5.1f)",
              100 * share.value(),
              100 * share.low(),
              100 * share.high()));
    }
    table.append(System.lineSeparator());
  }

  private static String json(
      BenchmarkFormat format,
      Map<String, Integer> dropped,
      Map<String, BenchmarkReport> reports,
      Map<String, String> unreadable) {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("benchmark", format.id());
    ObjectNode left = root.putObject("leftOut");
    dropped.forEach(left::put);
    ObjectNode bad = root.putObject("unreadable");
    unreadable.forEach(bad::put);
    ObjectNode ways = root.putObject("results");
    reports.forEach(
        (way, report) -> {
          ObjectNode node = ways.putObject(way);
          node.put("items", report.items()).put("unscored", report.unscored());
          shares(node.putObject("all"), report.metrics(), report.all());
          ObjectNode macro = node.putObject("macro");
          for (int m = 0; m < report.metrics().size(); m++) {
            macro.put(report.metrics().get(m), report.macro().get(m));
          }
          ObjectNode categories = node.putObject("categories");
          report
              .byCategory()
              .forEach(
                  (category, shares) ->
                      shares(categories.putObject(category), report.metrics(), shares));
        });
    return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
  }

  private static void shares(ObjectNode node, List<String> metrics, List<Share> shares) {
    for (int m = 0; m < metrics.size(); m++) {
      Share share = shares.get(m);
      ObjectNode one = node.putObject(metrics.get(m));
      one.put("right", share.right()).put("of", share.of()).put("value", share.value());
      ArrayNode interval = one.putArray("interval");
      interval.add(share.low()).add(share.high());
    }
  }
}
