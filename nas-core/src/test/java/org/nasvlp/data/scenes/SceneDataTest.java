package org.nasvlp.data.scenes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.scenes.Scene.Placement;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.eval.FineGrainedBenchmark;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class SceneDataTest {
  private static final List<SceneType> TYPES = List.of(SceneType.values());
  private static final Path EMOJI = Path.of("..", "data", "noto-emoji");

  @TempDir private Path folder;

  private static SceneOptions options(int images, int pairs, long seed) {
    return new SceneOptions(images, pairs, 64, seed, EMOJI, 0, 1L << 30);
  }

  @Test
  void theSameOptionsGiveTheSameBytes() throws Exception {
    SceneData.write(options(300, 5, 7), folder.resolve("one"), done -> {});
    SceneData.write(options(300, 5, 7), folder.resolve("two"), done -> {});
    for (String file : List.of("train.tar", "test.tar", "pairs.json", "tokenizer.json")) {
      assertThat(folder.resolve("one").resolve(file))
          .hasSameBinaryContentAs(folder.resolve("two").resolve(file));
    }
    SceneData.write(options(300, 5, 8), folder.resolve("other"), done -> {});
    assertThat(Files.mismatch(folder.resolve("one/train.tar"), folder.resolve("other/train.tar")))
        .isNotNegative();
  }

  @Test
  void theLibraryReadsWhatItMakes() throws Exception {
    SceneData.Result made = SceneData.write(options(200, 6, 1), folder.resolve("s"), done -> {});
    assertThat(made.images()).isEqualTo(200);
    assertThat(made.testImages()).isEqualTo(2L * 6 * SceneType.values().length);
    Path own = folder.resolve("s");
    Set<String> trained = new HashSet<>();
    try (ImageTextDataset train = ImageTextDataset.open(own.resolve("train.tar"), 0);
        CaptionTokenizer tokenizer = CaptionTokenizer.load(own.resolve("tokenizer.json"), 30)) {
      assertThat(train.size()).isEqualTo(200);
      for (int i = 0; i < 200; i++) {
        assertThat(train.get(i).image().width()).isEqualTo(64);
        String caption = train.caption(i).caption();
        trained.add(caption);
        // Each word is a token of its own, and [CLS] and [SEP].
        assertThat(tokenizer.encode(List.of(caption)).length())
            .isEqualTo(caption.split(" ", -1).length + 2);
      }
    }
    try (ImageTextDataset test = ImageTextDataset.open(own.resolve("test.tar"), 0)) {
      FineGrainedBenchmark benchmark = FineGrainedBenchmark.load(own.resolve("pairs.json"), test);
      assertThat(benchmark.pairs()).isEqualTo(6 * SceneType.values().length);
      for (int i = 0; i < test.size(); i++) {
        assertThat(trained).doesNotContain(test.caption(i).caption());
      }
    }
  }

  @Test
  void theSampleInTheRepositoryIsWhatTheLibraryMakes() throws Exception {
    Path sample = Path.of("..", "data", "scenes");
    SceneData.write(options(256, 8, 1), folder.resolve("s"), done -> {});
    for (String file : List.of("pairs.json", "tokenizer.json")) {
      assertThat(folder.resolve("s").resolve(file)).hasSameTextualContentAs(sample.resolve(file));
    }
    for (String file : List.of("train.tar", "test.tar")) {
      // Pixels and not bytes: another Java may pack a PNG otherwise.
      try (ImageTextDataset made = ImageTextDataset.open(folder.resolve("s").resolve(file), 0);
          ImageTextDataset shipped = ImageTextDataset.open(sample.resolve(file), 0)) {
        assertThat(made.size()).isEqualTo(shipped.size());
        for (long i = 0; i < made.size(); i++) {
          assertThat(made.get(i).caption()).isEqualTo(shipped.get(i).caption());
          assertThat(made.get(i).image().rgb()).isEqualTo(shipped.get(i).image().rgb());
        }
      }
    }
  }

  @Test
  void pairsNameARewordingOfEachCaption() throws Exception {
    SceneData.write(options(1, 50, 1), folder.resolve("s"), done -> {});
    JsonNode pairs = JsonMapper.shared().readTree(Files.readString(folder.resolve("s/pairs.json")));
    assertThat(pairs.size()).isEqualTo(50 * SceneType.values().length);
    SceneComposer composer = new SceneComposer(EmojiSprites.NAMES, 1);
    for (int i = 0; i < pairs.size(); i++) {
      SceneType type = TYPES.get(i / 50);
      SceneComposer.Pair made = composer.test(type, i % 50);
      assertThat(pairs.get(i).get("attribute").stringValue()).isEqualTo(type.label());
      for (String side : List.of("a", "b")) {
        Scene own = (side.equals("a") ? made.a() : made.b()).scene();
        Scene other = (side.equals("a") ? made.b() : made.a()).scene();
        String caption = pairs.get(i).at("/" + side + "/caption").stringValue();
        String reworded = pairs.get(i).at("/" + side + "/reworded").stringValue();
        assertThat(reworded).isNotEqualTo(caption);
        for (String text : List.of(caption, reworded)) {
          assertThat(SceneReader.isTrue(text, own)).as(text).isTrue();
          assertThat(SceneReader.isTrue(text, other)).as(text).isFalse();
        }
      }
    }
  }

  @Test
  void largeDataBecomesSeveralShards() throws Exception {
    SceneOptions small = new SceneOptions(5000, 1, 32, 1, null, 0, 1_000_000);
    SceneData.Result made = SceneData.write(small, folder.resolve("s"), done -> {});
    assertThat(made.shards()).isGreaterThan(1);
    try (ImageTextDataset train = ImageTextDataset.open(folder.resolve("s/train"), 0)) {
      assertThat(train.size()).isEqualTo(5000);
      assertThat(train.get(4999).caption()).isNotBlank();
    }
  }

  @Test
  void emojiBesideScenesAreTrainedOnAndTestedToo() throws Exception {
    SceneOptions mixed = new SceneOptions(100, 2, 64, 1, EMOJI, 3, 1L << 30);
    SceneData.write(mixed, folder.resolve("s"), done -> {});
    Path own = folder.resolve("s");
    try (ImageTextDataset train = ImageTextDataset.open(own.resolve("train.json"), 0xFFFFFF);
        ImageTextDataset emoji = ImageTextDataset.open(EMOJI.resolve("train.tar"), 0xFFFFFF);
        ImageTextDataset test = ImageTextDataset.open(own.resolve("test.json"), 0xFFFFFF)) {
      assertThat(train.size()).isEqualTo(100 + 3 * emoji.size());
      FineGrainedBenchmark benchmark = FineGrainedBenchmark.load(own.resolve("pairs.json"), test);
      assertThat(benchmark.pairs()).isEqualTo(2 * SceneType.values().length + 1007);
      assertThat(benchmark.attributes()).contains("relation", "skin tone");
    }
    assertThat(Files.readString(own.resolve("NOTICE")))
        .startsWith("Composed scenes")
        .endsWith(Files.readString(EMOJI.resolve("NOTICE")));
    assertThatThrownBy(() -> new SceneOptions(1, 1, 64, 1, null, 1, 1))
        .hasMessage("emojiWeight is 1: it must be 0 to 0 without emoji");
  }

  @Test
  void whatCannotBeMadeIsRefusedAndNothingStays() throws Exception {
    assertThatThrownBy(() -> new SceneOptions(1, 1, 16, 1, null, 0, 1))
        .hasMessage(
            "side is 16: it must be 32 to 512: five things need 32 pixels to be told apart");
    assertThatThrownBy(() -> new SceneOptions(0, 1, 64, 1, null, 0, 1))
        .hasMessage("images is 0: it must be 1 to 100,000,000");
    Path full = Files.createDirectory(folder.resolve("full"));
    Files.createFile(full.resolve("mine"));
    assertThatThrownBy(() -> SceneData.write(options(1, 1, 1), full, done -> {}))
        .isInstanceOf(IOException.class)
        .hasMessageEndingWith("full: exists and is not empty; remove it or name another one");
    SceneOptions lost = new SceneOptions(1, 1, 64, 1, folder.resolve("none"), 0, 1);
    assertThatThrownBy(() -> SceneData.write(lost, folder.resolve("s"), done -> {}))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("train.tar: no such file");
    assertThatThrownBy(
            () ->
                SceneData.write(
                    options(9999, 1, 1),
                    folder.resolve("s"),
                    done -> {
                      throw new IllegalStateException("stopped");
                    }))
        .hasMessage("stopped");
    try (var left = Files.list(folder)) {
      assertThat(left).containsExactly(full);
    }
  }

  @Test
  void aPictureShowsWhatTheSceneSays() throws Exception {
    Thing circle = new Thing("circle", "red");
    Thing square = new Thing("square", "blue");
    Scene scene =
        new Scene(
            5,
            List.of(new Placement(circle, 0.25, 0.5, 0.4), new Placement(square, 0.75, 0.5, 0.3)));
    RgbImage image = new ScenePainter(100, Map.of()).paint(scene);
    BufferedImage read = ImageIO.read(new ByteArrayInputStream(image.png()));
    assertThat(read.getRGB(25, 50)).isEqualTo(0xFFE02020);
    assertThat(read.getRGB(25, 32)).isEqualTo(0xFFE02020);
    assertThat(read.getRGB(75, 50)).isEqualTo(0xFF2850E0);
    assertThat(read.getRGB(62, 37)).isEqualTo(0xFF2850E0);
    // The circle's box has pale corners.
    assertThat(read.getRGB(7, 32) >> 8 & 0xFF).isGreaterThan(0xD0);
    assertThat(read.getRGB(50, 5) >> 8 & 0xFF).isGreaterThan(0xD0);
  }

  @Test
  void anEmojiIsScaledByTheMeanOfWhatAPixelCovers() {
    BufferedImage picture = new BufferedImage(6, 8, BufferedImage.TYPE_INT_ARGB);
    for (int y = 2; y < 6; y++) {
      for (int x = 1; x < 5; x++) {
        picture.setRGB(x, y, x < 3 ? 0xFF640000 : 0xFF00C800);
      }
    }
    Sprite sprite = Sprite.trimmed(picture);
    assertThat(sprite).isNotNull();
    assertThat(sprite.width()).isEqualTo(4);
    assertThat(sprite.height()).isEqualTo(4);
    assertThat(sprite.scaled(2).pixels())
        .containsExactly(100, 0, 0, 255, 0, 200, 0, 255, 100, 0, 0, 255, 0, 200, 0, 255);
    assertThat(sprite.scaled(1).pixels()).containsExactly(50, 100, 0, 255);
    assertThat(Sprite.trimmed(new BufferedImage(3, 3, BufferedImage.TYPE_INT_ARGB))).isNull();
  }
}
