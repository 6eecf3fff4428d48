package org.nasvlp.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorRemoved;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A driver, a master and two workers, each a process of its own, on loopback. Their class path is
 * this JVM's, and that of the executors, which the workers start.
 */
class ClusterTest {
  private static final String LOOPBACK = "127.0.0.1";
  private static final int SHARDS = 40;
  private static final int PER_SHARD = 3;

  /** Before a process that has not come up counts as broken. */
  private static final long PATIENCE_SECONDS = 400;

  @TempDir Path folder;
  private Path images;
  private Path work;

  private final List<Process> processes = new ArrayList<>();

  @BeforeEach
  void folders() throws IOException {
    images = Files.createDirectory(folder.resolve("images"));
    work = Files.createDirectory(folder.resolve("work"));
  }

  @AfterEach
  void end() throws InterruptedException {
    for (Process process : processes.reversed()) {
      process.destroy();
      if (!process.waitFor(20, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
    }
  }

  /** The driver: prepares what the test has drawn. */
  static final class Driver {
    private Driver() {}

    public static void main(String[] arguments) throws Exception {
      String master = arguments[0];
      Path images = Path.of(arguments[1]);
      Path output = Path.of(arguments[2]);
      SparkSession.Builder builder =
          LocalSpark.builder(master)
              .config("spark.executor.memory", "512m")
              .config("spark.executor.cores", "1")
              .config("spark.blockManager.port", "0")
              .config("spark.executorEnv.SPARK_LOCAL_IP", LOOPBACK)
              .config("spark.scheduler.minRegisteredResourcesRatio", "1.0")
              .config("spark.cores.max", "2")
              .config("spark.hadoop.fs.gate.impl", Gate.class.getName());
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
    // What a worker needs of a distribution; the jars themselves come by the class path.
    Path home = work.resolve("spark");
    Files.createDirectories(home.resolve("jars"));
    int port = freePort();
    String master = "spark://" + LOOPBACK + ":" + port;
    start(
        home,
        "master",
        "org.apache.spark.deploy.master.Master",
        "--host",
        LOOPBACK,
        "--port",
        "" + port,
        "--webui-port",
        "0");
    awaitText("master", "I have been elected leader");
    for (String name : List.of("worker-1", "worker-2")) {
      start(
          home,
          name,
          "org.apache.spark.deploy.worker.Worker",
          "--host",
          LOOPBACK,
          "--webui-port",
          "0",
          "--cores",
          "1",
          "--memory",
          "600m",
          "--work-dir",
          work.resolve(name).toString(),
          master);
      awaitText(name, "Successfully registered with master");
    }
    Path output = work.resolve("cluster");
    Process driver =
        start(home, "driver", Driver.class.getName(), master, images.toString(), output.toString());

    await("the first shards", () -> shards(output) >= 3);
    ProcessHandle executor = executor().orElseThrow();
    executor.destroyForcibly();
    assertThat(shards(output)).as("shards when an executor was killed").isLessThan(SHARDS - 10);
    Files.createFile(work.resolve("go"));
    assertThat(driver.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).isTrue();
    assertThat(driver.exitValue()).as(log("driver")).isZero();
    assertThat(log("driver")).contains("executors lost: 1");

    Path local = work.resolve("local");
    SparkNas.prepare(rows(images, "").paths(LocalSpark.session()), options(local));
    Map<String, byte[]> wanted = LocalSpark.files(local);
    Map<String, byte[]> got = LocalSpark.files(output);
    assertThat(wanted).containsKeys("manifest.json", "pairs-000039.tar");
    assertThat(got.keySet()).isEqualTo(wanted.keySet());
    wanted.forEach((name, bytes) -> assertThat(got.get(name)).as(name).isEqualTo(bytes));
  }

  private Process start(Path home, String name, String main, String... arguments)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-Xmx512m");
    command.add("-Dlog.level=info");
    // Spark's own flags for this Java, as its launcher gives them.
    command.addAll(
        List.of(org.apache.spark.launcher.JavaModuleOptions.defaultModuleOptions().split(" ")));
    command.add(main);
    command.addAll(List.of(arguments));
    String classPath = System.getProperty("java.class.path");
    ProcessBuilder builder = new ProcessBuilder(command);
    Map<String, String> environment = builder.environment();
    environment.put("CLASSPATH", classPath);
    environment.put("SPARK_HOME", home.toString());
    environment.put("SPARK_DIST_CLASSPATH", classPath);
    environment.put("SPARK_SCALA_VERSION", "2.13");
    environment.put("SPARK_LOCAL_IP", LOOPBACK);
    environment.put("JAVA_HOME", System.getProperty("java.home"));
    File log = work.resolve(name + ".log").toFile();
    Process process = builder.redirectErrorStream(true).redirectOutput(log).start();
    processes.add(process);
    return process;
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private String log(String name) throws IOException {
    return Files.readString(work.resolve(name + ".log"));
  }

  private static int shards(Path output) throws IOException {
    try (var files = Files.list(output)) {
      return (int) files.filter(file -> file.toString().endsWith(".tar")).count();
    } catch (NoSuchFileException e) {
      return 0;
    }
  }

  /** An executor of one of this test's workers, and of no other cluster on this machine. */
  private Optional<ProcessHandle> executor() throws IOException {
    List<ProcessHandle> children = processes.stream().flatMap(Process::descendants).toList();
    for (ProcessHandle child : children) {
      Path arguments = Path.of("/proc", "" + child.pid(), "cmdline");
      if (Files.readString(arguments, StandardCharsets.ISO_8859_1)
          .contains("CoarseGrainedExecutorBackend")) {
        return Optional.of(child);
      }
    }
    return Optional.empty();
  }

  private void awaitText(String name, String text) throws Exception {
    await(name + " to log: " + text, () -> log(name).contains(text));
  }

  private void await(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (!condition.call()) {
      for (Process process : processes) {
        assertThat(process.isAlive()).as("%s; logs in %s", what, work).isTrue();
      }
      assertThat(System.nanoTime()).as("waited for %s", what).isLessThan(end);
      Thread.sleep(20);
    }
  }
}
