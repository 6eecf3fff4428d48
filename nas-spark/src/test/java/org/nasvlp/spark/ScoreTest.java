package org.nasvlp.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.NasModel;
import org.nasvlp.train.Shapes;

class ScoreTest {
  private static final int WHITE = 0xFFFFFF;

  /** Batches of other sizes may be summed in another order, of float32. */
  private static final double ROUNDING = 1e-5;

  private final SparkSession spark = LocalSpark.session();

  @TempDir Path images;
  @TempDir Path work;
  private Path checkpoint;

  @BeforeEach
  void checkpoint() throws IOException {
    checkpoint = Files.createDirectory(work.resolve("checkpoint"));
    writeModel(checkpoint, 1);
  }

  /** A model with fresh parameters of that seed. */
  private void writeModel(Path folder, int seed) throws IOException {
    NasConfig config = Shapes.config(1).withTraining(training -> training.seed(seed));
    float[] tokens = new float[50 * 32];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = (float) Math.sin(0.7 * i);
    }
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(work, 8);
        NasModel model = NasModel.create(config, tokenizer)) {
      model.startDictionary(tokens);
      model.write(folder);
    }
  }

  /** Pictures of noise, which a fresh model tells apart. */
  private Pictures pictures(int count) throws IOException {
    Pictures pictures = new Pictures(images);
    Shapes shapes = new Shapes();
    for (int i = 0; i < count; i++) {
      try {
        Path file = images.resolve(i + ".png");
        Files.write(file, shapes.get(i).image().png());
        pictures.add(i, file, shapes.get((i * 5 + 1) % 32).caption());
      } catch (org.nasvlp.data.BadSampleException e) {
        throw new IllegalStateException(e);
      }
    }
    return pictures;
  }

  private Dataset<Row> score(Dataset<Row> rows) {
    return SparkNas.score(rows, checkpoint.toString(), ScoreOptions.defaults().withBatch(4));
  }

  @Test
  void scoresAreThoseOfTheModelItself() throws Exception {
    Pictures pictures = pictures(11);
    for (Dataset<Row> rows : List.of(pictures.paths(spark), pictures.bytes(spark))) {
      List<Row> scored = score(rows.repartition(3)).orderBy("id").collectAsList();
      assertThat(scored).hasSize(11);
      try (NasModel model = NasModel.load(checkpoint)) {
        for (Row row : scored) {
          RgbImage image = RgbImage.read(images.resolve(row.getLong(0) + ".png"), WHITE);
          String caption = row.getAs("caption");
          assertThat(row.<Double>getAs(SparkNas.MATCH))
              .isCloseTo(model.score(image, List.of(caption))[0], within(ROUNDING));
          float[] seen = model.encodeImage(List.of(image))[0];
          float[] read = model.encodeText(List.of(caption))[0];
          double cosine = 0;
          for (int i = 0; i < seen.length; i++) {
            cosine += (double) seen[i] * read[i];
          }
          assertThat(row.<Double>getAs(SparkNas.COSINE)).isCloseTo(cosine, within(ROUNDING));
          assertThat(row.<String>getAs(SparkNas.ERROR)).isNull();
        }
      }
      // Else any row's score would do for any other.
      for (String column : List.of(SparkNas.MATCH, SparkNas.COSINE)) {
        double[] all = scored.stream().mapToDouble(row -> row.<Double>getAs(column)).toArray();
        java.util.Arrays.sort(all);
        assertThat(all[10] - all[0]).isGreaterThan(100 * ROUNDING);
      }
    }
  }

  @Test
  void embeddingsAreThoseOfTheModelItself() throws Exception {
    Dataset<Row> rows = pictures(7).paths(spark);
    List<Row> embedded =
        SparkNas.embed(rows, checkpoint.toString(), ScoreOptions.defaults().withBatch(3))
            .orderBy("id")
            .collectAsList();
    assertThat(embedded).hasSize(7);
    try (NasModel model = NasModel.load(checkpoint)) {
      for (Row row : embedded) {
        RgbImage image = RgbImage.read(images.resolve(row.getLong(0) + ".png"), WHITE);
        assertClose(
            row.getList(row.fieldIndex(SparkNas.IMAGE_EMBEDDING)),
            model.encodeImage(List.of(image))[0]);
        assertClose(
            row.getList(row.fieldIndex(SparkNas.CAPTION_EMBEDDING)),
            model.encodeText(List.of(row.<String>getAs("caption")))[0]);
      }
    }
  }

  private static void assertClose(List<Float> got, float[] wanted) {
    assertThat(got).hasSize(wanted.length);
    for (int i = 0; i < wanted.length; i++) {
      assertThat(got.get(i)).isCloseTo(wanted[i], within((float) ROUNDING));
    }
  }

  @Test
  void whatCannotBeUsedIsNullAndSaysWhy() throws Exception {
    Pictures pictures = pictures(2);
    pictures.add(2, images.resolve("gone.png"), "red bar left");
    pictures.add(3, Files.writeString(images.resolve("text.png"), "no picture"), "red bar left");
    pictures.add(4, images.resolve("0.png"), null);
    pictures.add(5, null, " ");
    List<Row> scored = score(pictures.paths(spark).coalesce(1)).orderBy("id").collectAsList();
    assertThat(scored).hasSize(6);
    List<String> errors = scored.stream().map(row -> row.<String>getAs(SparkNas.ERROR)).toList();
    assertThat(errors)
        .containsExactly(
            null,
            null,
            "image: the image file does not exist",
            "image: not an image of a known format; convert it to PNG or JPEG",
            "caption: there is none",
            "image: there is none; caption: the caption is empty");
    for (Row row : scored) {
      boolean whole = row.getLong(0) < 2;
      assertThat(row.isNullAt(row.fieldIndex(SparkNas.MATCH))).isEqualTo(!whole);
      assertThat(row.isNullAt(row.fieldIndex(SparkNas.COSINE))).isEqualTo(!whole);
    }
    List<Row> embedded =
        SparkNas.embed(pictures.paths(spark), checkpoint.toString(), ScoreOptions.defaults())
            .orderBy("id")
            .collectAsList();
    assertThat(embedded.stream().map(row -> row.isNullAt(3)))
        .containsExactly(false, false, true, true, false, true);
    assertThat(embedded.stream().map(row -> row.isNullAt(4)))
        .containsExactly(false, false, false, false, true, true);
    assertThat(embedded.stream().map(row -> row.<String>getAs(SparkNas.ERROR)).toList())
        .isEqualTo(errors);
  }

  @Test
  void wrongInputIsNamed() throws Exception {
    Dataset<Row> rows = pictures(1).paths(spark);
    assertThatThrownBy(() -> score(rows.withColumnRenamed("id", "Match")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("there is a column match already; rename or drop it");
    assertThatThrownBy(() -> score(rows.drop("caption")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("there is no column caption; the columns are id, image");
    String nowhere = work.resolve("nowhere").toString();
    assertThatThrownBy(() -> SparkNas.score(rows, nowhere, ScoreOptions.defaults()).collectAsList())
        .hasStackTraceContaining(nowhere + " is neither a checkpoint");
  }

  @Test
  void aModelIsLoadedOnceUntilItsCheckpointChanges() throws Exception {
    Configuration hadoop = new Configuration();
    Set<NasModel> models = ConcurrentHashMap.newKeySet();
    List<Future<Models.Use>> uses = new ArrayList<>();
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      Callable<Models.Use> use = () -> Models.use(checkpoint.toString(), "cpu", hadoop);
      for (int i = 0; i < 8; i++) {
        uses.add(threads.submit(use));
      }
    }
    for (Future<Models.Use> use : uses) {
      models.add(use.get().model());
    }
    assertThat(models).hasSize(1);
    NasModel first = models.iterator().next();

    Path newer = Files.createDirectory(work.resolve("newer"));
    writeModel(newer, 2);
    Files.move(checkpoint, work.resolve("older"));
    Files.move(newer, checkpoint);
    try (Models.Use second = Models.use(checkpoint.toString(), "cpu", hadoop)) {
      assertThat(second.model()).isNotSameAs(first);
      float[] before = first.encodeText(List.of("red bar"))[0];
      assertThat(second.model().encodeText(List.of("red bar"))[0]).isNotEqualTo(before);
      // Open for those that use it still, and closed behind the last of them.
      for (Future<Models.Use> use : uses) {
        first.encodeText(List.of("red bar"));
        use.get().close();
        use.get().close();
      }
      assertThatThrownBy(() -> first.encodeText(List.of("red bar")))
          .isInstanceOf(IllegalStateException.class);
    }
  }
}
