package org.nasvlp.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.apache.spark.sql.SparkSession;

/**
 * A standalone cluster on loopback: a master, two workers of one core each and a driver, each a
 * process of its own. Their class path is this JVM's, and that of the executors, which the workers
 * start.
 */
final class Standalone implements AutoCloseable {
  static final String LOOPBACK = "127.0.0.1";

  /** Before a process that has not come up counts as broken. */
  private static final long PATIENCE_SECONDS = 400;

  private final Path work;
  private final Path home;
  private final String master;
  private final List<Process> processes = new ArrayList<>();

  /**
   * Starts master and workers, and waits for them.
   *
   * @param work for logs and what the workers write
   * @param memory of an executor, as Spark writes it
   */
  Standalone(Path work, String memory) throws Exception {
    this.work = work;
    // What a worker needs of a distribution; the jars themselves come by the class path.
    home = work.resolve("spark");
    Files.createDirectories(home.resolve("jars"));
    int port = freePort();
    master = "spark://" + LOOPBACK + ":" + port;
    start(
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
          name,
          "org.apache.spark.deploy.worker.Worker",
          "--host",
          LOOPBACK,
          "--webui-port",
          "0",
          "--cores",
          "1",
          "--memory",
          memory,
          "--work-dir",
          work.resolve(name).toString(),
          master);
      awaitText(name, "Successfully registered with master");
    }
  }

  /** What a driver's session sets. */
  static SparkSession.Builder session(String master) {
    return LocalSpark.builder(master)
        .config("spark.executor.memory", "512m")
        .config("spark.executor.cores", "1")
        .config("spark.blockManager.port", "0")
        .config("spark.executorEnv.SPARK_LOCAL_IP", LOOPBACK)
        .config("spark.scheduler.minRegisteredResourcesRatio", "1.0")
        .config("spark.cores.max", "2");
  }

  /** Starts a program; its first argument is the master. */
  Process driver(Class<?> main, Path... arguments) throws IOException {
    List<String> all = new ArrayList<>(List.of(master));
    for (Path argument : arguments) {
      all.add(argument.toString());
    }
    return start("driver", main.getName(), all.toArray(String[]::new));
  }

  /** Waits for a driver that is to end well. */
  void awaitEnd(Process driver) throws Exception {
    assertThat(driver.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).isTrue();
    assertThat(driver.exitValue()).as(log("driver")).isZero();
  }

  /** Lets a driver that has ended be followed by another. */
  void forget(Process driver) {
    processes.remove(driver);
  }

  private Process start(String name, String main, String... arguments) throws IOException {
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

  String log(String name) throws IOException {
    return Files.readString(work.resolve(name + ".log"));
  }

  /** An executor of one of the workers, and of no other cluster on this machine. */
  Optional<ProcessHandle> executor() throws IOException {
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

  /** Waits until something is so, while all processes live. */
  void await(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (!condition.call()) {
      for (Process process : processes) {
        assertThat(process.isAlive()).as("%s; logs in %s", what, work).isTrue();
      }
      assertThat(System.nanoTime()).as("waited for %s", what).isLessThan(end);
      Thread.sleep(20);
    }
  }

  @Override
  public void close() throws InterruptedException {
    for (Process process : processes.reversed()) {
      process.destroy();
      if (!process.waitFor(20, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
    }
  }
}
