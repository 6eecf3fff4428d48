package org.nasvlp.distributed;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads a {@link Cluster} from what launchers set. The first that says how many ranks there are.
 */
final class ClusterEnvironment {
  /**
   * Which variables a launcher sets.
   *
   * @param name of the launcher
   * @param local may be absent where each machine has one rank
   */
  private record Launcher(String name, String size, String rank, String local) {}

  private static final List<Launcher> LAUNCHERS =
      List.of(
          new Launcher("torchrun", "WORLD_SIZE", "RANK", "LOCAL_RANK"),
          // Before Slurm, which may have started the daemons that Open MPI's processes descend
          // from.
          new Launcher(
              "Open MPI",
              "OMPI_COMM_WORLD_SIZE",
              "OMPI_COMM_WORLD_RANK",
              "OMPI_COMM_WORLD_LOCAL_RANK"),
          // SLURM_NTASKS and SLURM_PROCID are also set in a batch script, which is no task.
          new Launcher("Slurm", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID"),
          new Launcher("PyTorch Elastic", "PET_NNODES", "PET_NODE_RANK", ""));

  private static final String PROCESSES_OF_NODE = "PET_NPROC_PER_NODE";
  private static final List<String> ADDRESSES = List.of("MASTER_ADDR", "PET_MASTER_ADDR");
  private static final List<String> PORTS = List.of("MASTER_PORT", "PET_MASTER_PORT");
  private static final List<String> NODES = List.of("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST");

  /** Free for all on usual systems: not registered, and below those given to clients. */
  private static final int FIRST_PORT = 20_000;

  private static final int PORT_COUNT = 10_000;

  /** What names rank 0 of a list such as {@code node[03-05,9],other}, brackets included. */
  private static final Pattern FIRST_HOST = Pattern.compile("(?:[^,\\[\\]]|\\[[0-9][^\\]]*\\])+");

  private static final Pattern BRACKETS = Pattern.compile("\\[([0-9]+)[^\\]]*\\]");

  private static final String FILE = "file:";

  private final Map<String, String> environment;

  private ClusterEnvironment(Map<String, String> environment) {
    this.environment = environment;
  }

  static Cluster read(Map<String, String> environment) {
    return new ClusterEnvironment(environment).read();
  }

  /** Every variable that is read. */
  static List<String> variables() {
    List<String> names = new ArrayList<>();
    for (Launcher launcher : LAUNCHERS) {
      names.addAll(List.of(launcher.size, launcher.rank, launcher.local));
    }
    names.remove("");
    names.add(PROCESSES_OF_NODE);
    names.addAll(ADDRESSES);
    names.addAll(PORTS);
    names.addAll(NODES);
    names.addAll(List.of("SLURM_JOB_ID", "SLURM_STEP_ID"));
    names.addAll(List.of("NAS_RENDEZVOUS", "NAS_INTERFACE", "NAS_TRANSPORT", "NAS_TIMEOUT"));
    return names;
  }

  private Cluster read() {
    for (Launcher launcher : LAUNCHERS) {
      boolean size = value(launcher.size) != null;
      boolean rank = value(launcher.rank) != null;
      if (size && rank) {
        return of(launcher);
      }
      // Slurm's batch script has a rank without being a task.
      if (size || (rank && !launcher.name.equals("Slurm"))) {
        throw missing(size ? launcher.rank : launcher.size, launcher);
      }
    }
    return Cluster.alone();
  }

  private Cluster of(Launcher launcher) {
    int size = number(launcher.size, 1, 1 << 20);
    int rank = number(launcher.rank, 0, 1 << 20);
    if (launcher.name.equals("PyTorch Elastic")) {
      String each = value(PROCESSES_OF_NODE);
      if (each != null && !each.equals("1")) {
        throw new IllegalArgumentException(
            "%s is '%s': start one process for each node, or set RANK, WORLD_SIZE and LOCAL_RANK"
                    .formatted(PROCESSES_OF_NODE, each)
                + " for each process");
      }
    }
    if (rank >= size) {
      throw new IllegalArgumentException(
          "%s is %d and %s is %d: ranks are counted from 0"
              .formatted(launcher.rank, rank, launcher.size, size));
    }
    int local =
        launcher.local.isEmpty() || value(launcher.local) == null
            ? 0
            : number(launcher.local, 0, 1 << 20);
    Duration timeout =
        value("NAS_TIMEOUT") == null
            ? Cluster.DEFAULT_TIMEOUT
            : Duration.ofSeconds(number("NAS_TIMEOUT", 1, 604_800));
    if (size == 1) {
      return Cluster.alone().withTimeout(timeout);
    }
    String rendezvous = value("NAS_RENDEZVOUS");
    Cluster met =
        rendezvous == null
            ? Cluster.at(address(launcher), port(launcher), rank, size)
            : meetingAt(rendezvous, rank, size);
    return new Cluster(
        rank,
        size,
        local,
        met.masterAddress(),
        met.masterPort(),
        met.file(),
        value("NAS_INTERFACE"),
        transport(),
        timeout);
  }

  private Cluster.Transport transport() {
    String name = value("NAS_TRANSPORT");
    if (name == null) {
      return Cluster.Transport.GLOO;
    }
    return Arrays.stream(Cluster.Transport.values())
        .filter(transport -> transport.name().equalsIgnoreCase(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "NAS_TRANSPORT is '%s': it should be gloo or nccl".formatted(name)));
  }

  private static Cluster meetingAt(String rendezvous, int rank, int size) {
    if (rendezvous.startsWith(FILE) && rendezvous.length() > FILE.length()) {
      return Cluster.by(Path.of(rendezvous.substring(FILE.length())), rank, size);
    }
    int colon = rendezvous.lastIndexOf(':');
    if (colon > 0 && !rendezvous.startsWith(FILE)) {
      try {
        int port = Integer.parseInt(rendezvous.substring(colon + 1));
        // An IPv6 address stands in brackets.
        String host = rendezvous.substring(0, colon).replaceAll("^\\[(.*)\\]$", "$1");
        return Cluster.at(host, port, rank, size);
      } catch (NumberFormatException e) {
        // told below
      }
    }
    throw new IllegalArgumentException(
        "NAS_RENDEZVOUS is '%s': it should be file:PATH, with a path that all ranks reach, or"
                .formatted(rendezvous)
            + " HOST:PORT of rank 0");
  }

  private String address(Launcher launcher) {
    String given = first(ADDRESSES);
    if (given != null) {
      return given;
    }
    String nodes = first(NODES);
    if (launcher.name.equals("Slurm") && nodes != null) {
      return firstHost(nodes);
    }
    throw missing(ADDRESSES.getFirst(), launcher);
  }

  /** The first host of a list as Slurm writes it: {@code node[03-05,9],other} is node03. */
  static String firstHost(String nodes) {
    Matcher matcher = FIRST_HOST.matcher(nodes);
    if (!matcher.lookingAt()) {
      throw new IllegalArgumentException(
          "Slurm's list of nodes is '" + nodes + "', which has no first: set MASTER_ADDR");
    }
    return BRACKETS.matcher(matcher.group()).replaceAll("$1");
  }

  private int port(Launcher launcher) {
    for (String name : PORTS) {
      if (value(name) != null) {
        return number(name, 1, 65_535);
      }
    }
    if (launcher.name.equals("Slurm") && value("SLURM_JOB_ID") != null) {
      // The same for all ranks of a job, and another for each of two jobs on one machine.
      int step = value("SLURM_STEP_ID") == null ? 0 : number("SLURM_STEP_ID", 0, 1 << 30);
      return FIRST_PORT + (number("SLURM_JOB_ID", 0, 1 << 30) + step) % PORT_COUNT;
    }
    throw missing(PORTS.getFirst(), launcher);
  }

  private static IllegalArgumentException missing(String variable, Launcher launcher) {
    return new IllegalArgumentException(
        "this process was started by %s as one of several ranks, but %s is not set: set it, or unset"
                .formatted(launcher.name, variable)
            + " %s and %s to train alone".formatted(launcher.rank, launcher.size));
  }

  private int number(String name, int least, int most) {
    String text = value(name);
    try {
      int number = Integer.parseInt(String.valueOf(text));
      if (number >= least && number <= most) {
        return number;
      }
    } catch (NumberFormatException e) {
      // told below
    }
    throw new IllegalArgumentException(
        "%s is '%s': it should be a number of %d to %d".formatted(name, text, least, most));
  }

  private @Nullable String first(List<String> names) {
    return names.stream().map(this::value).filter(Objects::nonNull).findFirst().orElse(null);
  }

  private @Nullable String value(String name) {
    String text = environment.get(name);
    return text == null || text.isBlank() ? null : text.strip();
  }
}
