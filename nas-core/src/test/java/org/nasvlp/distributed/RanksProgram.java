package org.nasvlp.distributed;

import java.util.Arrays;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.internal.Torch;

/** A rank of {@link RanksTest}. */
public final class RanksProgram {
  private RanksProgram() {}

  public static void main(String[] args) throws Exception {
    Cluster cluster = Cluster.fromEnvironment();
    Map<String, String> facts =
        Map.of("the colour", args.length > 1 ? args[1 + cluster.rank()] : "");
    if (args[0].equals("vanish") && cluster.rank() == 1) {
      vanish(cluster);
    }
    try (Ranks ranks = Ranks.join(cluster, facts);
        PointerScope scope = new PointerScope()) {
      System.out.println("joined");
      switch (args[0]) {
        case "exchange" -> exchange(ranks);
        case "die" -> die(ranks);
        case "fail" -> fail(ranks);
        default -> {
          Thread.sleep(2000);
          ranks.await();
        }
      }
      System.out.println("parted");
    } catch (RanksLostException | IllegalStateException e) {
      System.out.println("lost: " + e.getMessage());
      System.exit(1);
    }
    System.exit(0);
  }

  private static void exchange(Ranks ranks) {
    int rank = ranks.rank();
    Tensor rows = Torch.floats(new float[] {rank, rank + 0.5f}, 1, 2);
    System.out.println("rows " + Arrays.toString(Torch.toFloats(ranks.gather(rows))));
    Tensor sum = Torch.floats(new float[] {1, 10 * (rank + 1)}, 2);
    ranks.sum(sum);
    System.out.println("sum " + Arrays.toString(Torch.toFloats(sum)));
    Tensor early = Torch.floats(new float[] {rank, 1}, 2);
    Ranks.Pending first = ranks.beginSum(early);
    // Halfway between two of 8 bits: 1 + 2^-8 goes to the even one, 1; 3 + 2^-7 to 3.
    Tensor rounded =
        Torch.floats(new float[] {1 + 0x1p-8f, 3 + 0x1p-7f, 0x1p100f}, 3)
            .to(torch.ScalarType.BFloat16);
    Ranks.Pending second = ranks.beginSum(rounded);
    first.await();
    second.await();
    System.out.println(
        "begun %s %s"
            .formatted(
                Arrays.toString(Torch.toFloats(early)),
                Arrays.toString(Torch.toFloats(rounded.to(torch.ScalarType.Float)))));
    System.out.println("waited " + ranks.waitSeconds() + " " + (ranks.exchangeSeconds() > 0));
    ranks.timeWaiting();
    Tensor part = Torch.floats(new float[] {rank, rank, rank, rank, rank}, 5);
    ranks.broadcast(part.narrow(0, 1, 3), 1);
    System.out.println("part " + Arrays.toString(Torch.toFloats(part)));
    System.out.println("numbers " + Arrays.deepToString(ranks.gatherByRank(rank, 1e300 * rank)));
    System.out.println("longs " + Arrays.toString(ranks.gather(new long[] {1L << 62, -rank})));
    byte[][] bytes = ranks.gather(new byte[rank]);
    System.out.println(
        "bytes " + Arrays.toString(Arrays.stream(bytes).mapToInt(b -> b.length).toArray()));
    System.out.println("now waited " + (ranks.waitSeconds() > 0));
    System.out.println("first " + ranks.ofFirst(rank == 0 ? "größer" : "other"));
  }

  /** Says what all say, and is gone before it connects. */
  private static void vanish(Cluster cluster) {
    Torch.ensureLoaded();
    Rendezvous.store(cluster)
        .set("nas/facts/1", "the number of ranks\t2\nthe transport\tGLOO\nthe colour\t\n");
    Runtime.getRuntime().halt(1);
  }

  private static void die(Ranks ranks) throws InterruptedException {
    for (int i = 0; i < 1000; i++) {
      if (i == 20) {
        System.out.println("going");
      }
      ranks.await();
      Thread.sleep(20);
    }
  }

  private static void fail(Ranks ranks) {
    if (ranks.rank() == 1) {
      ranks.leave("the disk is full");
      throw new IllegalStateException("the disk is full");
    }
    ranks.await();
  }
}
