package org.nasvlp.data.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.Fixtures;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;

class DatasetCheckTest {
  @TempDir private Path folder;

  private ImageTextDataset dataset(String json) throws Exception {
    return ImageTextDataset.open(
        Files.writeString(folder.resolve("list.json"), json), Fixtures.WHITE);
  }

  private static ImageTextDataset of(List<ImageTextPair> pairs) {
    return new ImageTextDataset() {
      @Override
      public long size() {
        return pairs.size();
      }

      @Override
      public ImageTextPair get(long index) {
        return pairs.get((int) index);
      }

      @Override
      public String name() {
        return "many";
      }
    };
  }

  @Test
  void theMedianOfEvenlyManyIsTheLower() throws Exception {
    List<ImageTextPair> pairs = new ArrayList<>();
    for (int n = 1; n <= 6; n++) {
      String caption = "a" + " b".repeat(n - 1);
      pairs.add(new ImageTextPair("k" + n, n, new RgbImage(1, 1, new byte[3]), caption));
      assertThat(DatasetCheck.run(of(pairs), null, 1, done -> {}).words())
          .isEqualTo(new DatasetReport.Spread(1, (n + 1) / 2, n));
    }
  }

  @Test
  void countsOfManyAreThoseOfSets() throws Exception {
    Random random = new Random(5);
    List<ImageTextPair> pairs = new ArrayList<>();
    for (int i = 0; i < 5_000; i++) {
      int picture = random.nextInt(700);
      byte[] rgb = {(byte) (picture % 250), (byte) (picture / 250), 3};
      // Ids that are small numbers, and their negatives, as data sets have them.
      pairs.add(
          new ImageTextPair(
              "k" + i, picture - 300, new RgbImage(1, 1, rgb), "caption " + random.nextInt(900)));
    }
    ImageTextDataset many = of(pairs);
    DatasetReport report = DatasetCheck.run(many, null, 2, done -> {});
    Map<String, Long> firstOf = new HashMap<>();
    long shared = 0;
    for (ImageTextPair pair : pairs) {
      Long first = firstOf.putIfAbsent(pair.caption(), pair.imageId());
      shared += first != null && first != pair.imageId() ? 1 : 0;
    }
    assertThat(report.images())
        .isEqualTo(pairs.stream().map(ImageTextPair::imageId).distinct().count());
    assertThat(report.repeatedCaptions()).isEqualTo(5_000 - firstOf.size());
    assertThat(report.sharedCaptions()).isEqualTo(shared);
    assertThat(report.repeatedImages()).isZero();
  }

  @Test
  void countsByHand() throws Exception {
    Files.write(folder.resolve("a.png"), Fixtures.png(0x0A0000));
    Files.write(folder.resolve("same.png"), Fixtures.png(0x0A0000));
    Files.write(
        folder.resolve("wide.png"),
        Fixtures.encode(Fixtures.pattern(9, 5, java.awt.image.BufferedImage.TYPE_INT_RGB), "png"));
    String json =
        """
        [{"image": "a.png", "caption": "a red dog"},
         {"image": "a.png", "caption": "A red dog!"},
         {"image": "wide.png", "caption": "a red dog"},
         {"image": "same.png", "caption": "one two three four five six seven"},
         {"image": "none1.png", "caption": "x"}, {"image": "none22.png", "caption": "x"},
         {"image": "a.png"}, {"image": "same.png", "caption": "a RED dog"}]
        """;
    try (ImageTextDataset dataset = dataset(json);
        CaptionTokenizer tokenizer = Fixtures.tokenizer()) {
      List<Long> progress = new ArrayList<>();
      DatasetReport report = DatasetCheck.run(dataset, tokenizer, 1, progress::add);
      assertThat(progress).containsExactly(8L);
      RgbImage one = dataset.get(0).image();
      DatasetReport expected =
          new DatasetReport(
              8,
              3,
              java.util.Map.of("the image file does not exist", 2L, "has no \"caption\"", 1L),
              List.of(
                  "list.json[4] (none1.png): the image file does not exist",
                  "list.json[5] (none22.png): the image file does not exist",
                  "list.json[6]: has no \"caption\""),
              3,
              new DatasetReport.Spread(one.width(), one.width(), 9),
              new DatasetReport.Spread(one.height(), one.height(), 5),
              new DatasetReport.Spread(3, 3, 7),
              report.tokens(),
              1,
              3,
              2,
              1);
      assertThat(report).isEqualTo(expected);
      assertThat(report.badByReason().keySet())
          .containsExactly("the image file does not exist", "has no \"caption\"");
      // "a red dog" with its two special tokens; seven words are more than eight with them.
      assertThat(report.tokens().least()).isEqualTo(5);
      assertThat(report.tokens().most()).isGreaterThan(8);
      assertThat(DatasetCheck.run(dataset, tokenizer, 3, done -> {})).isEqualTo(report);
      assertThat(DatasetCheck.run(dataset, null, 1, done -> {}).tokens()).isNull();
    }
  }

  @Test
  void aFailureThatIsNoBadSampleEndsIt() {
    ImageTextDataset broken =
        new ImageTextDataset() {
          @Override
          public long size() {
            return 1000;
          }

          @Override
          public ImageTextPair get(long index) {
            throw new UnsupportedOperationException("no");
          }

          @Override
          public String name() {
            return "broken";
          }
        };
    assertThatThrownBy(() -> DatasetCheck.run(broken, null, 2, done -> {}))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("broken");
    assertThatThrownBy(() -> DatasetCheck.run(broken, null, 0, done -> {}))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
