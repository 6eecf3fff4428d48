package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.EditType;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageCaption;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.TextEditor;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code nas data captions}. */
@Command(
    name = "captions",
    description = {
      "Makes the hard negative captions of a data set beforehand, and shows some.",
      "They are kept beside the data, where every training with the same settings for them finds"
          + " them; a training that does not makes its own, which takes about a second for each"
          + " thousand captions and core."
    })
final class CaptionsCommand implements Callable<Integer> {
  private static final int WHITE = 0xFFFFFF;

  /** Captions that are looked at for an example of each type. */
  private static final int LOOKED_AT = 20_000;

  /** What a training will be told by the same options. */
  static final class Settings {
    @Option(
        names = "--config",
        paramLabel = "FILE",
        description = "The configuration of the trainings, JSON or YAML.")
    private @Nullable Path file;

    @Option(
        names = "--preset",
        paramLabel = "NAME",
        description = "A preset in place of a configuration: tiny, emoji, scenes or base.")
    private @Nullable String preset;

    NasConfig config() throws IOException {
      if (file != null) {
        return NasConfig.load(file);
      }
      try {
        return NasConfig.preset(preset);
      } catch (IllegalArgumentException e) {
        throw new CommandFailure("--preset: " + e.getMessage(), e);
      }
    }
  }

  private final Shell shell;

  @Mixin private ReadingOptions reading;

  @Parameters(paramLabel = "DATASET", description = "What nas train --data takes.")
  private Path data;

  @ArgGroup(multiplicity = "1")
  private Settings settings;

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description = "WordPiece tokenizer.json (default: the one in the data folder).")
  private @Nullable Path tokenizerFile;

  CaptionsCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    NasConfig config = settings.config();
    if (!config.nta().enabled() && !config.nva().usesWords()) {
      throw new CommandFailure(
          "the configuration has no hard negative captions: nta.enabled is false");
    }
    DataFiles files = DataFiles.choose(data, tokenizerFile, null, null);
    try (ImageTextDataset dataset = ImageTextDataset.open(files.train(), reading.over(WHITE));
        CaptionTokenizer tokenizer =
            CaptionTokenizer.load(files.tokenizer(), config.model().textTokens())) {
      shell.err().println("editing the captions of " + Text.count(dataset.size()) + " pairs ...");
      NegativeTextAugmentation edits =
          NegativeTextAugmentation.prepare(
              dataset,
              tokenizer,
              TextEditor.factory("en", config.nta().exactLabels()),
              config.nta(),
              List.of(files.captionEdits()),
              config.training().seed());
      NegativeTextAugmentation.Preparation made = edits.preparation();
      made.notes().forEach(note -> shell.err().println("warning: " + note));
      shell.out().print(text(made, examples(dataset, edits)));
      Path file = made.cacheFile();
      if (file == null) {
        throw new CommandFailure(files.captionEdits() + ": the edits could not be kept there");
      }
      shell
          .out()
          .printf(
              Locale.ROOT,
              "%s %s, %.1f MB%n",
              made.fromCache() ? "There already:" : "Kept:",
              file,
              Files.size(file) / 1e6);
      shell.out().flush();
    }
    return 0;
  }

  private static String text(
      NegativeTextAugmentation.Preparation made, Map<EditType, String> examples) {
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "captions         %s different ones of %s pairs%n"
                + "  without edit   %s%n"
                + "  unreadable     %s%n"
                + "hard negatives   %s%n",
            Text.count(made.captions()),
            Text.count(made.samples()),
            Text.count(made.withoutEdit()),
            Text.count(made.unreadable()),
            Text.count(made.edits().values().stream().mapToLong(Long::longValue).sum())));
    made.edits()
        .forEach(
            (type, count) ->
                text.append(
                    String.format(
                        Locale.ROOT,
                        "  %-14s %-10s %s%n",
                        type.name().toLowerCase(Locale.ROOT).replace('_', ' '),
                        Text.count(count),
                        examples.getOrDefault(type, ""))));
    return text.toString();
  }

  /** For each type the first edit that a training may draw, of captions from all over the data. */
  private static Map<EditType, String> examples(
      ImageTextDataset dataset, NegativeTextAugmentation edits) {
    Map<EditType, String> examples = new EnumMap<>(EditType.class);
    long count = Math.min(dataset.size(), LOOKED_AT);
    for (long i = 0; i < count; i++) {
      try {
        ImageCaption pair = dataset.caption(i * dataset.size() / count);
        for (CaptionEdit edit : edits.candidates(pair.caption(), pair.imageId())) {
          examples.putIfAbsent(edit.type(), pair.caption() + " -> " + edit.caption());
        }
      } catch (BadSampleException e) {
        // Counted with those that cannot be read.
      }
    }
    return examples;
  }
}
