package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.source.ShardWriter;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code nas data shard}. */
@Command(
    name = "shard",
    description = {
      "Packs a data set into WebDataset shards.",
      "Pairs that cannot be used are listed in PREFIX-skipped.txt, and the exit status is 1 unless"
          + " --allow-bad."
    })
final class ShardCommand implements Callable<Integer> {
  private static final int WHITE = 0xFFFFFF;
  private static final long MEGABYTE = 1_000_000;
  private static final int NAMED = 10;

  private final Shell shell;

  @Spec private CommandSpec spec;
  @Mixin private ReadingOptions reading;

  @Parameters(paramLabel = "DATASET", description = "What nas train --data takes.")
  private Path data;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      required = true,
      description = "Folder for the shards; holds none of that prefix yet.")
  private Path out;

  @Option(
      names = "--prefix",
      paramLabel = "NAME",
      defaultValue = "shard",
      description = "Their names' beginning (default: ${DEFAULT-VALUE}).")
  private String prefix;

  @Option(
      names = "--shard-size",
      paramLabel = "MB",
      defaultValue = "500",
      description = "About how large a shard grows, in megabytes (default: ${DEFAULT-VALUE}).")
  private int megabytes;

  @Option(names = "--allow-bad", description = "Exit with 0 although pairs cannot be used.")
  private boolean allowBad;

  ShardCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    if (megabytes < 1) {
      throw new ParameterException(
          spec.commandLine(), "Invalid value for option '--shard-size': it is not above 0");
    }
    if (!prefix.matches("[A-Za-z0-9_-]+")) {
      throw new ParameterException(
          spec.commandLine(), "Invalid value for option '--prefix': letters, digits, - and _ only");
    }
    try (ImageTextDataset dataset = ImageTextDataset.open(data, reading.over(WHITE))) {
      ShardWriter.Result result =
          ShardWriter.write(
              dataset,
              out,
              prefix,
              megabytes * MEGABYTE,
              new ItemProgress(shell, "pairs", dataset.size()));
      shell
          .out()
          .println(
              "%s pairs in %d shards: %s"
                  .formatted(
                      Text.count(result.pairs()),
                      result.shards().size(),
                      result.shards().isEmpty() ? "none" : result.shards().getFirst() + " …"));
      if (result.skipped().isEmpty()) {
        return 0;
      }
      Path list = out.resolve(prefix + "-skipped.txt");
      Files.write(list, result.skipped());
      shell
          .err()
          .println(
              "nas: %d pairs cannot be used and were left out; %s lists them:"
                  .formatted(result.skipped().size(), list));
      result.skipped().stream().limit(NAMED).forEach(bad -> shell.err().println("  " + bad));
      return allowBad ? 0 : Nas.FAILURE;
    }
  }
}
