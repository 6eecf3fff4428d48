package org.nasvlp.cli;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.NetworkInterface;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.nasvlp.distributed.Cluster;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code nas launch}. */
@Command(
    name = "launch",
    description = {
      "Starts a command as several processes of this machine that train one model together.",
      "Each line that rank R prints stands behind [R]. When a rank fails, the others are ended, and"
          + " the exit status is its own. Unless --rendezvous or --interface says otherwise, the"
          + " ranks meet by a private file and exchange data by the loopback interface: nothing is"
          + " open to other machines."
    })
final class LaunchCommand implements Callable<Integer> {
  private static final int MOST_PROCESSES = 1024;

  /** Those to which it matters which rank they are: others would do the same thing N times. */
  private static final Set<String> COMMANDS = Set.of("train", "env");

  private final Shell shell;

  @Spec private CommandSpec spec;
  @Mixin private ClusterOptions options;

  @Option(
      names = "--procs",
      paramLabel = "N",
      required = true,
      description = "Processes to start. They share the processors evenly.")
  private int processes;

  @Parameters(
      paramLabel = "-- COMMAND",
      description = "What each runs, such as -- train --config FILE.")
  private List<String> command = List.of();

  LaunchCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    check();
    RankProcesses ranks = new RankProcesses(shell, RankProcesses.Patience.USUAL);
    Map<String, String> shared = new TreeMap<>(options.variables());
    Path folder = null;
    try (Interruption.Guard guard =
        shell.interruption().during("stopping all ranks ...", ranks::stop)) {
      if (!shared.containsKey("NAS_RENDEZVOUS")) {
        folder = Files.createTempDirectory("nas-launch");
        shared.put("NAS_RENDEZVOUS", "file:" + folder.resolve("rendezvous"));
        shared.putIfAbsent("NAS_INTERFACE", loopback());
      }
      return ranks.run(line(), environments(shared));
    } finally {
      if (folder != null) {
        delete(folder);
      }
    }
  }

  private void check() {
    if (processes < 1 || processes > MOST_PROCESSES) {
      throw usage(
          "Invalid value for option '--procs': %d is not between 1 and %d"
              .formatted(processes, MOST_PROCESSES));
    }
    if (command.isEmpty()) {
      throw usage("Missing command: name it behind --, as in launch --procs 2 -- train ...");
    }
    String name = command.getFirst();
    boolean known = COMMANDS.contains(name);
    if (!known && spec.parent().subcommands().containsKey(name)) {
      throw usage(
          name + " knows no ranks: launch starts train, or env to show what they would see");
    }
    Nas.parse(shell, command.toArray(String[]::new));
    if (!known) {
      throw usage("the first word behind -- is " + name + ": it should be train or env");
    }
    Map<String, String> environment = shell.environment();
    if (environment.containsKey("WORLD_SIZE") || !Cluster.fromEnvironment(environment).isAlone()) {
      throw new CommandFailure(
          "this process is one of several already (./nas env shows by which variables): start"
              + " train without launch, or unset WORLD_SIZE and what else says so");
    }
    Path file = options.file();
    if (file != null && Files.exists(file)) {
      throw new CommandFailure(
          file + ": exists already; ranks meet by a file of their own: remove it or name another");
    }
  }

  private ParameterException usage(String message) {
    return new ParameterException(spec.commandLine(), message);
  }

  /** This program once more, with its share of the processors. */
  private List<String> line() {
    List<String> line = new ArrayList<>();
    line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        // A debugger or profiler is meant for this process.
        .filter(option -> !option.startsWith("-agent") && !option.startsWith("-javaagent"))
        .forEach(line::add);
    int share = Math.max(1, Runtime.getRuntime().availableProcessors() / processes);
    line.add("-XX:ActiveProcessorCount=" + share);
    line.addAll(List.of("-cp", System.getProperty("java.class.path"), Nas.class.getName()));
    line.addAll(command);
    return line;
  }

  private List<Map<String, String>> environments(Map<String, String> shared) {
    List<Map<String, String>> environments = new ArrayList<>();
    for (int rank = 0; rank < processes; rank++) {
      Map<String, String> environment = new TreeMap<>(shared);
      environment.put("RANK", Integer.toString(rank));
      environment.put("LOCAL_RANK", Integer.toString(rank));
      environment.put("WORLD_SIZE", Integer.toString(processes));
      environment.put("LOCAL_WORLD_SIZE", Integer.toString(processes));
      environments.add(environment);
    }
    return environments;
  }

  private static String loopback() throws IOException {
    return NetworkInterface.networkInterfaces()
        .filter(network -> network.inetAddresses().anyMatch(address -> address.isLoopbackAddress()))
        .map(NetworkInterface::getName)
        .findFirst()
        .orElseThrow(
            () ->
                new CommandFailure(
                    "this machine has no loopback interface: name one with --interface"));
  }

  /** What is left of the rendezvous. */
  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.deleteIfExists(file);
      }
    }
    Files.deleteIfExists(folder);
  }
}
