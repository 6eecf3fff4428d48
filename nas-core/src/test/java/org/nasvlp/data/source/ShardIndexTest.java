package org.nasvlp.data.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ShardIndexTest {
  private static final List<String> EXTENSIONS = List.of("png", "jpg", "jpeg", "txt", "json");

  /** What a plain map keeps of a pair. */
  private static final class Expected {
    private final Map<String, ShardIndex.Part> parts = new TreeMap<>();
    private String problem;

    void fail(String reason) {
      problem = problem == null ? reason : problem;
    }
  }

  private static String kind(String extension) {
    return extension.equals("txt") || extension.equals("json") ? extension : "image";
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void keepsWhatAPlainMapKeeps(long seed) {
    Random random = new Random(seed);
    int keys = 1 << random.nextInt(1, 13);
    ShardIndex index = new ShardIndex();
    Map<String, Expected> expected = new LinkedHashMap<>();
    for (int i = 0; i < 3 * keys; i++) {
      String key = "dir/ü" + random.nextInt(keys);
      String extension = EXTENSIONS.get(random.nextInt(EXTENSIONS.size()));
      boolean odd = random.nextInt(10) == 0;
      long length = random.nextInt(50) == 0 ? 3L << 30 : random.nextInt(Integer.MAX_VALUE);
      ShardIndex.Part part =
          new ShardIndex.Part(
              key + "." + (odd ? extension.toUpperCase(java.util.Locale.ROOT) : extension),
              512L * (random.nextLong() >>> 32),
              length);
      Expected of = expected.computeIfAbsent(key, k -> new Expected());
      ShardIndex.Part earlier = of.parts.get(kind(extension));
      if (earlier != null) {
        of.fail("has both " + earlier.entry() + " and " + part.entry() + "; keep one");
      }
      if (length > Integer.MAX_VALUE) {
        of.fail(part.entry() + " has " + length + " bytes, too many for a part of a pair");
      }
      of.parts.put(kind(extension), part);
      int pair = index.pair(key);
      index.add(pair, extension, part);
      if (random.nextInt(40) == 0) {
        of.fail("for a test");
        index.fail(pair, "for a test");
      }
    }
    index.finish();
    expected
        .values()
        .removeIf(
            of ->
                of.problem == null
                    && !of.parts.containsKey("image")
                    && !of.parts.containsKey("txt"));
    assertThat(index.size()).isEqualTo(expected.size());
    int pair = 0;
    int usable = 0;
    for (var entry : expected.entrySet()) {
      String key = entry.getKey();
      Expected of = entry.getValue();
      if (!of.parts.containsKey("image")) {
        of.fail("has a caption but no image (" + key + ".png, .jpg or .jpeg)");
      }
      if (!of.parts.containsKey("txt")) {
        of.fail("has an image but no caption (" + key + ".txt)");
      }
      assertThat(index.key(pair)).isEqualTo(key);
      assertThat(index.problem(pair)).as(key).isEqualTo(of.problem);
      if (of.problem == null) {
        usable++;
        assertThat(index.image(pair)).isEqualTo(of.parts.get("image"));
        assertThat(index.text(pair)).isEqualTo(of.parts.get("txt"));
        assertThat(index.json(pair)).isEqualTo(of.parts.get("json"));
      }
      pair++;
    }
    assertThat(index.usable()).isEqualTo(usable);
    assertThat(usable).isLessThan(expected.size());
  }

  @Test
  void aTarOfMoreThanTwoTebibytesIsRefused() {
    List<Long> read = new ArrayList<>();
    ArchiveBytes large =
        new ArchiveBytes() {
          @Override
          public long size() {
            return (1L << 41) + 512;
          }

          @Override
          public void read(ByteBuffer into, long at) {
            read.add(at);
          }

          @Override
          public void close() {}
        };
    assertThatThrownBy(() -> TarHeaders.read(Path.of("large.tar"), large))
        .isInstanceOf(IOException.class)
        .hasMessage("large.tar has 2199023256064 bytes; divide it into shards of 2 TiB at most");
    assertThat(read).isEmpty();
  }
}
