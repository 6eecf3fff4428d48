package org.nasvlp.data.source;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionText;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.random.StableHash;

/** Reads every pair of a data set and tells what a training would meet. */
public final class DatasetCheck {
  private static final int CHUNK = 256;
  private static final int NAMED = 20;

  /** Pairs: one less than the places of the largest table. */
  private static final int MOST = (1 << 30) - 1;

  /** [CLS] and [SEP]. */
  private static final int SPECIAL = 2;

  private final ImageTextDataset dataset;

  private final @Nullable CaptionTokenizer tokenizer;
  private final int threads;
  private final int size;
  private final BitSet bad;
  private final long[] imageIds;
  private final long[] captionHashes;
  private final long[] pixelHashes;
  private final Counts widths = new Counts();
  private final Counts heights = new Counts();
  private final Counts words = new Counts();
  private final Counts tokens = new Counts();
  private final Map<Integer, BadSampleException> problems = new HashMap<>();

  private DatasetCheck(
      ImageTextDataset dataset, @Nullable CaptionTokenizer tokenizer, int threads) {
    this.dataset = dataset;
    this.tokenizer = tokenizer;
    this.threads = threads;
    if (dataset.size() > MOST) {
      throw new ArithmeticException(
          dataset.name() + " has " + dataset.size() + " pairs; up to " + MOST + " are checked");
    }
    this.size = (int) dataset.size();
    bad = new BitSet(size);
    imageIds = new long[size];
    captionHashes = new long[size];
    pixelHashes = new long[size];
  }

  /** How often each number occurs. Thread-safe. */
  private static final class Counts {
    private final ConcurrentSkipListMap<Integer, LongAdder> counts = new ConcurrentSkipListMap<>();

    void add(int value) {
      counts.computeIfAbsent(value, any -> new LongAdder()).increment();
    }

    /** How many numbers are greater. */
    long above(int value) {
      return counts.tailMap(value, false).values().stream().mapToLong(LongAdder::sum).sum();
    }

    /** The least, the lower median and the greatest. */
    DatasetReport.Spread spread() {
      if (counts.isEmpty()) {
        return new DatasetReport.Spread(0, 0, 0);
      }
      long below = (counts.values().stream().mapToLong(LongAdder::sum).sum() - 1) / 2;
      int median = counts.firstKey();
      for (Map.Entry<Integer, LongAdder> entry : counts.entrySet()) {
        median = entry.getKey();
        below -= entry.getValue().sum();
        if (below < 0) {
          break;
        }
      }
      return new DatasetReport.Spread(counts.firstKey(), median, counts.lastKey());
    }
  }

  /**
   * Reads all pairs, with some 50 bytes of memory for each. The report does not depend on the
   * threads.
   *
   * @param tokenizer whose limit the captions are held against; null for none
   * @param threads that read and decode, at least 1
   * @param progress told, now and then and from any thread, how many pairs are done
   * @throws IllegalArgumentException for fewer than one thread
   * @throws ArithmeticException for more than 2³⁰ − 1 pairs
   * @throws InterruptedException if the calling thread is interrupted
   */
  public static DatasetReport run(
      ImageTextDataset dataset,
      @Nullable CaptionTokenizer tokenizer,
      int threads,
      LongConsumer progress)
      throws InterruptedException {
    if (threads < 1) {
      throw new IllegalArgumentException("threads is " + threads + ": at least 1 is needed");
    }
    DatasetCheck check = new DatasetCheck(dataset, tokenizer, threads);
    check.read(progress);
    return check.report();
  }

  private void read(LongConsumer progress) throws InterruptedException {
    try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
      List<Future<?>> chunks = new ArrayList<>();
      for (int from = 0; from < size; from += CHUNK) {
        int first = from;
        int last = Math.min(size, from + CHUNK);
        chunks.add(
            executor.submit(
                () -> {
                  for (int i = first; i < last; i++) {
                    read(i);
                  }
                }));
      }
      try {
        long done = 0;
        for (Future<?> chunk : chunks) {
          chunk.get();
          done = Math.min(size, done + CHUNK);
          progress.accept(done);
        }
      } catch (ExecutionException e) {
        executor.shutdownNow();
        throw new IllegalStateException(
            dataset.name() + ": reading failed: " + e.getCause(), e.getCause());
      } catch (InterruptedException e) {
        executor.shutdownNow();
        throw e;
      }
    }
  }

  private void read(int index) {
    ImageTextPair pair;
    try {
      pair = dataset.get(index);
    } catch (BadSampleException e) {
      synchronized (problems) {
        bad.set(index);
        problems.put(index, e);
      }
      return;
    }
    RgbImage image = pair.image();
    imageIds[index] = pair.imageId();
    captionHashes[index] = StableHash.of(CaptionText.normalize(pair.caption()));
    pixelHashes[index] = pixels(image);
    widths.add(image.width());
    heights.add(image.height());
    words.add(pair.caption().strip().split("\\s+").length);
    if (tokenizer != null) {
      tokens.add(tokenizer.words(pair.caption()).length + SPECIAL);
    }
  }

  /** The first 64 bits of the SHA-256 of width, height and pixels. */
  private static long pixels(RgbImage image) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(ByteBuffer.allocate(8).putInt(image.width()).putInt(image.height()).flip());
      digest.update(image.buffer());
      return ByteBuffer.wrap(digest.digest()).getLong();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  private DatasetReport report() {
    int[] good = IntStream.range(0, size).filter(i -> !bad.get(i)).toArray();
    int[] firstOfCaption = firsts(good, captionHashes);
    int[] firstOfImage = firsts(good, imageIds);
    long images = 0;
    long repeatedCaptions = 0;
    long sharedCaptions = 0;
    for (int g = 0; g < good.length; g++) {
      int pair = good[g];
      if (firstOfImage[g] == pair) {
        images++;
      }
      int first = firstOfCaption[g];
      if (first != pair) {
        repeatedCaptions++;
        if (imageIds[first] != imageIds[pair]) {
          sharedCaptions++;
        }
      }
    }
    int[] shown =
        IntStream.range(0, good.length)
            .filter(g -> firstOfImage[g] == good[g])
            .map(g -> good[g])
            .toArray();
    int[] firstOfPixels = firsts(shown, pixelHashes);
    long repeatedImages = 0;
    for (int i = 0; i < shown.length; i++) {
      repeatedImages += firstOfPixels[i] == shown[i] ? 0 : 1;
    }
    int limit = tokenizer == null ? 0 : tokenizer.maxTokens();
    return new DatasetReport(
        size,
        size - good.length,
        reasons(),
        problems.keySet().stream()
            .sorted()
            .limit(NAMED)
            .map(index -> problems.get(index).getMessage())
            .toList(),
        images,
        widths.spread(),
        heights.spread(),
        words.spread(),
        tokenizer == null ? null : tokens.spread(),
        tokenizer == null ? 0 : tokens.above(limit),
        repeatedCaptions,
        sharedCaptions,
        repeatedImages);
  }

  /** For each of some pairs, ascending, the first of them with the same value. */
  private static int[] firsts(int[] of, long[] values) {
    // Numbers of pairs, from 1, in an open table: the values are hashes, or made to one.
    int[] places = new int[(int) Math.clamp(Integer.highestOneBit(of.length) * 4L, 2, MOST + 1L)];
    int[] firsts = new int[of.length];
    for (int i = 0; i < of.length; i++) {
      long value = values[of[i]];
      long mixed = value * 0x9E3779B97F4A7C15L;
      int place = (int) (mixed >>> 32 ^ mixed >>> 12) & (places.length - 1);
      while (places[place] != 0 && values[places[place] - 1] != value) {
        place = (place + 1) & (places.length - 1);
      }
      if (places[place] == 0) {
        places[place] = of[i] + 1;
      }
      firsts[i] = places[place] - 1;
    }
    return firsts;
  }

  private Map<String, Long> reasons() {
    Map<String, Long> counts = new HashMap<>();
    for (BadSampleException problem : problems.values()) {
      counts.merge(problem.reason().replaceAll("\\d+", "N"), 1L, Long::sum);
    }
    Map<String, Long> ordered = new LinkedHashMap<>();
    counts.entrySet().stream()
        .sorted(
            Map.Entry.<String, Long>comparingByValue()
                .reversed()
                .thenComparing(Map.Entry.comparingByKey()))
        .forEach(entry -> ordered.put(entry.getKey(), entry.getValue()));
    return ordered;
  }
}
