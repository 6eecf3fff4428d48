package org.nasvlp.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorRemoved;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Packing on a cluster of several processes. */
class ClusterTest {
  private static final int SHARDS = 40;
  private static final int PER_SHARD = 3;

  @TempDir Path folder;
  private Path images;
  private Path work;

  @BeforeEach
  void folders() throws IOException {
    images = Files.createDirectory(folder.resolve("images"));
    work = Files.createDirectory(folder.resolve("work"));
  }

  /** The driver: prepares what the test has drawn. */
  static final class Driver {
    private Driver() {}

    public static void main(String[] arguments) throws Exception {
      String master = arguments[0];
      Path images = Path.of(arguments[1]);
      Path output = Path.of(arguments[2]);
      SparkSession.Builder builder =
          Standalone.session(master).config("spark.hadoop.fs.gate.impl", Gate.class.getName());
      AtomicInteger removed = new AtomicInteger();
      try (SparkSession spark = builder.getOrCreate()) {
        spark
            .sparkContext()
            .addSparkListener(
                new SparkListener() {
                  @Override
                  public void onExecutorRemoved(SparkListenerExecutorRemoved event) {
                    removed.incrementAndGet();
                  }
                });
        Dataset<Row> rows = rows(images, "gate:").paths(spark);
        // More partitions than executors: some are under way whenever one dies.
        SparkNas.prepare(rows.repartition(6), options(output));
        System.out.println("executors lost: " + removed.get());
      }
    }
  }

  /**
   * Local files, of which those of the last shards are held back while shards are written, until
   * the test lets them go: so no executor is done before one is killed.
   */
  public static final class Gate extends RawLocalFileSystem {
    /** For Hadoop. */
    public Gate() {}

    @Override
    public URI getUri() {
      return URI.create("gate:///");
    }

    @Override
    public FSDataInputStream open(org.apache.hadoop.fs.Path file, int buffer) throws IOException {
      Path image = pathToFile(file).toPath();
      Path work = image.getParent().resolveSibling("work");
      if (image.getFileName().toString().compareTo("060") > 0) {
        while (shards(work.resolve("cluster")) > 0 && !Files.exists(work.resolve("go"))) {
          try {
            Thread.sleep(20);
          } catch (InterruptedException e) {
            throw new InterruptedIOException();
          }
        }
      }
      return super.open(file, buffer);
    }
  }

  private static PrepareOptions options(Path output) {
    return PrepareOptions.to(output.toUri().toString())
        .withId("id")
        .withPairsPerShard(PER_SHARD)
        .withShorterSide(30);
  }

  /** Rows of what {@link Pictures#drawn} drew, and one that is refused. */
  private static Pictures rows(Path images, String scheme) {
    Pictures pictures = new Pictures(images);
    for (int id = 0; id < SHARDS * PER_SHARD; id++) {
      String file = scheme + images.resolve("%03d.png".formatted(id));
      pictures.add(id, file, "picture number " + id);
    }
    pictures.add(1000, scheme + images.resolve("missing.png"), "not there");
    return pictures;
  }

  @Test
  void aKilledExecutorChangesNothing() throws Exception {
    Pictures pictures = new Pictures(images);
    for (int id = 0; id < SHARDS * PER_SHARD; id++) {
      pictures.draw(id, "png", 40, 50);
    }
    Path output = work.resolve("cluster");
    try (Standalone cluster = new Standalone(work, "600m")) {
      Process driver = cluster.driver(Driver.class, images, output);
      cluster.await("the first shards", () -> shards(output) >= 3);
      ProcessHandle executor = cluster.executor().orElseThrow();
      executor.destroyForcibly();
      assertThat(shards(output)).as("shards when an executor was killed").isLessThan(SHARDS - 10);
      Files.createFile(work.resolve("go"));
      cluster.awaitEnd(driver);
      assertThat(cluster.log("driver")).contains("executors lost: 1");
    }

    Path local = work.resolve("local");
    SparkNas.prepare(rows(images, "").paths(LocalSpark.session()), options(local));
    Map<String, byte[]> wanted = LocalSpark.files(local);
    Map<String, byte[]> got = LocalSpark.files(output);
    assertThat(wanted).containsKeys("manifest.json", "pairs-000039.tar");
    assertThat(got.keySet()).isEqualTo(wanted.keySet());
    wanted.forEach((name, bytes) -> assertThat(got.get(name)).as(name).isEqualTo(bytes));
  }

  private static int shards(Path output) throws IOException {
    try (var files = Files.list(output)) {
      return (int) files.filter(file -> file.toString().endsWith(".tar")).count();
    } catch (NoSuchFileException e) {
      return 0;
    }
  }
}
