package org.nasvlp.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * How long packing takes on a cluster of two workers of one core each, beside local mode with one
 * and with two threads. Not among the build's tests: {@code mvn verify -Pspark -pl nas-spark -am
 * -Dtest=PrepareTimes -Dsurefire.failIfNoSpecifiedTests=false}.
 */
class PrepareTimes {
  private static final int PICTURES = Integer.getInteger("nas.pictures", 3000);
  private static final int ROUNDS = Integer.getInteger("nas.rounds", 3);
  private static final Pattern TIME = Pattern.compile("took (\\d+) ms");

  @TempDir Path folder;

  /** Packs a few pictures to warm up, then all. */
  static final class Driver {
    private Driver() {}

    public static void main(String[] arguments) throws Exception {
      String local = arguments[3];
      Path images = Path.of(arguments[1]);
      Path output = Path.of(arguments[2]);
      try (SparkSession spark =
          Standalone.session(local.equals("cluster") ? arguments[0] : local).getOrCreate()) {
        prepare(spark, images, 200, output.resolveSibling(output.getFileName() + "-warm"));
        long began = System.nanoTime();
        prepare(spark, images, PICTURES, output);
        System.out.printf("took %d ms%n", (System.nanoTime() - began) / 1_000_000);
      }
    }

    private static void prepare(SparkSession spark, Path images, int count, Path output)
        throws IOException {
      Pictures pictures = new Pictures(images);
      for (int id = 0; id < count; id++) {
        pictures.add(id, file(images, id), "a drawn picture with the number " + id);
      }
      SparkNas.prepare(
          pictures.paths(spark).repartition(8),
          PrepareOptions.to(output.toUri().toString())
              .withId("id")
              .withShorterSide(256)
              .withPairsPerShard(Math.ceilDiv(PICTURES, 12)));
    }
  }

  private static Path file(Path images, int id) {
    return images.resolve("%06d.jpg".formatted(id));
  }

  /** A JPEG of 640 x 480 with edges, colour and grain, as photographs have. */
  private static void draw(Path file, int id) throws IOException {
    Random random = new Random(id);
    BufferedImage image = new BufferedImage(640, 480, BufferedImage.TYPE_INT_RGB);
    int centreX = random.nextInt(640);
    int centreY = random.nextInt(480);
    for (int y = 0; y < 480; y++) {
      for (int x = 0; x < 640; x++) {
        int inside = Math.hypot(x - centreX, y - centreY) < 150 ? 90 : 0;
        int grain = random.nextInt(24);
        int red = Math.min(255, x * 160 / 640 + inside + grain);
        int green = Math.min(255, y * 160 / 480 + grain);
        image.setRGB(x, y, red << 16 | green << 8 | (id * 37 + grain) % 256);
      }
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ImageIO.write(image, "jpeg", bytes);
    Files.write(file, bytes.toByteArray());
  }

  @Test
  void clusterBesideOneProcess() throws Exception {
    Path images = Files.createDirectory(folder.resolve("images"));
    for (int id = 0; id < PICTURES; id++) {
      draw(file(images, id), id);
    }
    Map<String, List<Double>> seconds = new TreeMap<>();
    Map<String, byte[]> expected = null;
    try (Standalone cluster = new Standalone(folder, "600m")) {
      for (int round = 0; round < ROUNDS; round++) {
        for (String where : List.of("local[1]", "local[2]", "cluster")) {
          Path output = folder.resolve("out-" + round + "-" + where.replaceAll("\\W", ""));
          Process driver = cluster.driver(Driver.class, images, output, Path.of(where));
          cluster.awaitEnd(driver);
          Matcher took = TIME.matcher(cluster.log("driver"));
          assertThat(took.find()).isTrue();
          seconds
              .computeIfAbsent(where, name -> new ArrayList<>())
              .add(Long.parseLong(took.group(1)) * 1e-3);
          Map<String, byte[]> made = LocalSpark.files(output);
          if (expected == null) {
            expected = made;
          }
          assertThat(made.keySet()).isEqualTo(expected.keySet());
          Map<String, byte[]> first = expected;
          made.forEach((name, bytes) -> assertThat(bytes).as(name).isEqualTo(first.get(name)));
          cluster.forget(driver);
        }
      }
    }
    System.out.println(PICTURES + " pictures, the same bytes everywhere");
    double one = median(seconds.get("local[1]"));
    seconds.forEach(
        (where, all) ->
            System.out.printf(
                "%-9s %6.1f s, %5.0f pairs/s, %.2f of local[1]'s speed; rounds %s%n",
                where, median(all), PICTURES / median(all), one / median(all), all));
  }

  private static double median(List<Double> values) {
    double[] sorted = values.stream().mapToDouble(Double::doubleValue).toArray();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
