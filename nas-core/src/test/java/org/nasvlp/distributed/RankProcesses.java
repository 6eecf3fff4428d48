package org.nasvlp.distributed;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Processes of this JVM's kind that train, or exchange, together. */
public final class RankProcesses implements AutoCloseable {
  private final List<Process> processes = new ArrayList<>();
  private final List<Path> outputs = new ArrayList<>();

  private RankProcesses() {}

  /**
   * Starts one process a rank, which meet by a file in a folder.
   *
   * @param program its {@code main} gets the arguments
   * @param folder for the file and what the processes print
   */
  public static RankProcesses start(
      Class<?> program, int ranks, Path folder, Map<String, String> environment, String... args) {
    RankProcesses all = new RankProcesses();
    for (int rank = 0; rank < ranks; rank++) {
      all.add(program, rank, ranks, folder, environment, args);
    }
    return all;
  }

  private void add(
      Class<?> program,
      int rank,
      int ranks,
      Path folder,
      Map<String, String> environment,
      String... args) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("--sun-misc-unsafe-memory-access=allow");
    command.add("-XX:+UseSerialGC");
    // Most of a short run is its start.
    command.add("-XX:TieredStopAtLevel=1");
    command.add("-Xmx512m");
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(program.getName());
    command.addAll(List.of(args));
    Path output = folder.resolve("rank-" + rank + ".txt");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
    builder.environment().put("RANK", String.valueOf(rank));
    builder.environment().put("WORLD_SIZE", String.valueOf(ranks));
    builder.environment().put("LOCAL_RANK", String.valueOf(rank));
    builder.environment().put("OMP_NUM_THREADS", "1");
    if (!environment.containsKey("MASTER_ADDR")) {
      builder.environment().put("NAS_RENDEZVOUS", "file:" + folder.resolve("meeting"));
    }
    builder.environment().putAll(environment);
    try {
      processes.add(builder.start());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    outputs.add(output);
  }

  /** A rank's process. */
  public Process of(int rank) {
    return processes.get(rank);
  }

  /** Waits for all of them to end. */
  public RankProcesses await(long seconds) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    for (int rank = 0; rank < processes.size(); rank++) {
      if (!of(rank).waitFor(deadline - System.nanoTime(), TimeUnit.NANOSECONDS)) {
        throw new AssertionError(
            "rank %d has not ended within %d s; it printed:\n%s"
                .formatted(rank, seconds, printed(rank)));
      }
    }
    return this;
  }

  /** What a rank has printed so far. */
  public String printed(int rank) {
    try {
      return Files.readString(outputs.get(rank));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** All that is printed, for messages. */
  public String printed() {
    StringBuilder all = new StringBuilder();
    for (int rank = 0; rank < processes.size(); rank++) {
      all.append("rank ").append(rank).append(":\n").append(printed(rank)).append('\n');
    }
    return all.toString();
  }

  @Override
  public void close() {
    processes.forEach(Process::destroyForcibly);
  }
}
