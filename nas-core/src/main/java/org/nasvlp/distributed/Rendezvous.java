package org.nasvlp.distributed;

import java.io.IOException;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.Backend;
import org.bytedeco.pytorch.FileStore;
import org.bytedeco.pytorch.GlooDeviceVector;
import org.bytedeco.pytorch.IntOptional;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.Store;
import org.bytedeco.pytorch.TCPStore;
import org.bytedeco.pytorch.TCPStoreOptions;
import org.bytedeco.pytorch.nccl.ProcessGroupNCCL;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;

/** Opens c10d's store, where ranks find each other, and the connections between them. */
final class Rendezvous {
  private Rendezvous() {}

  /**
   * The store of a cluster.
   *
   * @throws RanksLostException if rank 0 cannot be reached in time
   * @throws IllegalStateException if rank 0 cannot listen, or the file cannot be made
   */
  static Store store(Cluster cluster) {
    return cluster.file() != null ? fileStore(cluster, cluster.file()) : tcpStore(cluster);
  }

  private static Store fileStore(Cluster cluster, Path file) {
    Path folder = file.toAbsolutePath().getParent();
    try {
      if (folder != null) {
        Files.createDirectories(folder);
      }
    } catch (IOException e) {
      throw new IllegalStateException("the ranks cannot meet by the file " + file + ": " + e, e);
    }
    return new FileStore(file.toAbsolutePath().toString(), cluster.size());
  }

  private static Store tcpStore(Cluster cluster) {
    InetAddress master = resolve(cluster.masterAddress());
    TCPStoreOptions options = new TCPStoreOptions();
    options.port((short) cluster.masterPort());
    options.timeout(new Milliseconds(cluster.timeout().toMillis()));
    options.waitWorkers(false);
    int fd = -1;
    if (cluster.rank() == 0) {
      fd = ListeningSocket.bind(master, cluster.masterPort());
      options.isServer(true);
      options.masterListenFd(new IntOptional(fd));
    }
    try {
      return new TCPStore(master.getHostAddress(), options);
    } catch (RuntimeException e) {
      if (fd >= 0) {
        throw new IllegalStateException(
            "rank 0 cannot open its store on %s: %s"
                .formatted(cluster.meetingPoint(), firstLine(e)),
            e);
      }
      throw new RanksLostException(
          "rank %d has not reached rank 0 at %s within %d s: is it running, and does no firewall stand between?"
              .formatted(cluster.rank(), cluster.meetingPoint(), cluster.timeout().toSeconds()),
          e);
    }
  }

  private static InetAddress resolve(String host) {
    try {
      for (InetAddress address : InetAddress.getAllByName(host)) {
        if (address.getAddress().length == 4) {
          return address;
        }
      }
    } catch (UnknownHostException e) {
      throw new IllegalStateException("the host of rank 0, '" + host + "', is not known", e);
    }
    throw new IllegalStateException("the host of rank 0, '" + host + "', has no IPv4 address");
  }

  /** Connections between all ranks, by the cluster's interface. */
  static ProcessGroupGloo gloo(Cluster cluster, Store store) {
    ProcessGroupGloo.Options options =
        ProcessGroupGloo.Options.create(new Milliseconds(cluster.timeout().toMillis()));
    String name = cluster.networkInterface();
    GlooDeviceVector devices =
        new GlooDeviceVector(
            name != null
                ? ProcessGroupGloo.createDeviceForInterface(checked(name))
                : ProcessGroupGloo.createDeviceForHostname(ownAddress(cluster)));
    options.devices(devices);
    return new ProcessGroupGloo(store, cluster.rank(), cluster.size(), options);
  }

  /**
   * Checks that NCCL can be used.
   *
   * @throws IllegalStateException if not, with the reason and the remedy
   */
  static void requireNccl(Cluster cluster) {
    String reason = TorchDevice.unavailableReason(cluster.localRank());
    if (!reason.isEmpty()) {
      throw new IllegalStateException(
          "rank %d cannot exchange data by NCCL, number %d on its machine: %s; or take gloo"
              .formatted(cluster.rank(), cluster.localRank(), reason));
    }
  }

  /** NCCL between the ranks' devices; it connects with the first tensors that are exchanged. */
  static Backend nccl(Cluster cluster, Store store) {
    // A call waits for its end, and throws when the time is over; LibTorch's own watchdog would end
    // the process.
    Torch.setEnvironment("TORCH_NCCL_BLOCKING_WAIT", "1");
    Torch.setEnvironment("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0");
    try {
      ProcessGroupNCCL.Options options = new ProcessGroupNCCL.Options();
      options.timeout(new Milliseconds(cluster.timeout().toMillis()));
      Backend nccl = new ProcessGroupNCCL(store, cluster.rank(), cluster.size(), options);
      nccl.retainReference();
      return nccl;
    } catch (LinkageError e) {
      throw new IllegalStateException(
          "rank %d cannot load LibTorch's part for NCCL (%s): install NCCL 2.28 or later, or take gloo"
              .formatted(cluster.rank(), firstLine(e)),
          e);
    }
  }

  private static String checked(String name) {
    try {
      if (NetworkInterface.getByName(name) != null) {
        return name;
      }
      throw new IllegalStateException(
          "this machine has no network interface '%s'; it has %s"
              .formatted(
                  name,
                  String.join(
                      ", ",
                      NetworkInterface.networkInterfaces()
                          .map(NetworkInterface::getName)
                          .toList())));
    } catch (IOException e) {
      throw new IllegalStateException("network interfaces cannot be read: " + e, e);
    }
  }

  /** The address of this machine from which rank 0's is reached. */
  private static String ownAddress(Cluster cluster) {
    if (cluster.file() != null) {
      return InetAddress.getLoopbackAddress().getHostAddress();
    }
    InetAddress master = resolve(cluster.masterAddress());
    try (DatagramSocket socket = new DatagramSocket()) {
      // Connecting a datagram socket sends nothing; it asks the system for a route.
      socket.connect(new InetSocketAddress(master, cluster.masterPort()));
      return socket.getLocalAddress().getHostAddress();
    } catch (IOException | java.io.UncheckedIOException e) {
      throw new IllegalStateException(
          "there is no way from this machine to rank 0 at %s: %s"
              .formatted(cluster.meetingPoint(), e),
          e);
    }
  }

  /** What LibTorch says, without its native stack. */
  static String firstLine(Throwable e) {
    return String.valueOf(e.getMessage()).lines().findFirst().orElse(e.toString());
  }
}
