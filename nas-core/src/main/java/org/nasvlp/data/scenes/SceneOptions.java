package org.nasvlp.data.scenes;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What {@link SceneData#write} makes.
 *
 * @param images pictures to train on, 1 to 100,000,000
 * @param pairs test pairs of each type, 1 to 100,000
 * @param side height and width of a picture, 32 to 512 pixels
 * @param seed of all that is drawn
 * @param emoji folder with {@code train.tar}, {@code test.tar} and {@code tokenizer.json} of emoji
 *     and their names, which scenes hold beside drawn shapes; null for shapes alone
 * @param emojiWeight how often an epoch holds each of the emoji's own pairs beside the scenes, 0 to
 *     1000; with 0 the folder has scenes alone
 * @param shardBytes about how large a file of training pictures grows; one file if it suffices
 */
public record SceneOptions(
    long images,
    int pairs,
    int side,
    long seed,
    @Nullable Path emoji,
    int emojiWeight,
    long shardBytes) {
  /** Checks ranges. */
  public SceneOptions {
    check(images, 1, 100_000_000, "images", "");
    check(pairs, 1, 100_000, "pairs", "");
    check(side, 32, 512, "side", ": five things need 32 pixels to be told apart");
    check(
        emojiWeight,
        0,
        emoji == null ? 0 : 1000,
        "emojiWeight",
        emoji == null ? " without emoji" : "");
    check(shardBytes, 1, Long.MAX_VALUE, "shardBytes", "");
  }

  private static void check(long value, long low, long high, String name, String why) {
    if (value < low || value > high) {
      throw new IllegalArgumentException(
          "%s is %,d: it must be %,d to %,d%s".formatted(name, value, low, high, why));
    }
  }
}
