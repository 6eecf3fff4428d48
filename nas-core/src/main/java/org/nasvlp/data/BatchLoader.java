package org.nasvlp.data;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.nasvlp.config.DataConfig;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.text.CaptionText;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.random.Draws;

/**
 * Reads, decodes, augments and tokenises batches ahead of training.
 *
 * <p>Batch s is a function of the data set, the configuration, the seed and s alone: neither the
 * number of threads nor the first step changes it. After the {@link FirstPairs}, every epoch goes
 * through the data set in an order of its own; the pairs left over at its end, fewer than a batch,
 * are not used in it. A bad sample is replaced by another one of those that its batch is drawn
 * from, by (seed, step, place in the batch).
 *
 * <p>One thread at a time may wait in {@link #next()}; all methods are thread-safe.
 */
public final class BatchLoader implements AutoCloseable {
  private static final int PREFETCH = 3;
  private static final int MAX_REDRAWS = 1000;
  private static final long CLOSE_WAIT_MILLIS = 2000;

  // Positions of this class's draws; see the package's comment.
  private static final int REDRAW = 0x5100_0000;

  /** A sample that was read and found bad. */
  private record Bad(int index, String message) {}

  /** A batch under construction. */
  private final class Pending {
    final long step;
    final int[] planned;
    final int[] used;
    final String[] keys;
    final String[] captions;
    final long[] imageIds;
    final int[][] words;
    final float[] images;
    final List<List<Bad>> bad;
    volatile boolean cancelled;
    int claimed; // guarded by lock
    int unfinished; // guarded by lock
    Batch batch; // guarded by lock
    RuntimeException failure; // guarded by lock

    Pending(long step) {
      this.step = step;
      int size = share.count();
      this.planned = Arrays.copyOfRange(order.indices(step), share.from(), share.from() + size);
      this.used = planned.clone();
      this.keys = new String[size];
      this.captions = new String[size];
      this.imageIds = new long[size];
      this.words = new int[size][];
      this.images = new float[Math.multiplyExact(size, floatsPerImage)];
      this.bad = new ArrayList<>(size);
      for (int i = 0; i < size; i++) {
        bad.add(List.of());
      }
      this.unfinished = size;
    }

    boolean isReady() {
      return batch != null || (failure != null && unfinished == 0);
    }
  }

  private final ImageTextDataset dataset;
  private final CaptionTokenizer tokenizer;
  private final DataConfig config;
  private final BatchShare share;
  private final ImageTransform transform;
  private final int floatsPerImage;
  private final long seed;
  private long firstStep; // guarded by lock
  private final int size;
  private final BatchOrder order; // indices() guarded by lock
  private final int stepsPerEpoch;
  private final SkippedSamples skipped = new SkippedSamples();
  private final List<Thread> threads = new ArrayList<>();

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition workToDo = lock.newCondition();
  private final Condition batchReady = lock.newCondition();
  private final Deque<Pending> pending = new ArrayDeque<>();
  private long nextStep;
  private long truncated;
  private RuntimeException failure;
  private volatile boolean closed;

  /**
   * Starts loading.
   *
   * @param dataset stays open when the loader is closed
   * @param imageSize S of the images
   * @param firstStep the first batch to give, counted from 0
   * @param first what the batches before those of the whole data set are drawn from; {@link
   *     FirstPairs#NONE} for none
   * @throws IllegalArgumentException if the data set, or what comes first, holds fewer pairs than a
   *     batch
   */
  public BatchLoader(
      ImageTextDataset dataset,
      CaptionTokenizer tokenizer,
      int imageSize,
      DataConfig config,
      long seed,
      long firstStep,
      FirstPairs first) {
    this(
        dataset,
        tokenizer,
        imageSize,
        config,
        seed,
        firstStep,
        first,
        new BatchShare(0, config.batchSize()));
  }

  /**
   * Starts loading a share of each batch, the one that a whole loader would give at its place.
   *
   * @param share which pairs of a batch
   */
  public BatchLoader(
      ImageTextDataset dataset,
      CaptionTokenizer tokenizer,
      int imageSize,
      DataConfig config,
      long seed,
      long firstStep,
      FirstPairs first,
      BatchShare share) {
    this.dataset = Objects.requireNonNull(dataset, "dataset");
    this.tokenizer = Objects.requireNonNull(tokenizer, "tokenizer");
    this.config = Objects.requireNonNull(config, "config");
    this.share = share;
    if (share.from() + share.count() > config.batchSize()) {
      throw new IllegalArgumentException(
          "%s of a batch of %d (data.batchSize)".formatted(share, config.batchSize()));
    }
    this.transform = ImageTransform.training(imageSize, config);
    this.floatsPerImage = 3 * imageSize * imageSize;
    this.seed = seed;
    if (firstStep < 0 || firstStep > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "the first step is " + firstStep + ": it must lie between 0 and 2^31 - 1");
    }
    this.firstStep = firstStep;
    this.nextStep = firstStep;
    long pairs = dataset.size();
    if (pairs < config.batchSize()) {
      throw new IllegalArgumentException(
          "the data set %s holds %d pairs, fewer than a batch of %d (data.batchSize)"
              .formatted(dataset.name(), pairs, config.batchSize()));
    }
    if (pairs > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          "the data set " + dataset.name() + " holds " + pairs + " pairs; up to 2^31 - 9 are used");
    }
    if ((long) config.batchSize() * floatsPerImage > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          "a batch of %d images of %d x %d pixels does not fit an array; lower data.batchSize"
              .formatted(config.batchSize(), imageSize, imageSize));
    }
    if (first.batches() > 0 && first.count() < config.batchSize()) {
      throw new IllegalArgumentException(
          "%d pairs of the data set %s are to come first, fewer than a batch of %d (data.batchSize)"
              .formatted(first.count(), dataset.name(), config.batchSize()));
    }
    this.size = (int) pairs;
    this.order = new BatchOrder(seed, size, config.batchSize(), first);
    this.stepsPerEpoch = order.batchesPerEpoch();
    for (int i = 0; i < config.loaderThreads(); i++) {
      threads.add(Thread.ofPlatform().daemon().name("nas-loader-" + i).unstarted(this::work));
    }
    threads.forEach(Thread::start);
  }

  /**
   * The next batch, waiting for it if need be.
   *
   * @throws TooManyBadSamplesException if the share of bad samples among the distinct samples read
   *     is beyond {@code data.maxBadShare}. During the first epoch counted the limit has room for
   *     chance: one sample and three standard deviations.
   * @throws IllegalStateException if the data set failed in another way than by {@link
   *     BadSampleException}, naming the sample; or if the loader is closed
   * @throws InterruptedException if the waiting thread is interrupted
   */
  public Batch next() throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (true) {
        if (failure != null) {
          throw failure;
        }
        if (closed) {
          throw new IllegalStateException("the batch loader is closed");
        }
        Pending first = pending.peekFirst();
        if (first != null && first.isReady()) {
          return deliver(first);
        }
        batchReady.await();
      }
    } finally {
      lock.unlock();
    }
  }

  private Batch deliver(Pending first) {
    for (int slot = 0; slot < first.used.length; slot++) {
      for (Bad bad : first.bad.get(slot)) {
        skipped.bad(bad.index(), bad.message());
      }
      if (first.words[slot] != null) {
        skipped.good(first.used[slot]);
      }
    }
    failure = first.failure;
    if (failure == null) {
      failure = judge(first.step);
    }
    if (failure != null) {
      workToDo.signalAll();
      throw failure;
    }
    pending.removeFirst();
    truncated += first.batch.tokens().truncated();
    workToDo.signalAll();
    return first.batch;
  }

  /** Counts are those of the batches handed out, so that a run stops at the same step always. */
  private RuntimeException judge(long step) {
    long read = skipped.read();
    long bad = skipped.skipped();
    double limit = config.maxBadShare() * read;
    boolean wholeEpoch = step + 1 - firstStep >= stepsPerEpoch;
    if (!wholeEpoch && limit > 0) {
      limit += 3 * Math.sqrt(limit) + 1;
    }
    if (bad <= limit) {
      return null;
    }
    return tooMany(
        "%d of the %d samples read from %s are bad, more than data.maxBadShare = %s allows;"
            .formatted(bad, read, dataset.name(), config.maxBadShare()));
  }

  private TooManyBadSamplesException tooMany(String what) {
    return new TooManyBadSamplesException(
        what + " mend or remove them, or raise the share:", skipped.examples());
  }

  /** What has been skipped in the batches handed out so far. */
  public SkippedSamples skipped() {
    return skipped;
  }

  /** Captions of the batches handed out so far that were cut to the tokenizer's length. */
  public long truncatedCaptions() {
    lock.lock();
    try {
      return truncated;
    } finally {
      lock.unlock();
    }
  }

  /** The counts of the batches handed out so far, for a loader that goes on after them. */
  public LoaderState state() {
    lock.lock();
    try {
      return skipped.state(firstStep, truncated);
    } finally {
      lock.unlock();
    }
  }

  /** Goes on counting from another loader's counts. To be called before the first batch. */
  public void restore(LoaderState state) {
    lock.lock();
    try {
      skipped.restore(state);
      truncated = state.truncatedCaptions();
      firstStep = state.firstStep();
    } finally {
      lock.unlock();
    }
  }

  /** Batches in an epoch. */
  public long stepsPerEpoch() {
    return stepsPerEpoch;
  }

  /**
   * Stops the threads. A read that a data set of the user's does not return from is left behind in
   * a daemon thread. Closing twice does nothing.
   */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      pending.clear();
      workToDo.signalAll();
      batchReady.signalAll();
    } finally {
      lock.unlock();
    }
    // No interrupts: they would close files that the data set shares with others.
    boolean interrupted = false;
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(CLOSE_WAIT_MILLIS);
    for (Thread thread : threads) {
      long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
      if (thread == Thread.currentThread() || left <= 0) {
        continue;
      }
      try {
        thread.join(left);
      } catch (InterruptedException e) {
        interrupted = true;
        break;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void work() {
    while (true) {
      Pending mine;
      int slot;
      lock.lock();
      try {
        mine = claim();
        if (mine == null) {
          return;
        }
        slot = mine.claimed++;
      } catch (RuntimeException | Error e) {
        failure = new IllegalStateException("the batch loader failed: " + e, e);
        batchReady.signalAll();
        return;
      } finally {
        lock.unlock();
      }
      RuntimeException problem = null;
      try {
        fill(mine, slot);
      } catch (TooManyBadSamplesException e) {
        problem = e;
      } catch (Throwable e) {
        // Whatever a data set throws must reach the thread that waits in next().
        problem =
            new IllegalStateException(
                "sample %d of %s cannot be read: %s".formatted(mine.used[slot], dataset.name(), e),
                e);
      }
      finish(mine, problem);
    }
  }

  /** The batch to work on next; null when there is nothing more to do. Called with the lock. */
  private Pending claim() {
    while (!closed && failure == null) {
      for (Pending candidate : pending) {
        if (candidate.claimed < share.count()) {
          return candidate;
        }
      }
      boolean failed = !pending.isEmpty() && pending.peekLast().failure != null;
      if (pending.size() < PREFETCH && !failed && nextStep <= Integer.MAX_VALUE) {
        Pending created = new Pending(nextStep);
        nextStep++;
        pending.addLast(created);
        workToDo.signalAll();
      } else {
        workToDo.awaitUninterruptibly();
      }
    }
    return null;
  }

  private void fill(Pending mine, int slot) {
    List<Bad> bad = new ArrayList<>();
    float[] images = mine.images;
    for (int attempt = 0; attempt < MAX_REDRAWS && !closed && !mine.cancelled; attempt++) {
      int index = mine.used[slot];
      try {
        ImageTextPair pair = dataset.get(index);
        if (pair == null) {
          throw new IllegalStateException("the data set returned null");
        }
        String caption = CaptionText.clean(pair.caption(), pair.key());
        int[] words = tokenizer.words(caption);
        if (words.length == 0) {
          throw new BadSampleException(
              pair.key(), "the caption has no token that the tokenizer knows");
        }
        transform.apply(
            pair.image(), caption, seed, (int) mine.step, index, images, slot * floatsPerImage);
        mine.keys[slot] = pair.key();
        mine.captions[slot] = CaptionText.normalize(caption);
        mine.imageIds[slot] = pair.imageId();
        mine.words[slot] = words;
        return;
      } catch (BadSampleException e) {
        bad.add(new Bad(index, e.getMessage()));
        mine.bad.set(slot, bad);
        long draw = Draws.draw(seed, (int) mine.step, share.from() + slot, REDRAW + attempt);
        mine.used[slot] = order.another(mine.step, draw);
      }
    }
    if (!closed && !mine.cancelled) {
      throw new TooManyBadSamplesException(
          "no usable sample found in %s in %d draws, for example:"
              .formatted(dataset.name(), MAX_REDRAWS),
          bad.stream().map(Bad::message).distinct().limit(100).toList());
    }
  }

  private void finish(Pending mine, RuntimeException problem) {
    boolean complete;
    lock.lock();
    try {
      if (problem != null && mine.failure == null) {
        mine.failure = problem;
        mine.cancelled = true;
      }
      mine.unfinished--;
      if (mine.unfinished > 0 || closed) {
        return;
      }
      complete = mine.failure == null;
      batchReady.signalAll();
    } finally {
      lock.unlock();
    }
    if (!complete) {
      return;
    }
    Batch batch = null;
    RuntimeException trouble = null;
    try {
      batch = assemble(mine);
    } catch (RuntimeException | Error e) {
      trouble = new IllegalStateException("batch " + mine.step + " cannot be made: " + e, e);
    }
    lock.lock();
    try {
      mine.failure = trouble;
      mine.batch = batch;
      batchReady.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private Batch assemble(Pending mine) {
    return new Batch(
        mine.step,
        mine.keys,
        Arrays.stream(mine.used).asLongStream().toArray(),
        mine.imageIds,
        mine.captions,
        mine.images,
        tokenizer.assemble(Arrays.asList(mine.words)));
  }
}
