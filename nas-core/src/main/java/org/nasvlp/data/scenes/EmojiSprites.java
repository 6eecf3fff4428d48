package org.nasvlp.data.scenes;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;

/** The emoji that scenes hold: those with a plain noun for a name, told apart at a few pixels. */
final class EmojiSprites {
  static final List<String> NAMES =
      List.of(
          "cat",
          "dog",
          "horse",
          "cow",
          "pig",
          "rabbit",
          "lion",
          "tiger",
          "elephant",
          "camel",
          "goat",
          "duck",
          "penguin",
          "owl",
          "crab",
          "snail",
          "butterfly",
          "spider",
          "turtle",
          "snake",
          "frog",
          "monkey",
          "whale",
          "banana",
          "pear",
          "lemon",
          "strawberry",
          "pineapple",
          "tomato",
          "carrot",
          "mushroom",
          "pizza",
          "hamburger",
          "cookie",
          "doughnut",
          "bus",
          "taxi",
          "train",
          "bicycle",
          "motorcycle",
          "airplane",
          "helicopter",
          "rocket",
          "sailboat",
          "tractor",
          "house",
          "cactus",
          "tulip",
          "sunflower",
          "umbrella",
          "key",
          "chair",
          "guitar",
          "violin",
          "drum",
          "trumpet",
          "telephone",
          "television",
          "camera",
          "bell",
          "balloon",
          "crown",
          "hammer",
          "axe",
          "bucket",
          "spoon",
          "anchor",
          "kite",
          "robot",
          "snowman",
          "castle",
          "tent",
          "backpack");

  /** With fewer a combination would be one of few. */
  private static final int FEWEST = 8;

  private EmojiSprites() {}

  /**
   * The sprites of a folder, by name, in the order of {@link #NAMES}.
   *
   * @throws IOException if the folder lacks its files, one cannot be read, or too few names occur
   */
  static Map<String, Sprite> read(Path folder) throws IOException {
    Map<String, Sprite> found = new LinkedHashMap<>();
    // Those of the test stay unseen.
    Path shard = folder.resolve("train.tar");
    if (!Files.isRegularFile(shard)) {
      throw new IOException(
          shard + ": no such file; the emoji's folder is one that nas data emoji made");
    }
    try (ImageTextDataset dataset = ImageTextDataset.open(shard, 0xFFFFFF)) {
      for (long i = 0; i < dataset.size(); i++) {
        String caption = dataset.caption(i).caption();
        if (NAMES.contains(caption)) {
          found.putIfAbsent(caption, sprite(shard, caption, dataset.encodedImage(i)));
        }
      }
    } catch (BadSampleException e) {
      throw new IOException(shard + ": " + e.getMessage(), e);
    }
    Map<String, Sprite> ordered = new LinkedHashMap<>();
    for (String name : NAMES) {
      Sprite sprite = found.get(name);
      if (sprite != null) {
        ordered.put(name, sprite);
      }
    }
    if (ordered.size() < FEWEST) {
      throw new IOException(
          "%s: %d of the emoji that scenes use are there, at least %d are needed, such as %s"
              .formatted(
                  folder, ordered.size(), FEWEST, String.join(", ", NAMES.subList(0, FEWEST))));
    }
    return ordered;
  }

  private static Sprite sprite(Path shard, String name, byte[] png) throws IOException {
    BufferedImage image = ImageIO.read(new ByteArrayInputStream(png));
    Sprite sprite = image == null ? null : Sprite.trimmed(image);
    if (sprite == null) {
      throw new IOException(shard + ": the picture of '" + name + "' is empty or no PNG");
    }
    return sprite;
  }
}
