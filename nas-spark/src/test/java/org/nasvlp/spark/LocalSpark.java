package org.nasvlp.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.spark.sql.SparkSession;

/** Spark in this JVM, for all tests of it; and folders, to compare what it made. */
final class LocalSpark {
  private LocalSpark() {}

  /** All that a test of Spark sets, whatever its master: nothing listens but on loopback. */
  static SparkSession.Builder builder(String master) {
    return SparkSession.builder()
        .master(master)
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "3")
        .config("spark.sql.warehouse.dir", System.getProperty("java.io.tmpdir"));
  }

  private static final class Shared {
    private static final SparkSession SESSION = builder("local[2]").getOrCreate();
  }

  static SparkSession session() {
    return Shared.SESSION;
  }

  /** Every file of a folder and the folders in it, by its relative name. */
  static Map<String, byte[]> files(Path folder) throws IOException {
    Map<String, byte[]> all = new TreeMap<>();
    try (Stream<Path> files = Files.walk(folder)) {
      files
          .filter(Files::isRegularFile)
          .forEach(file -> all.put(folder.relativize(file).toString(), bytes(file)));
    }
    return all;
  }

  private static byte[] bytes(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
