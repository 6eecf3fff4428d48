package org.nasvlp.data;

import java.util.Arrays;
import org.nasvlp.random.Draws;

/**
 * Which pairs each batch holds: the first batches some of the pairs, as often as it takes, all
 * others the whole data set, epoch by epoch. {@link #indices} is for one thread at a time.
 */
final class BatchOrder {
  // Positions of this class's draws; see the package's comment.
  private static final int SHUFFLE = 0x5000_0000;
  private static final int SHUFFLE_FIRST = 0x5200_0000;

  private final long seed;
  private final int size;
  private final int batchSize;
  private final FirstPairs first;
  private long drawn = -1;
  private int[] order;

  BatchOrder(long seed, int size, int batchSize, FirstPairs first) {
    this.seed = seed;
    this.size = size;
    this.batchSize = batchSize;
    this.first = first;
  }

  /** Batches in which the data set is gone through once. */
  int batchesPerEpoch() {
    return size / batchSize;
  }

  /** The data set's indices of a batch, counted from 0. */
  int[] indices(long batch) {
    return batch < first.batches()
        ? Arrays.stream(slice(batch, SHUFFLE_FIRST, first.count())).map(first::index).toArray()
        : slice(batch - first.batches(), SHUFFLE, size);
  }

  /** A pair in the place of a bad one: of those that the batch is drawn from. */
  int another(long batch, long draw) {
    return batch < first.batches()
        ? first.index(Draws.uniform(draw, first.count()))
        : Draws.uniform(draw, size);
  }

  /** That batch of a go through so many pairs. */
  private int[] slice(long batch, int draws, int count) {
    int batches = count / batchSize;
    long epoch = batch / batches;
    long key = draws + epoch;
    if (key != drawn) {
      order = permutation(seed, (int) epoch, count, draws);
      drawn = key;
    }
    int start = (int) (batch % batches) * batchSize;
    return Arrays.copyOfRange(order, start, start + batchSize);
  }

  /** The order of an epoch of the whole data set. */
  static int[] permutation(long seed, int epoch, int size) {
    return permutation(seed, epoch, size, SHUFFLE);
  }

  /** A Fisher–Yates shuffle whose draws are those of (seed, epoch). */
  private static int[] permutation(long seed, int epoch, int size, int draws) {
    int[] order = new int[size];
    for (int i = 0; i < size; i++) {
      int j = Draws.uniform(Draws.draw(seed, epoch, i, draws), i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }
}
