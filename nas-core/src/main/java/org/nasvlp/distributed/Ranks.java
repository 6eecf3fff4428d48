package org.nasvlp.distributed;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Backend;
import org.bytedeco.pytorch.BroadcastOptions;
import org.bytedeco.pytorch.LongVector;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Store;
import org.bytedeco.pytorch.StringVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.Work;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;

/**
 * The ranks of a training and what they exchange, over Gloo or NCCL. Every call is a collective:
 * all ranks make the same calls in the same order, and each waits for the others. Results are the
 * same bits on every rank, and the same from run to run. By Gloo tensors of a CUDA device go by way
 * of the host.
 *
 * <p>Where one rank is lost the calls of all others throw {@link RanksLostException} with its
 * number. For one thread. Alone, all calls return what they are given.
 */
public final class Ranks implements AutoCloseable {
  private final Cluster cluster;
  private final @Nullable Store store;
  private final @Nullable Backend group;
  private final @Nullable Backend devices;
  private final @Nullable RollCall rollCall;
  private boolean waitingTimed;
  private long waiting;
  private long exchanging;
  private int underWay;
  private boolean closed;

  private Ranks(
      Cluster cluster,
      @Nullable Store store,
      @Nullable Backend group,
      @Nullable Backend devices,
      @Nullable RollCall rollCall) {
    this.cluster = cluster;
    this.store = store;
    this.group = group;
    this.devices = devices;
    this.rollCall = rollCall;
  }

  /** A single rank. */
  public static Ranks alone() {
    return new Ranks(Cluster.alone(), null, null, null, null);
  }

  /**
   * Waits for all ranks and connects them.
   *
   * @param facts what has to be the same on all ranks, in words by name
   * @throws RanksLostException if a rank does not come in time, or brings other facts
   * @throws IllegalStateException if this rank cannot take part, with the reason
   */
  public static Ranks join(Cluster cluster, Map<String, String> facts) {
    if (cluster.isAlone()) {
      return alone();
    }
    Torch.ensureLoaded();
    if (cluster.transport() == Cluster.Transport.NCCL) {
      Rendezvous.requireNccl(cluster);
    }
    Store store = Rendezvous.store(cluster);
    store.retainReference();
    try {
      Meeting meeting = new Meeting(cluster, store);
      meeting.enter(facts);
      RollCall rollCall = new RollCall(store, cluster);
      Backend group = connect(cluster, store, rollCall);
      Backend devices =
          cluster.transport() == Cluster.Transport.NCCL ? Rendezvous.nccl(cluster, store) : null;
      return new Ranks(cluster, store, group, devices, rollCall);
    } catch (RuntimeException e) {
      store.releaseReference();
      throw e;
    }
  }

  private static Backend connect(Cluster cluster, Store store, RollCall rollCall) {
    try {
      Backend group = Rendezvous.gloo(cluster, store);
      group.retainReference();
      return group;
    } catch (IllegalStateException e) {
      rollCall.close();
      throw e;
    } catch (RuntimeException e) {
      String verdict = rollCall.verdict();
      rollCall.close();
      throw new RanksLostException(
          verdict != null
              ? verdict
              : "rank %d of %d cannot connect to the others: %s"
                  .formatted(cluster.rank(), cluster.size(), Rendezvous.firstLine(e)),
          e);
    }
  }

  /** The first exchange, through the store: who is there, and whether all are of one mind. */
  private static final class Meeting {
    private static final String SAME = "nas/facts/";

    private final Cluster cluster;
    private final Store store;

    Meeting(Cluster cluster, Store store) {
      this.cluster = cluster;
      this.store = store;
    }

    void enter(Map<String, String> facts) {
      long times = store.add("nas/rank/" + cluster.rank(), 1);
      if (times > 1) {
        throw new IllegalStateException(
            "rank %d has been started twice%s"
                .formatted(
                    cluster.rank(),
                    cluster.file() == null
                        ? ""
                        : ", or %s is left of an earlier run: remove it"
                            .formatted(cluster.file())));
      }
      Map<String, String> mine = new LinkedHashMap<>();
      mine.put("the number of ranks", String.valueOf(cluster.size()));
      mine.put("the transport", cluster.transport().name());
      mine.putAll(facts);
      StringBuilder text = new StringBuilder();
      mine.forEach((name, value) -> text.append(name).append('\t').append(value).append('\n'));
      store.set(SAME + cluster.rank(), text.toString());
      waitForAll();
      List<String> different = new ArrayList<>();
      Map<String, String> first = facts(0);
      for (int rank = 1; rank < cluster.size(); rank++) {
        Map<String, String> other = facts(rank);
        for (String name : first.keySet()) {
          if (!Objects.equals(first.get(name), other.get(name))) {
            different.add(
                "%s is %s on rank 0 and %s on rank %d"
                    .formatted(name, first.get(name), other.get(name), rank));
          }
        }
      }
      if (!different.isEmpty()) {
        // The store is rank 0's: it must not go before all have read what differs.
        long _ = store.add("nas/read", 1);
        waitForReaders();
        throw new RanksLostException(
            "the ranks were not started alike: " + String.join("; ", different));
      }
    }

    private void waitForAll() {
      StringVector keys = new StringVector(cluster.size());
      for (int rank = 0; rank < cluster.size(); rank++) {
        keys.put(rank, SAME + rank);
      }
      try {
        store._wait(keys, new Milliseconds(cluster.timeout().toMillis()));
      } catch (RuntimeException e) {
        List<String> missing = new ArrayList<>();
        for (int rank = 0; rank < cluster.size(); rank++) {
          if (!store.check(new StringVector(SAME + rank))) {
            missing.add(String.valueOf(rank));
          }
        }
        throw new RanksLostException(
            "rank %s of %d did not come within %d s to %s"
                .formatted(
                    String.join(", ", missing),
                    cluster.size(),
                    cluster.timeout().toSeconds(),
                    cluster.meetingPoint()),
            e);
      }
    }

    private void waitForReaders() {
      try {
        for (int i = 0; i < 50 && store.add("nas/read", 0) < cluster.size(); i++) {
          Thread.sleep(100);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      } catch (RuntimeException e) {
        // Rank 0 has read it all, and gone.
      }
    }

    private Map<String, String> facts(int rank) {
      Map<String, String> facts = new TreeMap<>();
      for (String line : store.get_to_str(SAME + rank).split("\n", -1)) {
        int tab = line.indexOf('\t');
        if (tab > 0) {
          facts.put(line.substring(0, tab), line.substring(tab + 1));
        }
      }
      return facts;
    }
  }

  /** Number of this rank. */
  public int rank() {
    return cluster.rank();
  }

  /** How many there are. */
  public int size() {
    return cluster.size();
  }

  /** Whether there is one rank only. */
  public boolean isAlone() {
    return group == null;
  }

  /** Whether this is rank 0, which writes what is written once. */
  public boolean isFirst() {
    return cluster.rank() == 0;
  }

  /**
   * The rows of all ranks, one below the other in the order of the ranks, without gradient.
   *
   * @param rows n x ..., of one shape and type on all ranks; contiguous or not
   * @return (n · size) x ...
   */
  public Tensor gather(Tensor rows) {
    if (group == null) {
      return rows;
    }
    try (AutoGradMode off = Torch.withoutGradient()) {
      TorchDevice device = TorchDevice.of(rows);
      Tensor own = carried(rows.detach()).contiguous();
      long[] shape = Torch.shape(own);
      shape[0] *= size();
      Tensor all = TorchDevice.of(own).empty(own.scalar_type(), shape);
      if (all.numel() > 0) {
        exchange(own, by -> by._allgather_base(all, own));
      }
      return device.put(all);
    }
  }

  /**
   * The sum over all ranks of the rows that belong to this one, without gradient, added up in the
   * order of the ranks: what goes back where {@link #gather} has brought rows to all.
   *
   * @param rows (n · size) x ..., of one shape and type on all ranks; contiguous
   * @return n x ...
   */
  public Tensor ownSum(Tensor rows) {
    if (group == null || rows.numel() == 0) {
      return rows;
    }
    try (AutoGradMode off = Torch.withoutGradient()) {
      TorchDevice device = TorchDevice.of(rows);
      Tensor own = carried(rows.detach()).contiguous();
      Tensor parts = TorchDevice.of(own).empty(own.scalar_type(), Torch.shape(own));
      exchange(own, by -> by.alltoall_base(parts, own, new LongVector(), new LongVector()));
      long count = rows.size(0) / size();
      Tensor sum = parts.narrow(0, 0, count).clone();
      for (int rank = 1; rank < size(); rank++) {
        sum.add_(parts.narrow(0, rank * count, count));
      }
      return device.put(sum);
    }
  }

  /** The sum of a vector over all ranks, added up in the order of the ranks, without gradient. */
  public Tensor sumInOrder(Tensor vector) {
    if (group == null) {
      return vector;
    }
    long count = vector.numel();
    long each = Math.ceilDiv(count, (long) size());
    Tensor padded =
        TorchDevice.of(vector).empty(vector.scalar_type(), each * size()).fill_(new Scalar(0));
    padded.narrow(0, 0, count).copy_(vector);
    return gather(ownSum(padded)).narrow(0, 0, count);
  }

  /** Replaces a contiguous tensor by its sum over all ranks, in an order of the library's own. */
  public void sum(Tensor values) {
    if (group == null || values.numel() == 0) {
      return;
    }
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      Tensor carried = carried(values);
      exchange(carried, by -> by.allreduce(new TensorVector(carried)));
      bring(carried, values);
    }
  }

  /**
   * Begins to replace a contiguous tensor by its sum over all ranks, as {@link #sum} does. Until it
   * is awaited the tensor must be left alone; other calls may be made. Within the caller's scope.
   */
  public Pending beginSum(Tensor values) {
    if (group == null || values.numel() == 0) {
      return () -> {};
    }
    try (AutoGradMode off = Torch.withoutGradient()) {
      Tensor carried = carried(values);
      Work work = begin(carried, by -> by.allreduce(new TensorVector(carried)));
      return () -> {
        try (AutoGradMode still = Torch.withoutGradient()) {
          finish(work);
          bring(carried, values);
        }
      };
    }
  }

  /** An exchange under way. */
  @FunctionalInterface
  public interface Pending {
    /** Waits for its end. */
    void await();
  }

  /**
   * Replaces a contiguous tensor by one rank's.
   *
   * @param values of one shape and type on all ranks
   * @param from whose values all get
   */
  public void broadcast(Tensor values, int from) {
    if (group == null || values.numel() == 0) {
      return;
    }
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      Tensor carried = carried(values);
      exchange(
          carried,
          by -> by.broadcast(new TensorVector(carried), new BroadcastOptions().rootRank(from)));
      bring(carried, values);
    }
  }

  /**
   * Numbers of all ranks.
   *
   * @param values as many on every rank
   * @return by rank
   */
  public double[][] gatherByRank(double... values) {
    if (group == null) {
      return new double[][] {values.clone()};
    }
    try (PointerScope scope = new PointerScope()) {
      double[] all = Torch.toDoubles(gather(Torch.doubles(values, values.length)));
      double[][] byRank = new double[size()][];
      for (int rank = 0; rank < byRank.length; rank++) {
        byRank[rank] = Arrays.copyOfRange(all, rank * values.length, (rank + 1) * values.length);
      }
      return byRank;
    }
  }

  /** Numbers of all ranks, one after the other; as many on every rank. */
  public long[] gather(long[] values) {
    if (group == null) {
      return values.clone();
    }
    try (PointerScope scope = new PointerScope()) {
      return Torch.toLongs(gather(Torch.longs(values, values.length)));
    }
  }

  /** Bytes of all ranks, by rank; as many as each has. */
  public byte[][] gather(byte[] values) {
    if (group == null) {
      return new byte[][] {values.clone()};
    }
    long[] lengths = gather(new long[] {values.length});
    int most = Math.toIntExact(Arrays.stream(lengths).max().orElse(0));
    byte[][] byRank = new byte[size()][];
    try (PointerScope scope = new PointerScope()) {
      Tensor own = Torch.empty(torch.ScalarType.Byte, most);
      MemorySegment.copy(values, 0, Torch.segment(own), ValueLayout.JAVA_BYTE, 0, values.length);
      MemorySegment all = Torch.segment(gather(own));
      for (int rank = 0; rank < byRank.length; rank++) {
        byRank[rank] =
            all.asSlice((long) rank * most, lengths[rank]).toArray(ValueLayout.JAVA_BYTE);
      }
    }
    return byRank;
  }

  /** Rank 0's text, on every rank. */
  public String ofFirst(String text) {
    return group == null
        ? text
        : new String(
            gather(isFirst() ? text.getBytes(StandardCharsets.UTF_8) : new byte[0])[0],
            StandardCharsets.UTF_8);
  }

  /** Waits until all ranks are here. */
  public void await() {
    var _ = gatherByRank(0);
  }

  @FunctionalInterface
  private interface Exchange {
    Work start(Backend by);
  }

  /** A tensor where it can be exchanged: on its device by NCCL, else in the host's memory. */
  private Tensor carried(Tensor tensor) {
    return devices == null ? Torch.host(tensor) : tensor;
  }

  /** Puts what was exchanged in its place, unless it was there. */
  private static void bring(Tensor carried, Tensor values) {
    if (carried.is_cuda() != values.is_cuda()) {
      values.copy_(carried);
    }
  }

  private void exchange(Tensor carried, Exchange exchange) {
    try (PointerScope scope = new PointerScope()) {
      finish(begin(carried, exchange));
    }
  }

  private Work begin(Tensor carried, Exchange exchange) {
    if (closed) {
      throw new IllegalStateException("the ranks have parted");
    }
    Backend hosts = Objects.requireNonNull(group);
    try {
      // A barrier also waits for the exchanges that are under way.
      if (waitingTimed && underWay == 0) {
        long began = System.nanoTime();
        try (PointerScope scope = new PointerScope()) {
          boolean _ = hosts.barrier()._wait();
        }
        waiting += System.nanoTime() - began;
      }
      long began = System.nanoTime();
      Work work = exchange.start(carried.is_cuda() ? Objects.requireNonNull(devices) : hosts);
      underWay++;
      exchanging += System.nanoTime() - began;
      return work;
    } catch (RuntimeException e) {
      throw lost(e);
    }
  }

  private void finish(Work work) {
    long began = System.nanoTime();
    try {
      boolean _ = work._wait();
    } catch (RuntimeException e) {
      throw lost(e);
    }
    underWay--;
    exchanging += System.nanoTime() - began;
  }

  /**
   * From now on waits for all ranks before each exchange, so that {@link #waitSeconds} tells how
   * long that took. On all ranks or none.
   */
  public void timeWaiting() {
    waitingTimed = true;
  }

  /** Time spent on waiting for other ranks to begin an exchange; 0 unless it is timed. */
  public double waitSeconds() {
    return waiting * 1e-9;
  }

  /** Time spent in exchanges, with the waiting for other ranks where that is not timed. */
  public double exchangeSeconds() {
    return exchanging * 1e-9;
  }

  private RanksLostException lost(RuntimeException e) {
    String verdict = Objects.requireNonNull(rollCall).verdict();
    return new RanksLostException(
        verdict != null
            ? verdict
            : "rank %d of %d has lost the others: %s (the time-out is %d s)"
                .formatted(rank(), size(), Rendezvous.firstLine(e), cluster.timeout().toSeconds()),
        e);
  }

  /** Tells the others why this rank ends. Not a collective. */
  public void leave(String reason) {
    if (rollCall != null && !closed) {
      rollCall.leave(reason);
    }
  }

  /** Parts from the others. A second time does nothing. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    if (rollCall != null) {
      rollCall.close();
    }
    if (devices != null) {
      devices.releaseReference();
    }
    if (group != null) {
      group.releaseReference();
    }
    if (store != null) {
      store.releaseReference();
    }
  }

  @Override
  public String toString() {
    return isAlone() ? "one rank" : "rank %d of %d".formatted(rank(), size());
  }
}
