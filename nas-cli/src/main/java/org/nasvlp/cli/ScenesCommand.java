package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.scenes.SceneData;
import org.nasvlp.data.scenes.SceneOptions;
import org.nasvlp.data.scenes.SceneType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code nas data scenes}. */
@Command(
    name = "scenes",
    description = {
      "Composes scenes of emoji and drawn shapes with exact captions that ask for fine detail:"
          + " relation, role, binding, colour, count, size, object, presence.",
      "Writes train.tar (or the folder train of shards), test.tar, pairs.json and tokenizer.json,"
          + " for --data of demo, train and ablate; with --emoji-weight train.json and test.json,"
          + " which mix scenes and emoji. The same options give the same pictures."
    })
final class ScenesCommand implements Callable<Integer> {
  private static final long MEGABYTE = 1_000_000;

  private final Shell shell;

  @Spec private CommandSpec spec;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      required = true,
      description = "Folder to make; it must not exist or be empty.")
  private Path out;

  @Option(
      names = "--images",
      paramLabel = "N",
      required = true,
      description = "Pictures to train on.")
  private long images;

  @Option(
      names = "--seed",
      paramLabel = "S",
      defaultValue = "1",
      description = "Of all that is drawn (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--pairs",
      paramLabel = "N",
      defaultValue = "500",
      description = "Test pairs of each type (default: ${DEFAULT-VALUE}).")
  private int pairs;

  @Option(
      names = "--size",
      paramLabel = "PIXELS",
      defaultValue = "64",
      description = "Height and width of a picture, 32 to 512 (default: ${DEFAULT-VALUE}).")
  private int size;

  @Option(
      names = "--emoji",
      paramLabel = "DIR",
      description =
          "Folder of emoji as nas data emoji makes it (default: those that come with the program).")
  private @Nullable Path emoji;

  @Option(names = "--shapes-only", description = "Drawn shapes alone, no emoji.")
  private boolean shapesOnly;

  @Option(
      names = "--emoji-weight",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Also train on the emoji themselves, each N times an epoch, and test on them (default:"
              + " ${DEFAULT-VALUE}, not at all).")
  private int emojiWeight;

  @Option(
      names = "--shard-size",
      paramLabel = "MB",
      defaultValue = "1000",
      description =
          "About how large a file of training pictures grows, in megabytes (default:"
              + " ${DEFAULT-VALUE}).")
  private int megabytes;

  ScenesCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    if (shapesOnly && emoji != null) {
      throw new ParameterException(
          spec.commandLine(), "--emoji and --shapes-only exclude one another");
    }
    Path folder = emoji == null ? DataFiles.shipped(shell.home()) : emoji;
    if (!shapesOnly && !Files.isDirectory(folder)) {
      throw new CommandFailure(
          folder
              + ": no such folder; give the emoji with --emoji, set NAS_HOME to the folder this"
              + " program was built in, or ask for --shapes-only");
    }
    SceneOptions options;
    try {
      options =
          new SceneOptions(
              images,
              pairs,
              size,
              seed,
              shapesOnly ? null : folder,
              emojiWeight,
              megabytes * MEGABYTE);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), "Invalid request: " + e.getMessage(), e);
    }
    long all = images + 2L * pairs * SceneType.values().length;
    SceneData.Result result =
        SceneData.write(options, out, new ItemProgress(shell, "pictures", all));
    shell
        .out()
        .println(
            "%s training pictures with %s captions in %d %s, %s test pictures in %s pairs: %s"
                .formatted(
                    Text.count(result.images()),
                    Text.count(result.captions()),
                    result.shards(),
                    result.shards() == 1 ? "file" : "files",
                    Text.count(result.testImages()),
                    Text.count(result.testImages() / 2),
                    out));
    return 0;
  }
}
