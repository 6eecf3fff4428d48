package org.nasvlp.distributed;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The processes that train one model together, as one of them sees it. Each has a rank, 0 to {@code
 * size - 1}, and a device of its own; rank 0 writes checkpoints and log. They find each other at an
 * address that rank 0 listens on, or by a file that all of them can reach.
 *
 * <p>Nothing that they exchange is encrypted or authenticated: run them on a private network.
 *
 * @param rank of this process
 * @param size how many ranks there are
 * @param localRank which of the ranks on this machine it is, counted from 0: the CUDA device it
 *     takes
 * @param masterAddress host name or address that rank 0 listens on; "" with a file
 * @param masterPort its port, 1 to 65535; 0 with a file
 * @param file by which the ranks find each other; null with an address. It must not exist before
 * @param networkInterface name of the network interface to exchange data by, such as eth0; null for
 *     the one by which the master is reached
 * @param transport by which tensors are exchanged; the same on all ranks
 * @param timeout how long a rank waits for the others, at the start and in each exchange
 */
public record Cluster(
    int rank,
    int size,
    int localRank,
    String masterAddress,
    int masterPort,
    @Nullable Path file,
    @Nullable String networkInterface,
    Transport transport,
    Duration timeout) {

  /** By which library ranks exchange tensors. */
  public enum Transport {
    /** Gloo, over TCP; what lies on a CUDA device goes by way of the host's memory. */
    GLOO,

    /**
     * NCCL for what lies on CUDA devices, Gloo for the rest. Each rank needs a device of its own. A
     * rank that is lost may be noticed after {@link Cluster#timeout} only.
     */
    NCCL
  }

  /** How long a rank waits for the others unless set. */
  public static final Duration DEFAULT_TIMEOUT = Duration.ofMinutes(10);

  private static final Cluster ALONE =
      new Cluster(0, 1, 0, "", 0, null, null, Transport.GLOO, DEFAULT_TIMEOUT);

  /** Checks what is given. */
  public Cluster {
    Objects.requireNonNull(masterAddress, "masterAddress");
    Objects.requireNonNull(transport, "transport");
    Objects.requireNonNull(timeout, "timeout");
    if (size < 1 || rank < 0 || rank >= size) {
      throw new IllegalArgumentException(
          "rank %d of %d: ranks go from 0 to the number of ranks - 1".formatted(rank, size));
    }
    if (localRank < 0) {
      throw new IllegalArgumentException(
          "the local rank is " + localRank + ": it must not be negative");
    }
    if (timeout.isNegative() || timeout.isZero() || timeout.compareTo(Duration.ofDays(7)) > 0) {
      throw new IllegalArgumentException(
          "the time-out is " + timeout + ": it must be positive, and a week at most");
    }
    if (size > 1 && file == null) {
      if (masterAddress.isBlank()) {
        throw new IllegalArgumentException(
            "%d ranks do not know how to find each other: give the address and port of rank 0, or a"
                    .formatted(size)
                + " file");
      }
      if (masterPort < 1 || masterPort > 65535) {
        throw new IllegalArgumentException(
            "the port of rank 0 is " + masterPort + ": it must lie in 1..65535");
      }
    }
  }

  /** A single process. */
  public static Cluster alone() {
    return ALONE;
  }

  /** Ranks that find each other at rank 0's address. */
  public static Cluster at(String masterAddress, int masterPort, int rank, int size) {
    return new Cluster(
        rank, size, rank, masterAddress, masterPort, null, null, Transport.GLOO, DEFAULT_TIMEOUT);
  }

  /** Ranks that find each other by a file, which must not exist before the first of them starts. */
  public static Cluster by(Path file, int rank, int size) {
    return new Cluster(rank, size, rank, "", 0, file, null, Transport.GLOO, DEFAULT_TIMEOUT);
  }

  /**
   * The cluster that this process was started in, by the variables of its environment: those of
   * torchrun ({@code RANK}, {@code WORLD_SIZE}, {@code LOCAL_RANK}, {@code MASTER_ADDR}, {@code
   * MASTER_PORT}), else Open MPI's, Slurm's or PyTorch Elastic's; {@link #alone} without any.
   * {@code NAS_RENDEZVOUS} ({@code file:PATH} or {@code HOST:PORT}) counts before the launcher's
   * address; {@code NAS_INTERFACE}, {@code NAS_TRANSPORT} (gloo, nccl) and {@code NAS_TIMEOUT}
   * (seconds) say the rest.
   *
   * @throws IllegalArgumentException naming a variable that is absent or cannot be read
   */
  public static Cluster fromEnvironment() {
    return fromEnvironment(System.getenv());
  }

  /** {@link #fromEnvironment()} of other variables. */
  public static Cluster fromEnvironment(Map<String, String> environment) {
    return ClusterEnvironment.read(environment);
  }

  /** The variables that {@link #fromEnvironment()} reads. */
  public static List<String> environmentVariables() {
    return ClusterEnvironment.variables();
  }

  /** The same with another network interface; null for the one by which the master is reached. */
  public Cluster withInterface(@Nullable String value) {
    return new Cluster(
        rank, size, localRank, masterAddress, masterPort, file, value, transport, timeout);
  }

  /** The same with another time to wait for other ranks. */
  public Cluster withTimeout(Duration value) {
    return new Cluster(
        rank, size, localRank, masterAddress, masterPort, file, networkInterface, transport, value);
  }

  /** The same by another library. */
  public Cluster withTransport(Transport value) {
    return new Cluster(
        rank, size, localRank, masterAddress, masterPort, file, networkInterface, value, timeout);
  }

  /** Whether there is one rank only. */
  public boolean isAlone() {
    return size == 1;
  }

  /** Where the ranks meet, for messages. */
  String meetingPoint() {
    return file != null ? file.toString() : masterAddress + ":" + masterPort;
  }
}
