package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.WordPieceTrainer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code nas data tokenizer}. */
@Command(
    name = "tokenizer",
    description = {
      "Makes a WordPiece tokenizer.json from the captions of a data set.",
      "Every character of the captions is a token, the most frequent words are whole, and the rest"
          + " is few pieces. The same captions give the same file. Reads the captions twice, and no"
          + " pictures where they can be had without."
    })
final class TokenizerCommand implements Callable<Integer> {
  private static final int WHITE = 0xFFFFFF;
  private static final int NAMED = 10;

  /** [CLS] and [SEP]. */
  private static final int SPECIAL = 2;

  /** What a word becomes. */
  private record Pieces(int count, boolean unknown) {}

  /** What captions become. */
  private static final class Coverage {
    private final CaptionTokenizer tokenizer;
    private final Map<String, Pieces> known = new HashMap<>();
    private long captions;
    private long unknown;
    private long cut;
    private long words;
    private long whole;
    private long pieces;

    Coverage(CaptionTokenizer tokenizer) {
      this.tokenizer = tokenizer;
    }

    void add(String caption) {
      int length = SPECIAL;
      boolean hasUnknown = false;
      for (String word : CaptionTokenizer.normalize(caption).split(" ", -1)) {
        Pieces of = known.computeIfAbsent(word, this::pieces);
        length += of.count;
        hasUnknown |= of.unknown;
        words++;
        whole += of.count == 1 && !of.unknown ? 1 : 0;
        pieces += of.count;
      }
      captions++;
      unknown += hasUnknown ? 1 : 0;
      cut += length > tokenizer.maxTokens() ? 1 : 0;
    }

    private Pieces pieces(String word) {
      int[] ids = tokenizer.words(word);
      return new Pieces(ids.length, Arrays.stream(ids).anyMatch(tokenizer::isSpecial));
    }

    String text() {
      return String.format(
          Locale.ROOT,
          "tokens         %s%n"
              + "captions       %s%n"
              + "  with [UNK]   %s, %s %%%n"
              + "  too long     %s, %s %%: cut at %d tokens%n"
              + "words          %s, %s of them different%n"
              + "  one piece    %s %%%n"
              + "  pieces       %.2f a word%n",
          Text.count(tokenizer.vocabularySize()),
          Text.count(captions),
          Text.count(unknown),
          Text.percent((double) unknown / captions),
          Text.count(cut),
          Text.percent((double) cut / captions),
          tokenizer.maxTokens(),
          Text.count(words),
          Text.count(known.size()),
          Text.percent((double) whole / words),
          (double) pieces / words);
    }
  }

  private final Shell shell;

  @Spec private CommandSpec spec;
  @Mixin private ReadingOptions reading;

  @Parameters(paramLabel = "CAPTIONS", description = "What nas train --data takes.")
  private Path data;

  @Option(
      names = "--size",
      paramLabel = "N",
      required = true,
      description = "Tokens, special ones included; fewer if every word is one before.")
  private int size;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      required = true,
      description = "tokenizer.json to write; it must not exist.")
  private Path out;

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "30",
      description =
          "Tokens beyond which a training cuts a caption (model.textTokens), special ones included;"
              + " only counted here (default: ${DEFAULT-VALUE}).")
  private int maxTokens;

  TokenizerCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    if (maxTokens < SPECIAL + 1) {
      throw new ParameterException(
          spec.commandLine(), "Invalid value for option '--max-tokens': it is below 3");
    }
    OutputFolder.checkWritable(out, "--out");
    checkAbsent();
    try (ImageTextDataset dataset = ImageTextDataset.open(data, reading.over(WHITE))) {
      WordPieceTrainer trainer = new WordPieceTrainer();
      List<String> bad = captions(dataset, trainer::add, progress("pairs", dataset));
      if (bad.size() == dataset.size()) {
        throw new CommandFailure(
            "%s: has no caption that can be read; the first: %s"
                .formatted(dataset.name(), bad.getFirst()));
      }
      write(train(trainer));
      try (CaptionTokenizer tokenizer = CaptionTokenizer.load(out, maxTokens)) {
        Coverage coverage = new Coverage(tokenizer);
        captions(dataset, coverage::add, progress("pairs looked at again", dataset));
        shell.out().print(coverage.text());
        shell.out().flush();
      }
      if (!bad.isEmpty()) {
        shell
            .err()
            .println("warning: %s captions cannot be read:".formatted(Text.count(bad.size())));
        bad.stream().limit(NAMED).forEach(line -> shell.err().println("  " + line));
      }
    }
    return 0;
  }

  private ItemProgress progress(String items, ImageTextDataset dataset) {
    return new ItemProgress(shell, items, dataset.size());
  }

  private void checkAbsent() {
    if (Files.exists(out)) {
      throw new CommandFailure(out + ": exists already; remove it or choose another --out FILE");
    }
  }

  private String train(WordPieceTrainer trainer) throws IOException {
    try {
      return trainer.train(size);
    } catch (IllegalArgumentException e) {
      throw new CommandFailure(e.getMessage() + "; ask for more with --size", e);
    }
  }

  /** Hands on all captions; returns what is wrong with those that cannot be read. */
  private static List<String> captions(
      ImageTextDataset dataset, Consumer<String> to, ItemProgress progress) {
    List<String> bad = new ArrayList<>();
    for (long index = 0; index < dataset.size(); index++) {
      try {
        to.accept(dataset.caption(index).caption());
      } catch (BadSampleException e) {
        bad.add(e.getMessage());
      }
      progress.accept(index + 1);
    }
    return bad;
  }

  /** The file gets its name when it is whole. */
  private void write(String json) throws IOException {
    Path part = out.resolveSibling("." + out.getFileName() + ".part");
    try {
      Files.writeString(part, json);
      checkAbsent();
      Files.move(part, out);
    } finally {
      Files.deleteIfExists(part);
    }
  }
}
