package org.nasvlp.data.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.Fixtures;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;

class ShardWriterTest {
  @TempDir private Path folder;
  private Path list;

  @BeforeEach
  void data() throws IOException {
    for (String format : List.of("png", "jpg", "gif", "bmp")) {
      Files.write(
          folder.resolve("x." + format),
          Fixtures.encode(Fixtures.pattern(9, 7, BufferedImage.TYPE_INT_RGB), format));
    }
    list =
        Files.writeString(
            folder.resolve("list.json"),
            """
            [{"image": "x.png", "caption": ["one", "two \\u00e9"], "image_id": 5},
             {"image": "gone.png", "caption": "x"},
             {"image": "x.jpg", "caption": "three"}, {"image": "x.gif", "caption": "four"},
             {"image": "x.bmp", "caption": "five"}]
            """);
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void whatGoesInComesOut() throws Exception {
    for (long bytes : new long[] {1, 1 << 20}) {
      Path out = folder.resolve("out" + bytes);
      Path again = folder.resolve("again" + bytes);
      List<Long> done = new ArrayList<>();
      try (ImageTextDataset dataset = ImageTextDataset.open(list, Fixtures.WHITE)) {
        ShardWriter.Result result = ShardWriter.write(dataset, out, "s", bytes, done::add);
        assertThat(done).containsExactly(1L, 2L, 3L, 4L, 5L, 6L);
        assertThat(result.pairs()).isEqualTo(5);
        assertThat(result.skipped())
            .containsExactly("list.json[1] (gone.png): the image file does not exist");
        assertThat(result.shards()).hasSize(bytes == 1 ? 5 : 1);
        ShardWriter.write(dataset, again, "s", bytes, count -> {});
        assertThat(names(again)).isEqualTo(names(out));
        for (String name : names(out)) {
          assertThat(out.resolve(name)).hasSameBinaryContentAs(again.resolve(name));
        }
        int[] from = {0, 1, 3, 4, 5};
        try (ImageTextDataset packed = ImageTextDataset.open(out, Fixtures.WHITE)) {
          assertThat(packed.size()).isEqualTo(5);
          for (int i = 0; i < from.length; i++) {
            ImageTextPair a = dataset.get(from[i]);
            ImageTextPair b = packed.get(i);
            assertThat(b.caption()).isEqualTo(a.caption());
            assertThat(b.imageId()).isEqualTo(a.imageId());
            assertThat(b.image().rgb()).isEqualTo(a.image().rgb());
            if (i < 3) {
              assertThat(packed.encodedImage(i)).isEqualTo(dataset.encodedImage(from[i]));
            }
          }
        }
      }
    }
  }

  @Test
  void nothingIsOverwrittenOrLeftHalfDone() throws Exception {
    Path out = folder.resolve("out");
    try (ImageTextDataset dataset = ImageTextDataset.open(list, Fixtures.WHITE)) {
      ShardWriter.write(dataset, out, "s", 1 << 20, count -> {});
      assertThatThrownBy(() -> ShardWriter.write(dataset, out, "s", 1 << 20, count -> {}))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("s-000000.tar exists already");
      assertThatThrownBy(
              () ->
                  ShardWriter.write(
                      dataset,
                      out,
                      "t",
                      1,
                      count -> {
                        if (count == 2) {
                          throw new IllegalStateException("stopped");
                        }
                      }))
          .hasMessage("stopped");
    }
    assertThat(names(out)).containsExactly("s-000000.tar", "t-000000.tar");
  }
}
