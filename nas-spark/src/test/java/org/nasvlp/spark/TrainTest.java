package org.nasvlp.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.train.NasTrainer;
import org.nasvlp.train.Shapes;
import org.nasvlp.train.StepReport;
import org.nasvlp.train.TrainingException;
import org.nasvlp.train.TrainingListener;

class TrainTest {
  private static final int STEPS = 30;

  @TempDir Path work;

  /** Shapes as shards, and their tokenizer. */
  @BeforeEach
  void shapes() throws Exception {
    Path images = Files.createDirectory(work.resolve("images"));
    Pictures pictures = new Pictures(images);
    Shapes shapes = new Shapes();
    for (int i = 0; i < shapes.size(); i++) {
      Path file = images.resolve(i + ".png");
      Files.write(file, shapes.get(i).image().png());
      pictures.add(i, file, shapes.get(i).caption());
    }
    SparkNas.prepare(
        pictures.paths(LocalSpark.session()),
        PrepareOptions.to(work.resolve("data").toUri().toString()).withId("id"));
    Shapes.tokenizer(work, 8).close();
  }

  private static TrainOptions options(Path work, String output) {
    NasConfig config =
        Shapes.config(STEPS)
            .withTraining(training -> training.checkpointEvery(10).keepCheckpoints(100));
    return TrainOptions.of(
        config,
        work.resolve("data").toString(),
        work.resolve("tokenizer.json").toString(),
        work.resolve(output).toString());
  }

  /** The driver: trains twice, the second time slowly, so that the test can disturb it. */
  static final class Driver {
    private Driver() {}

    public static void main(String[] arguments) throws IOException {
      Path work = Path.of(arguments[1]);
      try (SparkSession spark = Standalone.session(arguments[0]).getOrCreate()) {
        System.out.println(
            "undisturbed: " + SparkNas.train(spark, options(work, "undisturbed").withRanks(2)));
        System.out.println(
            "disturbed: "
                + SparkNas.train(
                    spark,
                    options(work, "disturbed")
                        .withRanks(2)
                        .withTrainer(
                            trainer ->
                                trainer.listener(
                                    new TrainingListener() {
                                      @Override
                                      public void onStep(StepReport report) {
                                        pause();
                                      }
                                    }))));
      }
    }

    private static void pause() {
      try {
        Thread.sleep(100);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Test
  void aTrainingThatLosesAnExecutorEndsWithTheSameBits() throws Exception {
    Path disturbed = work.resolve("disturbed");
    try (Standalone cluster = new Standalone(work, "600m")) {
      Process driver = cluster.driver(Driver.class, work);
      cluster.await(
          "a checkpoint of the second training",
          () -> Files.isDirectory(disturbed.resolve("checkpoints/step-00000010")));
      cluster.executor().orElseThrow().destroyForcibly();
      cluster.awaitEnd(driver);
      assertThat(cluster.log("driver"))
          .contains("undisturbed: Trained[")
          .containsPattern("disturbed: Trained\\[.*step=30, .*attempts=[2-4]\\]");
    }
    Map<String, byte[]> expected = last(work.resolve("undisturbed"));
    assertThat(expected).containsKeys("model.safetensors");
    last(disturbed)
        .forEach(
            (name, bytes) -> {
              if (name.endsWith(".safetensors")) {
                assertThat(bytes).as(name).isEqualTo(expected.get(name));
              }
            });
  }

  private static Map<String, byte[]> last(Path output) throws IOException {
    return new TreeMap<>(
        LocalSpark.files(output.resolve("checkpoints").resolve("step-%08d".formatted(STEPS))));
  }

  @Test
  void oneRankTrainsInLocalMode() throws Exception {
    Trained trained = SparkNas.train(LocalSpark.session(), options(work, "local"));
    assertThat(trained.step()).isEqualTo(STEPS);
    assertThat(trained.attempts()).isEqualTo(1);
    assertThat(trained.losses()).containsKeys("itc", "itm");
    assertThat(trained.checkpoint())
        .isEqualTo(work.resolve("local/checkpoints").resolve("step-00000030").toString());
    assertThatThrownBy(() -> SparkNas.train(LocalSpark.session(), options(work, "local")))
        .isInstanceOf(TrainingException.class)
        .hasMessage(
            work.resolve("local")
                + " already holds a run: go on with it by withResume(true), or choose another"
                + " output");
    assertThat(SparkNas.train(LocalSpark.session(), options(work, "local").withResume(true)).step())
        .isEqualTo(STEPS);
    // What it gives is what the trainer gives that Spark does not begin.
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(work, 8);
        ImageTextDataset data = ImageTextDataset.open(work.resolve("data"), 0xFFFFFF)) {
      NasTrainer.builder()
          .config(NasConfig.fromJson(options(work, "alone").config(), "test"))
          .dataset(data)
          .tokenizer(tokenizer)
          .output(work.resolve("alone"))
          .threads(1)
          .cluster(Cluster.alone())
          .build()
          .run();
    }
    assertThat(last(work.resolve("local")).get("model.safetensors"))
        .isEqualTo(last(work.resolve("alone")).get("model.safetensors"));
  }

  @Test
  void ranksOfOneExecutorAreRefused() {
    assertThatThrownBy(
            () -> SparkNas.train(LocalSpark.session(), options(work, "both").withRanks(2)))
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("ranks 0 and 1 are in one executor, driver")
        .hasMessageContaining("set spark.executor.cores to spark.task.cpus");
  }

  @Test
  void tooFewSlotsAreTold() {
    assertThatThrownBy(
            () ->
                Barrier.train(
                    LocalSpark.session().sparkContext(), options(work, "three").withRanks(3), 1))
        .isInstanceOf(TrainingException.class)
        .hasMessage(
            "3 ranks run at once, and after 1 s Spark has room for 2 tasks: add executors, give"
                + " each as many cores as spark.task.cpus, or train on fewer ranks");
  }

  @Test
  void theReasonOfARankReachesTheDriver() {
    TrainOptions missing =
        TrainOptions.of(
            Shapes.config(STEPS),
            work.resolve("nowhere").toString(),
            work.resolve("tokenizer.json").toString(),
            work.resolve("none").toString());
    assertThatThrownBy(() -> SparkNas.train(LocalSpark.session(), missing))
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining("nowhere");
  }
}
