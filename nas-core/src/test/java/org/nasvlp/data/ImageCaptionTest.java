package org.nasvlp.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;

/** Captions are had without decoding pictures, and are those of the pairs. */
class ImageCaptionTest {
  @TempDir private Path folder;

  private static void assertSameAsPairs(ImageTextDataset dataset, int count) throws Exception {
    for (int i = 0; i < count; i++) {
      ImageTextPair pair = dataset.get(i);
      assertThat(dataset.caption(i)).isEqualTo(new ImageCaption(pair.imageId(), pair.caption()));
    }
  }

  @Test
  void shards() throws Exception {
    new Fixtures.Tar()
        .pair("0", 1, "one\n")
        .add("0.json", "{\"image_id\": \"x\"}")
        .pair("1", 2, "two")
        .add("2.png", "not a picture")
        .add("2.txt", "three")
        .add("3.png", Fixtures.png(3))
        .add("3.txt", new byte[] {(byte) 0xFF})
        .write(folder.resolve("a.tar"));
    new Fixtures.Tar().pair("0", 3, "four").write(folder.resolve("b.tar"));
    for (Path path : List.of(folder, folder.resolve("a.tar"))) {
      ImageTextDataset dataset = ImageTextDataset.open(path, Fixtures.WHITE);
      assertSameAsPairs(dataset, 2);
      assertThat(dataset.caption(2).caption()).isEqualTo("three");
      assertThatThrownBy(() -> dataset.get(2)).isInstanceOf(BadSampleException.class);
      assertThatThrownBy(() -> dataset.caption(3))
          .isInstanceOf(BadSampleException.class)
          .hasMessageContaining("UTF-8");
      assertThatThrownBy(() -> dataset.caption(dataset.size()))
          .isInstanceOf(IndexOutOfBoundsException.class);
      dataset.close();
      assertThatThrownBy(() -> dataset.caption(0)).isInstanceOf(IllegalStateException.class);
    }
    try (ImageTextDataset dataset = ImageTextDataset.open(folder, Fixtures.WHITE)) {
      assertThat(dataset.caption(4)).isEqualTo(new ImageCaption(dataset.get(4).imageId(), "four"));
    }
  }

  @Test
  void lists() throws Exception {
    Files.write(folder.resolve("a.png"), Fixtures.png(0));
    Files.writeString(
        folder.resolve("captions.json"),
        """
        [{"image": "a.png", "caption": ["one", "two"], "image_id": 5},
         {"image": "missing.png", "caption": "three"},
         {"image": "a.png"}]
        """);
    try (ImageTextDataset dataset = ImageTextDataset.open(folder, Fixtures.WHITE)) {
      assertSameAsPairs(dataset, 2);
      assertThat(dataset.caption(2).caption()).isEqualTo("three");
      assertThatThrownBy(() -> dataset.caption(3))
          .isInstanceOf(BadSampleException.class)
          .hasMessageContaining("caption");
    }
  }

  @Test
  void aDataSetOfTheUsersNeedsNothingMore() throws Exception {
    ImageTextDataset dataset =
        new ImageTextDataset() {
          @Override
          public long size() {
            return 1;
          }

          @Override
          public ImageTextPair get(long index) {
            return new ImageTextPair("k", 9, new RgbImage(1, 1, new byte[3]), "a dog");
          }

          @Override
          public String name() {
            return "mine";
          }
        };
    assertThat(dataset.caption(0)).isEqualTo(new ImageCaption(9, "a dog"));
  }

  @Test
  void normalisedTextStaysAsItIs() {
    for (String caption :
        List.of("<<person>>'s <person>", "<per.son>", "A-B/C, d!", "...", "\u0130 x", "<Person>")) {
      String once = CaptionTokenizer.normalize(caption);
      assertThat(CaptionTokenizer.normalize(once)).as(caption).isEqualTo(once);
    }
    assertThat(CaptionTokenizer.normalize("<person> in red-hat")).isEqualTo("person in red hat");
  }
}
