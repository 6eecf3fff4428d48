package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.source.DatasetCheck;
import org.nasvlp.data.source.DatasetReport;
import org.nasvlp.data.text.CaptionTokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.json.JsonMapper;

/** {@code nas data check}. */
@Command(
    name = "check",
    description = {
      "Reads every pair of a data set and tells what a training would meet.",
      "Exit status 1 if there are pairs that cannot be used."
    })
final class CheckCommand implements Callable<Integer> {
  private static final int WHITE = 0xFFFFFF;
  private static final int NAMED = 20;

  private final Shell shell;

  @Mixin private ReadingOptions reading;

  @Parameters(paramLabel = "DATASET", description = "What nas train --data takes.")
  private Path data;

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description = "WordPiece tokenizer.json that the captions are counted with.")
  private @Nullable Path tokenizerFile;

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "30",
      description =
          "Tokens beyond which a caption is cut, special ones included (default:"
              + " ${DEFAULT-VALUE}).")
  private int maxTokens;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads that read and decode (default: as many as processors).")
  private @Nullable Integer threads;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the findings as JSON.")
  private @Nullable Path json;

  CheckCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (json != null) {
      OutputFolder.checkWritable(json, "--json");
    }
    int count = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
    try (ImageTextDataset dataset = ImageTextDataset.open(data, reading.over(WHITE));
        CaptionTokenizer tokenizer =
            tokenizerFile == null ? null : CaptionTokenizer.load(tokenizerFile, maxTokens)) {
      DatasetReport report =
          DatasetCheck.run(
              dataset, tokenizer, count, new ItemProgress(shell, "pairs", dataset.size()));
      shell.out().print(text(report));
      shell.out().flush();
      if (json != null) {
        Files.writeString(
            json,
            JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(report) + "\n");
      }
      return report.bad() == 0 ? 0 : Nas.FAILURE;
    }
  }

  private String text(DatasetReport report) {
    StringBuilder text = new StringBuilder();
    line(text, "pairs", Text.count(report.pairs()));
    line(text, "cannot be used", Text.count(report.bad()));
    report.badByReason().entrySet().stream()
        .limit(NAMED)
        .forEach(reason -> line(text, "  " + reason.getValue(), reason.getKey()));
    if (report.badByReason().size() > NAMED) {
      line(
          text,
          "  …",
          report.badByReason().size() - NAMED + " more reasons; --json lists them all");
    }
    report.firstBad().forEach(bad -> text.append("    ").append(bad).append("\n"));
    line(text, "images", Text.count(report.images()));
    line(text, "  width", spread(report.width()) + " pixels");
    line(text, "  height", spread(report.height()) + " pixels");
    line(
        text,
        "  again",
        Text.count(report.repeatedImages()) + " whose pixels another image id has too");
    line(text, "captions", spread(report.words()) + " words");
    if (report.tokens() != null) {
      line(
          text,
          "  tokens",
          "%s; %s are cut at %d"
              .formatted(spread(report.tokens()), Text.count(report.truncated()), maxTokens));
    }
    line(
        text,
        "  again",
        "%s, of them %s with another image: likely false negatives"
            .formatted(Text.count(report.repeatedCaptions()), Text.count(report.sharedCaptions())));
    return text.toString();
  }

  private static void line(StringBuilder text, String name, String value) {
    text.append(String.format(Locale.ROOT, "%-15s %s%n", name, value));
  }

  private static String spread(DatasetReport.Spread spread) {
    return "%d to %d, median %d".formatted(spread.least(), spread.most(), spread.median());
  }
}
