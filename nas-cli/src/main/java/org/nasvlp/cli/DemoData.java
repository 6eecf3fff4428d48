package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.nasvlp.data.scenes.SceneData;
import org.nasvlp.data.scenes.SceneOptions;
import org.nasvlp.data.scenes.SceneType;

/**
 * The demonstration's pictures: scenes, composed once in the run's folder, and the emoji
 * themselves.
 *
 * @param output where the run writes
 * @param images scenes to train on
 */
record DemoData(Shell shell, OutputFolder output, int images) {
  private static final int PAIRS = 100;
  private static final int SIDE = 64;
  private static final int EMOJI_WEIGHT = 2;
  private static final long ONE_SHARD = Long.MAX_VALUE;

  /** The folder of the data, made unless it is there: it gets its name when it is whole. */
  Path folder() throws IOException {
    Path folder = output.data();
    if (!Files.isDirectory(folder)) {
      Path emoji = DataFiles.shipped(shell.home());
      DataFiles.complete(emoji);
      long all = images + 2L * PAIRS * SceneType.values().length;
      SceneData.write(
          new SceneOptions(images, PAIRS, SIDE, 1, emoji, EMOJI_WEIGHT, ONE_SHARD),
          folder,
          new ItemProgress(shell, "scenes composed", all));
    }
    return folder;
  }
}
