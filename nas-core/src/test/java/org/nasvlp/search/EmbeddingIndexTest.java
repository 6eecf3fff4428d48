package org.nasvlp.search;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EmbeddingIndexTest {
  @TempDir private Path folder;

  private static List<String> keys(int count) {
    return IntStream.range(0, count).mapToObj(i -> "bild ü " + i + ".png").toList();
  }

  /** Small whole numbers, so that many similarities are equal. */
  private static float[][] embeddings(Random random, int count, int width) {
    float[][] all = new float[count][width];
    for (float[] one : all) {
      for (int i = 0; i < width; i++) {
        one[i] = random.nextInt(-2, 3);
      }
    }
    return all;
  }

  private static BigDecimal exact(float[] a, float[] b) {
    BigDecimal sum = BigDecimal.ZERO;
    for (int i = 0; i < a.length; i++) {
      sum = sum.add(new BigDecimal(a[i]).multiply(new BigDecimal(b[i])));
    }
    return sum;
  }

  @ParameterizedTest
  @CsvSource({"1,1,3", "5,7,2", "40000,5,100", "16385,3,16390", "300,97,1"})
  void findsWhatSortingEverythingFinds(int count, int width, int top) {
    Random random = new Random(31L * count + width);
    float[][] embeddings = embeddings(random, count, width);
    EmbeddingIndex index = EmbeddingIndex.of(width, keys(count), embeddings, Map.of());
    assertThat(index.size()).isEqualTo(count);
    float[] query = embeddings(random, 1, width)[0];
    List<BigDecimal> similarities = new ArrayList<>();
    for (float[] embedding : embeddings) {
      similarities.add(exact(embedding, query));
    }
    List<Integer> expected =
        IntStream.range(0, count)
            .boxed()
            .sorted(
                Comparator.comparing((Integer i) -> similarities.get(i))
                    .reversed()
                    .thenComparing(i -> i))
            .limit(top)
            .toList();
    List<EmbeddingIndex.Hit> hits = index.search(query, top);
    assertThat(hits).extracting(EmbeddingIndex.Hit::place).isEqualTo(expected);
    for (EmbeddingIndex.Hit hit : hits) {
      assertThat(hit.key()).isEqualTo(index.key(hit.place()));
      assertThat(hit.similarity()).isEqualTo(similarities.get(hit.place()).doubleValue());
      assertThat(index.embedding(hit.place())).isEqualTo(embeddings[hit.place()]);
      assertThat(index.places()).containsEntry(hit.key(), hit.place());
    }
  }

  @ParameterizedTest
  @CsvSource({"0,4", "1,1", "20000,3"})
  void comesBackFromAFile(int count, int width) throws IOException {
    float[][] embeddings = new float[count][width];
    Random random = new Random(3);
    for (float[] one : embeddings) {
      for (int i = 0; i < width; i++) {
        one[i] = (float) random.nextGaussian();
      }
    }
    Map<String, String> about = Map.of("model", "a model", "note", "äöü");
    Path file = folder.resolve("index.safetensors");
    Files.writeString(file, "replaced");
    EmbeddingIndex.of(width, keys(count), embeddings, about).save(file);
    assertThat(folder).isDirectoryContaining("glob:**index.safetensors");
    try (var files = Files.list(folder)) {
      assertThat(files).hasSize(1);
    }
    EmbeddingIndex again = EmbeddingIndex.load(file);
    assertThat(again.about()).isEqualTo(about);
    assertThat(again.width()).isEqualTo(width);
    assertThat(again.size()).isEqualTo(count);
    List<String> keys = keys(count);
    for (int i = 0; i < count; i++) {
      assertThat(again.key(i)).isEqualTo(keys.get(i));
      assertThat(again.embedding(i)).isEqualTo(embeddings[i]);
    }
  }

  @Test
  void refusesWhatIsNoIndex() throws IOException {
    List<String> keys = List.of("a", "b");
    assertThatThrownBy(() -> EmbeddingIndex.of(2, keys, new float[3][2], Map.of()))
        .hasMessage("2 keys were given for 3 embeddings");
    assertThatThrownBy(() -> EmbeddingIndex.of(2, List.of("a", "a"), new float[2][2], Map.of()))
        .hasMessage("the key a occurs twice");
    assertThatThrownBy(() -> EmbeddingIndex.of(2, keys, new float[][] {{1, 2}, {3}}, Map.of()))
        .hasMessage("the embedding of b has 1 numbers, and the index a width of 2");
    assertThatThrownBy(
            () -> EmbeddingIndex.of(2, keys, new float[][] {{1, 2}, {3, Float.NaN}}, Map.of()))
        .hasMessage("the embedding of b holds NaN");
    assertThatThrownBy(() -> EmbeddingIndex.of(0, List.of(), new float[0][], Map.of()))
        .hasMessageContaining("width is 0");
    EmbeddingIndex index = EmbeddingIndex.of(2, keys, new float[][] {{1, 0}, {0, 1}}, Map.of());
    assertThatThrownBy(() -> index.search(new float[3], 1)).hasMessageContaining("3 numbers");
    assertThatThrownBy(() -> index.search(new float[2], 0)).hasMessageContaining("top is 0");
    assertThatThrownBy(() -> index.search(new float[] {1, Float.POSITIVE_INFINITY}, 1))
        .hasMessageContaining("the query holds Infinity");

    Path file = folder.resolve("cut.safetensors");
    index.save(file);
    byte[] whole = Files.readAllBytes(file);
    for (int length = 0; length < whole.length; length++) {
      Files.write(file, Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> EmbeddingIndex.load(file))
          .isInstanceOf(IOException.class)
          .hasMessageContaining(file.toString());
    }
    // One bit elsewhere: read, or refused by name.
    for (int at = 0; at < whole.length; at++) {
      byte[] changed = whole.clone();
      changed[at] ^= 0x40;
      Files.write(file, changed);
      try {
        EmbeddingIndex other = EmbeddingIndex.load(file);
        assertThat(other.size()).isEqualTo(2);
      } catch (IOException e) {
        assertThat(e).hasMessageContaining(file.toString());
      }
    }
  }
}
