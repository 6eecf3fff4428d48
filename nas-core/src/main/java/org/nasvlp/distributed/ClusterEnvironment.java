package org.nasvlp.distributed;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Reads a {@link Cluster} from what launchers set. The first that says how many ranks there are. */
final class ClusterEnvironment {
  /**
   * Which variables a launcher sets.
   *
   * @param name of the launcher
   * @param local may be absent where each machine has one rank
   */
  private record Launcher(String name, String size, String rank, String local) {}

  private static final Launcher[] LAUNCHERS = {
    new Launcher("torchrun", "WORLD_SIZE", "RANK", "LOCAL_RANK"),
    new Launcher("Slurm", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"),
    new Launcher(
        "Open MPI", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),
    new Launcher("PyTorch Elastic", "PET_NNODES", "PET_NODE_RANK", "")
  };

  /** Free for all on usual systems: not registered, and below those given to clients. */
  private static final int FIRST_PORT = 20_000;

  private static final int PORTS = 10_000;

  private static final Pattern FIRST_HOST =
      Pattern.compile("([^,\\[]+)(?:\\[([0-9]+)[^\\]]*\\]([^,]*))?.*");

  private final Map<String, String> environment;

  private ClusterEnvironment(Map<String, String> environment) {
    this.environment = environment;
  }

  static Cluster read(Map<String, String> environment) {
    return new ClusterEnvironment(environment).read();
  }

  private Cluster read() {
    for (Launcher launcher : LAUNCHERS) {
      // A shell inside a Slurm job has the job's size, and no rank of its own.
      boolean set = value(launcher.size) != null && value(launcher.rank) != null;
      boolean half = launcher.size.equals("WORLD_SIZE") && !set;
      if (half && (value(launcher.size) != null || value(launcher.rank) != null)) {
        throw missing(value(launcher.size) == null ? launcher.size : launcher.rank, launcher);
      }
      if (set) {
        return of(launcher);
      }
    }
    return Cluster.alone();
  }

  private Cluster of(Launcher launcher) {
    int size = number(launcher.size, 1, 1 << 20);
    int rank = number(launcher.rank, 0, 1 << 20);
    if (launcher.name.equals("PyTorch Elastic")) {
      String each = value("PET_NPROC_PER_NODE");
      if (each != null && !each.equals("1")) {
        throw new IllegalArgumentException(
            "PET_NPROC_PER_NODE is '%s': start one process for each node, or set RANK, WORLD_SIZE"
                    .formatted(each)
                + " and LOCAL_RANK for each process");
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
    Path file = file();
    if (size == 1) {
      return Cluster.alone().withTimeout(timeout);
    }
    String address = file != null ? "" : address(launcher);
    int port = file != null ? 0 : port(launcher);
    return new Cluster(
        rank, size, local, address, port, file, value("NAS_INTERFACE"), timeout);
  }

  private @Nullable Path file() {
    String given = value("NAS_RENDEZVOUS");
    if (given == null) {
      return null;
    }
    if (!given.startsWith("file:") || given.length() == 5) {
      throw new IllegalArgumentException(
          "NAS_RENDEZVOUS is '" + given + "': it should be file:PATH, with a path all ranks reach");
    }
    return Path.of(given.substring(5));
  }

  private String address(Launcher launcher) {
    for (String name : new String[] {"MASTER_ADDR", "PET_MASTER_ADDR"}) {
      if (value(name) != null) {
        return value(name);
      }
    }
    String nodes = value("SLURM_STEP_NODELIST");
    nodes = nodes == null ? value("SLURM_JOB_NODELIST") : nodes;
    if (launcher.name.equals("Slurm") && nodes != null) {
      return firstHost(nodes);
    }
    throw missing("MASTER_ADDR", launcher);
  }

  /** The first host of a list as Slurm writes it: {@code node[03-05,9],other} is node03. */
  static String firstHost(String nodes) {
    Matcher matcher = FIRST_HOST.matcher(nodes);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "Slurm's list of nodes '" + nodes + "' has no first: set MASTER_ADDR");
    }
    return matcher.group(2) == null
        ? matcher.group(1)
        : matcher.group(1) + matcher.group(2) + matcher.group(3);
  }

  private int port(Launcher launcher) {
    for (String name : new String[] {"MASTER_PORT", "PET_MASTER_PORT"}) {
      if (value(name) != null) {
        return number(name, 1, 65_535);
      }
    }
    if (launcher.name.equals("Slurm") && value("SLURM_JOB_ID") != null) {
      // The same for all ranks of a job, and another for each of two jobs on one machine.
      int step = value("SLURM_STEP_ID") == null ? 0 : number("SLURM_STEP_ID", 0, 1 << 30);
      return FIRST_PORT + (number("SLURM_JOB_ID", 0, 1 << 30) + step) % PORTS;
    }
    throw missing("MASTER_PORT", launcher);
  }

  private static IllegalArgumentException missing(String variable, Launcher launcher) {
    return new IllegalArgumentException(
        "this process was started by %s as one of several ranks, but %s is not set: set it, or unset"
                .formatted(launcher.name, variable)
            + " %s to train alone".formatted(launcher.size));
  }

  private int number(String name, int least, int most) {
    String text = value(name);
    try {
      int number = Integer.parseInt(String.valueOf(text).strip());
      if (number >= least && number <= most) {
        return number;
      }
    } catch (NumberFormatException e) {
      // told below
    }
    throw new IllegalArgumentException(
        "%s is '%s': it should be a number of %d to %d".formatted(name, text, least, most));
  }

  private @Nullable String value(String name) {
    String text = environment.get(name);
    return text == null || text.isBlank() ? null : text;
  }
}
