package org.nasvlp.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Processes of this machine that compute together. What they print is passed on, line by line,
 * behind their rank; when one fails the others are ended.
 */
final class RankProcesses {
  /** Names the process that ranks end with, by its number. */
  private static final String LAUNCHER = "NAS_LAUNCHER";

  private static final Duration LAST_WORDS = Duration.ofSeconds(5);

  /**
   * How long the others have when one has failed.
   *
   * @param alone to notice, and end by themselves
   * @param asked to end once they are asked to
   */
  record Patience(Duration alone, Duration asked) {
    static final Patience USUAL = new Patience(Duration.ofSeconds(30), Duration.ofSeconds(10));
  }

  /** One process, and the threads that pass on what it prints. */
  private record Rank(Process process, List<Thread> printers) {}

  private final Shell shell;
  private final Patience patience;
  private final List<Rank> ranks = new ArrayList<>();
  private boolean stopped; // guarded by ranks

  RankProcesses(Shell shell, Patience patience) {
    this.shell = shell;
    this.patience = patience;
  }

  /**
   * Starts a process for each environment and waits for all of them.
   *
   * @param environments what each has beside this process's variables
   * @return the exit status of the one that failed first; 0 if none did
   * @throws IOException if a process cannot be started; those that were are ended
   */
  int run(List<String> command, List<Map<String, String>> environments)
      throws IOException, InterruptedException {
    BlockingQueue<Integer> ended = new LinkedBlockingQueue<>();
    try {
      for (Map<String, String> environment : environments) {
        int rank = ranks.size();
        var _ = start(command, environment).onExit().thenRun(() -> ended.add(rank));
      }
      return await(ended);
    } finally {
      running().forEach(rank -> ranks.get(rank).process.destroyForcibly());
    }
  }

  private Process start(List<String> command, Map<String, String> environment) throws IOException {
    synchronized (ranks) {
      ProcessBuilder builder = new ProcessBuilder(command);
      builder.environment().putAll(environment);
      builder.environment().put(LAUNCHER, Long.toString(ProcessHandle.current().pid()));
      Process process = builder.start();
      String label = "[" + ranks.size() + "] ";
      ranks.add(
          new Rank(
              process,
              List.of(
                  printer(label, process.getInputStream(), shell.out()),
                  printer(label, process.getErrorStream(), shell.err()))));
      process.getOutputStream().close();
      if (stopped) {
        process.toHandle().destroy();
      }
      return process;
    }
  }

  private Thread printer(String label, InputStream from, PrintStream to) {
    return Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              // Bytes pass as they are: a rank's charset is its own.
              try (var lines =
                  new BufferedReader(new InputStreamReader(from, StandardCharsets.ISO_8859_1))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                  byte[] bytes = (label + line + "\n").getBytes(StandardCharsets.ISO_8859_1);
                  // Both streams may lead to one terminal.
                  synchronized (this) {
                    to.write(bytes, 0, bytes.length);
                    to.flush();
                  }
                }
              } catch (IOException e) {
                // The process is gone.
              }
            });
  }

  private int await(BlockingQueue<Integer> ended) throws InterruptedException {
    int status = 0;
    @Nullable Long deadline = null;
    boolean asked = false;
    for (int left = ranks.size(); left > 0; ) {
      Integer rank =
          deadline == null
              ? ended.take()
              : ended.poll(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
      if (rank == null) {
        deadline = end(asked) ? null : System.nanoTime() + patience.asked.toNanos();
        asked = true;
        continue;
      }
      left--;
      for (Thread printer : ranks.get(rank).printers) {
        printer.join(LAST_WORDS);
      }
      int of = ranks.get(rank).process.exitValue();
      if (of != 0 && status == 0) {
        status = of;
        // Who is stopped by the user takes the time of a step and a checkpoint.
        if (left > 0 && !isStopped()) {
          tell(
              "rank %d ended with exit status %d; the others have %d s to end by themselves"
                  .formatted(rank, of, patience.alone.toSeconds()));
          deadline = System.nanoTime() + patience.alone.toNanos();
        }
      }
    }
    return status;
  }

  /** Asks who is left to end, or makes them; returns whether it made them. */
  private boolean end(boolean force) {
    List<Integer> left = running();
    tell(
        (force ? "killing " : "ending ")
            + (left.size() == 1 ? "rank " : "ranks ")
            + left.stream().map(String::valueOf).collect(Collectors.joining(", ")));
    for (int rank : left) {
      if (force) {
        ranks.get(rank).process.destroyForcibly();
      } else {
        // Process.destroy would close its output as well, under the thread that reads it.
        ranks.get(rank).process.toHandle().destroy();
      }
    }
    return force;
  }

  private List<Integer> running() {
    List<Integer> running = new ArrayList<>();
    for (int rank = 0; rank < ranks.size(); rank++) {
      if (ranks.get(rank).process.isAlive()) {
        running.add(rank);
      }
    }
    return running;
  }

  private synchronized void tell(String line) {
    shell.err().println("nas: " + line);
  }

  /** Passes a request to stop on to all of them. May be called from any thread. */
  void stop() {
    synchronized (ranks) {
      stopped = true;
      ranks.forEach(rank -> rank.process.toHandle().destroy());
    }
  }

  private boolean isStopped() {
    synchronized (ranks) {
      return stopped;
    }
  }

  /**
   * Where this process was started as a rank: ends it, as Ctrl-C does, once its launcher is gone.
   */
  static void endWithLauncher(Shell shell) {
    String launcher = shell.environment().get(LAUNCHER);
    if (launcher == null) {
      return;
    }
    Runnable end =
        () -> {
          shell.err().println("nas: nas launch is gone");
          System.exit(Nas.FAILURE);
        };
    ProcessHandle.current()
        .parent()
        .filter(parent -> Long.toString(parent.pid()).equals(launcher))
        .ifPresentOrElse(
            parent -> {
              var _ = parent.onExit().thenRun(end);
            },
            end);
  }
}
