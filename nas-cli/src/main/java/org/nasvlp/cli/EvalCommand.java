package org.nasvlp.cli;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.eval.BenchmarkFormat;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.eval.ItemScores;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.eval.RetrievalBenchmark;
import org.nasvlp.eval.RetrievalReport;
import org.nasvlp.model.NasModel;
import org.nasvlp.report.EvaluatedBenchmark;
import org.nasvlp.report.EvaluationPage;
import org.nasvlp.scoring.ImageTextScorer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code nas eval}. */
@Command(
    name = "eval",
    description = {
      "Evaluates a checkpoint, or scores from a file, on a published benchmark of fine"
          + " differences, or a checkpoint on retrieval.",
      "NAME: aro-relation, aro-attribution, coco-order, flickr30k-order, winoground, valse,"
          + " sugarcrepe, svo-probes, vl-checklist, sugarcrepe-pp, cola, comvg, whatsup, colorswap,"
          + " mmvp-vlm, negbench, crepe, bivlc, countbench, vsr; retrieval; or pairs: the test"
          + " pairs of a folder that nas data made, as at the end of a training. A tie counts as"
          + " wrong; accuracies come with Wilson's 95 %% interval, those of pairs do not."
    })
final class EvalCommand implements Callable<Integer> {
  private static final int NAMED = 10;
  private static final int RERANKED = 16;

  /** Above this share of the items, captions that are equal after cutting are warned of. */
  private static final double SAME_TOKENS_TOLD = 0.01;

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
          "The benchmark's file; for sugarcrepe, sugarcrepe-pp, valse, vl-checklist and whatsup"
              + " also a folder of them; for retrieval pairs in any form that nas train reads; for"
              + " pairs a folder with pairs.json and test.tar or test.json.")
  private @Nullable Path data;

  @Mixin private ReadingOptions reading;

  @Option(
      names = "--rerank",
      paramLabel = "K",
      description =
          "For retrieval: how many of a query's best candidates by ITC are ranked by the sum of"
              + " ITM's and ITC's logits (default: 16).")
  private @Nullable Integer reranked;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      description = "A run's folder or one of its checkpoints.")
  private @Nullable Path checkpoint;

  @Mixin private DeviceOption device;

  @Option(
      names = "--scores",
      paramLabel = "FILE",
      description =
          "Scores in place of a checkpoint: JSON lines as --dump writes them, or Winoground's"
              + " {label, score} or {id, c0_i0, c1_i0, c0_i1, c1_i1}.")
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
      names = "--max-items",
      paramLabel = "N",
      description = "Take the first N items of each category alone.")
  private @Nullable Integer maxItems;

  @Option(
      names = "--image-root",
      paramLabel = "NAME=DIR",
      description =
          "Where the images of paths that begin with NAME/ are, for example vg=DIR; may be"
              + " repeated.")
  private Map<String, Path> imageRoots = Map.of();

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

  @Option(
      names = "--report",
      paramLabel = "FILE",
      description = {
        "Write the results as one HTML page that opens from its file, with the items that are most"
            + " wrong and, for a checkpoint, their pictures."
      })
  private @Nullable Path page;

  EvalCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    if (benchmark.equals("retrieval")) {
      return retrieval();
    }
    if (benchmark.equals("pairs")) {
      return pairs();
    }
    if (reading.describesAList() || reranked != null) {
      throw new ParameterException(
          spec.commandLine(),
          "--image-column, --caption-column, --split and --rerank belong to --benchmark retrieval");
    }
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
    if (maxItems != null && (maxItems < 1 || data == null)) {
      throw new ParameterException(
          spec.commandLine(), "--max-items must be above 0, and needs --data");
    }
    if (scoresFile != null
        && (mode != null || reading.images() != null || !imageRoots.isEmpty() || dump != null)) {
      throw new ParameterException(
          spec.commandLine(),
          "--mode, --images, --image-root and --dump belong to --checkpoint, not to --scores");
    }
    if (mode == Mode.ITC && !format.scoredBy("itc")) {
      throw new ParameterException(
          spec.commandLine(),
          format.title()
              + " asks whether a caption is true of its image, which a cosine does not say; leave"
              + " --mode out or name itm");
    }
    if (data == null && leaveOut != null) {
      throw new ParameterException(spec.commandLine(), "--leave-out needs --data");
    }
    checkFiles();
    Set<String> leftOut = leaveOut == null ? Set.of() : categories(leaveOut);
    if (data == null) {
      ItemScores scores = ItemScores.read(scoresFile);
      Map<String, BenchmarkReport> reports = new LinkedHashMap<>();
      for (String way : scores.ways()) {
        reports.put(way, PublishedBenchmark.winoground(scores, way));
      }
      print(format, Map.of(), reports, Map.of(), null);
      writePage(new EvaluatedBenchmark(format.title(), null, scores, reports, null, 0), null, 0);
      return 0;
    }
    PublishedBenchmark items = PublishedBenchmark.read(format, data);
    if (maxItems != null) {
      items = items.firstOfEach(maxItems);
    }
    PublishedBenchmark.Scored scored;
    Integer equal = null;
    EvaluatedBenchmark.Pictures pictures = null;
    int imageSize = 0;
    if (checkpoint == null) {
      scored = new PublishedBenchmark.Scored(ItemScores.read(scoresFile), Map.of());
    } else {
      try (NasModel model = NasModel.load(checkpoint, device.orCpu())) {
        scored = score(items, model);
        int background = model.config().data().background();
        Path images = imageFolder(data);
        pictures = item -> PublishedBenchmark.pictures(item, images, imageRoots, background);
        imageSize = model.config().model().imageSize();
        Set<String> same = new LinkedHashSet<>(items.sameTokens(model.tokenizer()));
        same.retainAll(scored.scores().byItem().keySet());
        equal = same.size();
        warnOfSameTokens(equal, scored.scores().byItem().size(), model.tokenizer().maxTokens());
      }
    }
    if (dump != null) {
      scored.scores().write(dump);
    }
    if (scored.scores().byItem().isEmpty()) {
      tellMissing(items, scored.unreadable());
      if (json != null) {
        Files.writeString(
            json, json(format, items.dropped(), Map.of(), scored.unreadable(), equal));
      }
      throw new CommandFailure(
          "no item of %s could be scored: no image was found in %s; --images says where they are"
              .formatted(format.title(), imageFolder(data)));
    }
    leftOut = known(leftOut, items);
    Map<String, BenchmarkReport> reports = new LinkedHashMap<>();
    List<String> ways = scored.scores().ways();
    List<String> useful = ways.stream().filter(format::scoredBy).toList();
    // If none is of use, the report says why.
    for (String way : useful.isEmpty() ? ways : useful) {
      reports.put(way, items.report(scored.scores(), way, leftOut));
    }
    print(format, items.dropped(), reports, scored.unreadable(), equal);
    writePage(
        new EvaluatedBenchmark(
            format.title(), items, scored.scores(), reports, pictures, imageSize),
        equal,
        scored.unreadable().size());
    if (scored.unreadable().isEmpty()) {
      return 0;
    }
    tellMissing(items, scored.unreadable());
    return allowMissing ? 0 : Nas.FAILURE;
  }

  /** Makes sure, before anything is computed, that the results can be written. */
  private void checkFiles() throws IOException {
    if (json != null) {
      OutputFolder.checkWritable(json, "--json");
    }
    if (dump != null) {
      OutputFolder.checkWritable(dump, "--dump");
    }
    if (page != null) {
      OutputFolder.checkWritable(page, "--report");
    }
  }

  /** Whether there are options of benchmarks that have items. */
  private boolean namesItemOptions() {
    return scoresFile != null
        || dump != null
        || leaveOut != null
        || maxItems != null
        || !imageRoots.isEmpty();
  }

  private int pairs() throws IOException {
    if (checkpoint == null || data == null) {
      throw new ParameterException(
          spec.commandLine(), "--benchmark pairs needs --checkpoint and --data");
    }
    if (namesItemOptions()
        || reranked != null
        || reading.images() != null
        || reading.describesAList()) {
      throw new ParameterException(
          spec.commandLine(),
          "with --benchmark pairs go --checkpoint, --data, --mode, --json and --report");
    }
    if (mode == Mode.ITM) {
      throw new ParameterException(
          spec.commandLine(),
          "--benchmark pairs compares matching with contrast: leave out --mode");
    }
    checkFiles();
    try (NasModel model = NasModel.load(checkpoint, device.orCpu())) {
      FineGrainedBenchmark pairs =
          DataFiles.pictures(data, null, null).benchmark(model.config().data().background());
      if (pairs == null) {
        throw new CommandFailure(
            data + ": has no test pairs; name a folder with pairs.json and test.tar or test.json");
      }
      FineGrainedBenchmark.Evaluated evaluated =
          pairs.evaluateWithPairs(
              told("contrast", model.itcScorer()),
              mode == Mode.ITC ? null : told("matching", model.itmScorer()),
              1 / model.temperature(),
              true);
      EvaluationReport report = evaluated.report();
      TerminalProgress.show(shell, "");
      shell.out().print(ReportTables.all(report));
      shell.out().flush();
      if (json != null) {
        Files.writeString(
            json,
            JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(report) + "\n");
      }
      if (page != null) {
        shell.err().println("looking at pictures for the report ...");
        Map<String, String> facts = facts("test pairs that differ in one thing");
        facts.put("pairs", Text.count(pairs.pairs()));
        EvaluationPage.write(
            facts,
            report,
            Learning.ofPairs(model, pairs, evaluated.pairs(), mode != Mode.ITC),
            page);
        tellPage(page);
      }
    }
    return 0;
  }

  /** The scorer, which tells a terminal of what it begins. */
  private ImageTextScorer told(String way, ImageTextScorer scorer) {
    return (images, captions, imageIndex, captionIndex) -> {
      TerminalProgress.show(
          shell,
          "scoring %s of %s pictures with %s captions by %s ..."
              .formatted(
                  Text.count(imageIndex.length),
                  Text.count(images.size()),
                  Text.count(captions.size()),
                  way));
      return scorer.score(images, captions, imageIndex, captionIndex);
    };
  }

  private int retrieval() throws IOException {
    if (checkpoint == null || data == null) {
      throw new ParameterException(
          spec.commandLine(), "--benchmark retrieval needs --checkpoint and --data");
    }
    if (namesItemOptions()) {
      throw new ParameterException(
          spec.commandLine(),
          "--scores, --dump, --leave-out, --max-items and --image-root are not for --benchmark"
              + " retrieval");
    }
    if (reranked != null && (reranked < 1 || mode == Mode.ITC)) {
      throw new ParameterException(
          spec.commandLine(), "--rerank must be above 0, and means nothing with --mode itc");
    }
    checkFiles();
    try (NasModel model = NasModel.load(checkpoint, device.orCpu());
        ImageTextDataset pairs =
            ImageTextDataset.open(
                data, reading.over(model.config().data().background()).forTest())) {
      RetrievalBenchmark items = RetrievalBenchmark.of(pairs);
      int passes = mode == Mode.ITC ? 1 : 2;
      RetrievalBenchmark.Result result;
      try (TerminalProgress progress =
          new TerminalProgress(shell, "images", (long) passes * items.images())) {
        result =
            items.evaluate(
                model.embedder(),
                mode == Mode.ITC ? null : model.itmScorer(),
                1 / model.temperature(),
                reranked == null ? RERANKED : reranked,
                page == null ? 0 : Learning.RETRIEVED,
                progress::accept);
      }
      shell.out().print(ReportTables.retrieval(result.itc(), result.itm()));
      shell.out().flush();
      if (json != null) {
        Files.writeString(json, json(result));
      }
      if (page != null) {
        Map<String, String> facts = facts("retrieval");
        facts.put("images", Text.count(result.itc().images()));
        facts.put("captions", Text.count(result.itc().captions()));
        if (mode != Mode.ITC) {
          facts.put("re-ranked of each query", Text.count(reranked == null ? RERANKED : reranked));
        }
        facts.put("pairs that cannot be read", Text.count(result.unusable().size()));
        EvaluationPage.write(facts, result, model.config().model().imageSize(), page);
        tellPage(page);
      }
      if (result.unusable().isEmpty()) {
        return 0;
      }
      tellMissing(
          "%d of %d pairs".formatted(result.unusable().size(), pairs.size()), result.unusable());
      return allowMissing ? 0 : Nas.FAILURE;
    }
  }

  private static String json(RetrievalBenchmark.Result result) {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("benchmark", "retrieval");
    root.put("images", result.itc().images()).put("captions", result.itc().captions());
    ObjectNode bad = root.putObject("unreadable");
    result.unusable().forEach(bad::put);
    ObjectNode ways = root.putObject("results");
    recall(ways.putObject("itc"), result.itc().textRecall(), result.itc().imageRecall());
    if (result.itm() != null) {
      recall(ways.putObject("itm"), result.itm().textRecall(), result.itm().imageRecall());
    }
    recall(root.putObject("chance"), result.itc().textChance(), result.itc().imageChance());
    return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
  }

  private static void recall(ObjectNode node, double[] text, double[] image) {
    ObjectNode toText = node.putObject("imageToText");
    ObjectNode toImage = node.putObject("textToImage");
    int[] ranks = RetrievalReport.ranks();
    for (int i = 0; i < ranks.length; i++) {
      toText.put("R@" + ranks[i], text[i]);
      toImage.put("R@" + ranks[i], image[i]);
    }
  }

  private PublishedBenchmark.Scored score(PublishedBenchmark items, NasModel model)
      throws IOException {
    Map<String, ImageTextScorer> scorers = new LinkedHashMap<>();
    if (mode != Mode.ITM && items.format().scoredBy("itc")) {
      scorers.put("itc", model.itcScorer());
    }
    if (mode != Mode.ITC) {
      scorers.put("itm", model.itmScorer());
    }
    try (TerminalProgress progress = new TerminalProgress(shell, "items", items.items().size())) {
      return items.score(
          imageFolder(data),
          imageRoots,
          model.config().data().background(),
          scorers,
          progress::accept);
    }
  }

  private void writePage(EvaluatedBenchmark of, @Nullable Integer equal, int unreadable)
      throws IOException {
    if (page == null) {
      return;
    }
    Map<String, String> facts = facts(of.title());
    PublishedBenchmark items = of.benchmark();
    facts.put(
        "items",
        items == null
            ? Text.count(of.scores().byItem().size())
            : "%s of %s scored"
                .formatted(
                    Text.count(of.scores().byItem().size()), Text.count(items.items().size())));
    if (maxItems != null) {
      facts.put("of each category", "the first " + Text.count(maxItems));
    }
    if (items != null) {
      items
          .dropped()
          .forEach((reason, count) -> facts.put("left out: " + reason, Text.count(count)));
    }
    if (unreadable > 0) {
      facts.put("images that cannot be read", "of " + Text.count(unreadable) + " items");
    }
    if (equal != null) {
      facts.put("captions equal after cutting", "of " + Text.count(equal) + " items");
    }
    EvaluationPage.write(facts, of, page);
    tellPage(page);
  }

  /** What every page begins with. */
  private Map<String, String> facts(String title) {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("benchmark", title);
    if (data != null) {
      facts.put("data", data.toString());
    }
    if (checkpoint != null) {
      facts.put("checkpoint", checkpoint.toString());
    }
    if (scoresFile != null) {
      facts.put("scores", scoresFile.toString());
    }
    return facts;
  }

  private void tellPage(Path written) {
    shell.out().println("Report      " + written.toAbsolutePath().toUri());
  }

  private void warnOfSameTokens(int equal, int scored, int maxTokens) {
    if (equal > SAME_TOKENS_TOLD * scored) {
      shell
          .err()
          .printf(
              "nas: %d of %d items have captions that are equal after cutting to %d tokens, and"
                  + " count as wrong; a model with more model.textTokens, or with a larger"
                  + " vocabulary, tells them apart%n",
              equal, scored, maxTokens);
    }
  }

  private Path imageFolder(Path of) {
    if (reading.images() != null) {
      return reading.images();
    }
    return Files.isDirectory(of) ? of : of.toAbsolutePath().getParent();
  }

  /** The categories to leave out that the benchmark has; others are warned of. */
  private Set<String> known(Set<String> leftOut, PublishedBenchmark items) {
    Set<String> known = new LinkedHashSet<>(leftOut);
    known.retainAll(items.categories());
    Set<String> others = new LinkedHashSet<>(leftOut);
    others.removeAll(known);
    if (!others.isEmpty()) {
      shell
          .err()
          .printf(
              "nas: %d of %d categories in %s are not among these items, the first: %s%n",
              others.size(), leftOut.size(), leaveOut, others.iterator().next());
    }
    return known;
  }

  private static Set<String> categories(Path file) throws IOException {
    Set<String> names = new LinkedHashSet<>();
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw new CommandFailure(file + " is not a regular file; name a file of categories");
    }
    try {
      for (String line : Files.readAllLines(file)) {
        if (!line.isBlank()) {
          names.add(line.strip());
        }
      }
    } catch (CharacterCodingException e) {
      throw new CommandFailure(file + " is not UTF-8 text; convert it (iconv)", e);
    }
    return names;
  }

  private void tellMissing(PublishedBenchmark items, Map<String, String> unreadable) {
    tellMissing("%d of %d items".formatted(unreadable.size(), items.items().size()), unreadable);
  }

  private void tellMissing(String what, Map<String, String> unreadable) {
    shell.err().println("nas: " + what + " were not scored, their images cannot be read:");
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
      Map<String, String> unreadable,
      @Nullable Integer equal)
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
          text.append(
              equal == null
                  ? BenchmarkTables.table(format.title(), way, report)
                  : BenchmarkTables.table(format.title(), way, report, equal));
        });
    shell.out().print(text);
    shell.out().flush();
    if (json != null) {
      Files.writeString(json, json(format, dropped, reports, unreadable, equal));
    }
  }

  private static String json(
      BenchmarkFormat format,
      Map<String, Integer> dropped,
      Map<String, BenchmarkReport> reports,
      Map<String, String> unreadable,
      @Nullable Integer equal) {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("benchmark", format.id());
    ObjectNode left = root.putObject("leftOut");
    dropped.forEach(left::put);
    ObjectNode bad = root.putObject("unreadable");
    unreadable.forEach(bad::put);
    if (equal != null) {
      root.put("equalAfterCutting", equal);
    }
    ObjectNode ways = root.putObject("results");
    reports.forEach((way, report) -> BenchmarkTables.json(ways.putObject(way), report));
    return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
  }
}
