package org.nasvlp.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.DataConfig;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;

@Timeout(60)
class BatchLoaderTest {
  private static final int SIDE = 8;

  private static CaptionTokenizer tokenizer;

  @BeforeAll
  static void load() {
    tokenizer = Fixtures.tokenizer();
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  /** What a data set in memory does for an index. */
  private interface Source {
    ImageTextPair get(long index) throws BadSampleException;
  }

  private record Memory(long size, Source source) implements ImageTextDataset {
    @Override
    public ImageTextPair get(long index) throws BadSampleException {
      return source.get(index);
    }

    @Override
    public String name() {
      return "memory";
    }
  }

  private static ImageTextPair pair(long index) {
    byte[] rgb = new byte[9 * 9 * 3];
    for (int i = 0; i < rgb.length; i++) {
      rgb[i] = (byte) (index * 31 + i * 7L);
    }
    return new ImageTextPair(
        "k" + index, index / 2, new RgbImage(9, 9, rgb), index % 5 == 0 ? "a red dog" : "a dog");
  }

  private static Memory good(int size) {
    return new Memory(size, BatchLoaderTest::pair);
  }

  private static Memory without(int size, Set<Long> bad) {
    return new Memory(
        size,
        index -> {
          if (bad.contains(index)) {
            throw new BadSampleException("k" + index, "is bad");
          }
          return pair(index);
        });
  }

  private static DataConfig config(int batchSize, int threads, double maxBadShare) {
    return DataConfig.defaults(batchSize).toBuilder()
        .minCropScale(0.3)
        .loaderThreads(threads)
        .maxBadShare(maxBadShare)
        .build();
  }

  private static BatchLoader loader(ImageTextDataset dataset, DataConfig config, long firstStep) {
    return new BatchLoader(dataset, tokenizer, SIDE, config, 77, firstStep, FirstPairs.NONE);
  }

  private static List<Batch> take(BatchLoader loader, int count) throws InterruptedException {
    List<Batch> batches = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      batches.add(loader.next());
    }
    return batches;
  }

  private static void assertSame(Batch actual, Batch expected) {
    assertThat(actual.step()).isEqualTo(expected.step());
    assertThat(actual.sampleIds()).isEqualTo(expected.sampleIds());
    assertThat(actual.keys()).isEqualTo(expected.keys());
    assertThat(actual.imageIds()).isEqualTo(expected.imageIds());
    assertThat(actual.captions()).isEqualTo(expected.captions());
    assertThat(actual.images()).isEqualTo(expected.images());
    assertThat(actual.tokens().ids()).isEqualTo(expected.tokens().ids());
    assertThat(actual.tokens().mask()).isEqualTo(expected.tokens().mask());
  }

  @Test
  void aBatchHoldsWhatTheDataSetGives() throws Exception {
    DataConfig config = config(6, 2, 0);
    try (BatchLoader loader = loader(good(20), config, 0)) {
      assertThat(loader.stepsPerEpoch()).isEqualTo(3);
      Batch batch = loader.next();
      assertThat(batch.step()).isZero();
      assertThat(batch.tokens().rows()).isEqualTo(6);
      for (int i = 0; i < 6; i++) {
        ImageTextPair pair = pair(batch.sampleIds()[i]);
        assertThat(batch.keys()[i]).isEqualTo(pair.key());
        assertThat(batch.imageIds()[i]).isEqualTo(pair.imageId());
        assertThat(batch.captions()[i]).isEqualTo(CaptionTokenizer.normalize(pair.caption()));
        float[] image = new float[3 * SIDE * SIDE];
        ImageTransform.training(SIDE, config)
            .apply(pair.image(), pair.caption(), 77, 0, batch.sampleIds()[i], image, 0);
        assertThat(Arrays.copyOfRange(batch.images(), i * image.length, (i + 1) * image.length))
            .isEqualTo(image);
      }
      assertThat(batch.tokens().ids()).isEqualTo(tokenizer.encode(List.of(batch.captions())).ids());
      assertThat(loader.skipped().read()).isEqualTo(6);
      assertThat(loader.skipped().skipped()).isZero();
    }
  }

  @Test
  void anEpochTakesEverySampleOnceAndLeavesTheRestOver() throws Exception {
    try (BatchLoader loader = loader(good(23), config(5, 3, 0), 0)) {
      Set<List<Long>> orders = new HashSet<>();
      Set<Long> ever = new HashSet<>();
      for (int epoch = 0; epoch < 8; epoch++) {
        List<Long> order = new ArrayList<>();
        for (Batch batch : take(loader, 4)) {
          Arrays.stream(batch.sampleIds()).forEach(order::add);
        }
        assertThat(order).hasSize(20).doesNotHaveDuplicates().allMatch(i -> i >= 0 && i < 23);
        orders.add(order);
        ever.addAll(order);
      }
      assertThat(orders).hasSize(8);
      assertThat(ever).hasSize(23);
      assertThat(loader.skipped().read()).isEqualTo(23);
    }
  }

  @Test
  void shufflesAreFair() {
    // Of 6 places each of 4 values: over 6,000 epochs a place sees a value 1,500 times, sd 34.
    int[][] counts = new int[4][4];
    for (int epoch = 0; epoch < 6000; epoch++) {
      int[] order = BatchOrder.permutation(5, epoch, 4);
      int[] sorted = order.clone();
      Arrays.sort(sorted);
      assertThat(sorted).containsExactly(0, 1, 2, 3);
      for (int place = 0; place < 4; place++) {
        counts[place][order[place]]++;
      }
    }
    for (int[] row : counts) {
      for (int count : row) {
        assertThat(count).isBetween(1500 - 170, 1500 + 170);
      }
    }
  }

  @Test
  void threadsAndFirstStepChangeNothing() throws Exception {
    Memory dataset = without(50, Set.of(3L, 4L, 17L, 30L, 31L, 32L));
    List<Batch> one;
    List<String> examples;
    try (BatchLoader loader = loader(dataset, config(8, 1, 1), 0)) {
      one = take(loader, 14);
      examples = loader.skipped().examples();
      assertThat(loader.skipped().skipped()).isEqualTo(6);
    }
    try (BatchLoader loader = loader(dataset, config(8, 3, 1), 0)) {
      List<Batch> three = take(loader, 14);
      for (int i = 0; i < 14; i++) {
        assertSame(three.get(i), one.get(i));
      }
      assertThat(loader.skipped().examples()).isEqualTo(examples);
    }
    try (BatchLoader loader = loader(dataset, config(8, 2, 1), 9)) {
      for (int i = 9; i < 14; i++) {
        assertSame(loader.next(), one.get(i));
      }
    }
  }

  @Test
  void seedsGiveOtherBatches() throws Exception {
    try (BatchLoader a =
            new BatchLoader(good(50), tokenizer, SIDE, config(8, 1, 0), 1, 0, FirstPairs.NONE);
        BatchLoader b =
            new BatchLoader(good(50), tokenizer, SIDE, config(8, 1, 0), 2, 0, FirstPairs.NONE)) {
      assertThat(a.next().sampleIds()).isNotEqualTo(b.next().sampleIds());
    }
  }

  @Test
  void firstPairsFillTheFirstBatchesAndTheWholeDataSetFollows() throws Exception {
    ImageTextDataset dataset = good(50);
    Set<Long> first = Set.of(3L, 7L, 20L, 21L, 22L, 23L, 41L, 48L, 49L);
    int[] indices = first.stream().mapToInt(Long::intValue).sorted().toArray();
    FirstPairs pairs = new FirstPairs(indices, 5);
    List<Batch> all;
    try (BatchLoader loader =
        new BatchLoader(dataset, tokenizer, SIDE, config(4, 2, 0), 77, 0, pairs)) {
      all = take(loader, 9);
    }
    for (Batch batch : all.subList(0, 5)) {
      assertThat(batch.sampleIds()).hasSize(4).doesNotHaveDuplicates();
      assertThat(Arrays.stream(batch.sampleIds()).boxed()).isSubsetOf(first);
    }
    // Two batches go through eight of the nine.
    for (int i = 0; i < 4; i += 2) {
      assertThat(all.get(i).sampleIds()).doesNotContain(all.get(i + 1).sampleIds());
    }
    assertThat(all.get(0).sampleIds()).isNotEqualTo(all.get(2).sampleIds());
    int[] order = BatchOrder.permutation(77, 0, 50);
    for (int i = 0; i < 4; i++) {
      assertThat(all.get(5 + i).sampleIds())
          .isEqualTo(Arrays.stream(order, 4 * i, 4 * i + 4).asLongStream().toArray());
    }
    // The whole data set's first order is not taken for that of the few before it.
    FirstPairs once = new FirstPairs(indices, 1);
    try (BatchLoader loader =
        new BatchLoader(dataset, tokenizer, SIDE, config(4, 1, 0), 77, 0, once)) {
      assertSame(loader.next(), all.get(0));
      assertThat(loader.next().sampleIds()).isEqualTo(all.get(5).sampleIds());
    }
    try (BatchLoader later =
        new BatchLoader(dataset, tokenizer, SIDE, config(4, 1, 0), 77, 3, pairs)) {
      for (int i = 3; i < 9; i++) {
        assertSame(later.next(), all.get(i));
      }
    }
    assertThatThrownBy(
            () -> new BatchLoader(dataset, tokenizer, SIDE, config(10, 1, 0), 77, 0, pairs))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("9 pairs of the data set")
        .hasMessageContaining("data.batchSize");
  }

  @Test
  void aBadPairIsReplacedByOneOfTheFirstWhileTheseLast() throws Exception {
    Set<Long> first = Set.of(3L, 7L, 20L, 21L, 22L, 23L);
    int[] indices = first.stream().mapToInt(Long::intValue).sorted().toArray();
    try (BatchLoader loader =
        new BatchLoader(
            without(50, Set.of(20L)),
            tokenizer,
            SIDE,
            config(6, 2, 1),
            77,
            0,
            new FirstPairs(indices, 20))) {
      for (Batch batch : take(loader, 20)) {
        assertThat(Arrays.stream(batch.sampleIds()).boxed()).isSubsetOf(first).doesNotContain(20L);
      }
      assertThat(loader.skipped().skipped()).isEqualTo(1);
    }
  }

  @Test
  void badSamplesAreReplacedCountedOnceAndListed() throws Exception {
    Set<Long> bad = Set.of(0L, 5L);
    try (BatchLoader loader = loader(without(10, bad), config(5, 2, 0.2), 0)) {
      for (Batch batch : take(loader, 20)) {
        for (long id : batch.sampleIds()) {
          assertThat(bad).doesNotContain(id);
        }
        for (float v : batch.images()) {
          assertThat(v).isBetween(-1f, 1f);
        }
      }
      assertThat(loader.skipped().skipped()).isEqualTo(2);
      assertThat(loader.skipped().read()).isEqualTo(10);
      assertThat(loader.skipped().examples()).containsExactlyInAnyOrder("k0: is bad", "k5: is bad");
    }
  }

  @Test
  void captionsWithoutWordsAreBadSamples() throws Exception {
    Memory dataset =
        new Memory(
            10,
            index ->
                switch ((int) index) {
                  case 1 -> new ImageTextPair("blank", 1, pair(1).image(), " \n");
                  case 2 -> new ImageTextPair("nothing", 2, pair(1).image(), "\u200b");
                  default -> pair(index);
                });
    try (BatchLoader loader = loader(dataset, config(10, 2, 0.5), 0)) {
      loader.next();
      assertThat(loader.skipped().examples())
          .containsExactlyInAnyOrder(
              "blank: the caption is empty",
              "nothing: the caption has no token that the tokenizer knows");
    }
  }

  @Test
  void tooManyBadSamplesStopTheRunAtTheSameStep() throws Exception {
    Set<Long> bad = new HashSet<>();
    for (long i = 0; i < 400; i += 10) {
      bad.add(i);
    }
    Set<Integer> stops = new HashSet<>();
    for (int threads = 1; threads <= 3; threads++) {
      try (BatchLoader loader = loader(without(400, bad), config(8, threads, 0.01), 0)) {
        int steps = 0;
        TooManyBadSamplesException stop = null;
        while (stop == null) {
          try {
            loader.next();
            steps++;
          } catch (TooManyBadSamplesException e) {
            stop = e;
          }
        }
        assertThat(steps).isLessThan(25);
        assertThat(stop.examples()).isNotEmpty().allMatch(e -> e.endsWith(": is bad"));
        assertThat(stop).hasMessageContaining("data.maxBadShare = 0.01");
        assertThat(stop).hasMessageContaining(stop.examples().getFirst());
        stops.add(steps);
        assertThatThrownBy(loader::next).isInstanceOf(TooManyBadSamplesException.class);
      }
    }
    assertThat(stops).hasSize(1);
  }

  @Test
  void aShareWithinTheLimitGoesOn() throws Exception {
    Set<Long> bad = Set.of(7L, 130L, 277L);
    try (BatchLoader loader = loader(without(300, bad), config(10, 2, 0.01), 0)) {
      take(loader, 65);
      assertThat(loader.skipped().skipped()).isEqualTo(3);
    }
    try (BatchLoader loader =
        loader(without(300, Set.of(7L, 130L, 277L, 31L)), config(10, 2, 0.01), 0)) {
      assertThatThrownBy(() -> take(loader, 65)).isInstanceOf(TooManyBadSamplesException.class);
    }
    try (BatchLoader loader = loader(without(300, Set.of(7L)), config(10, 2, 0), 0)) {
      assertThatThrownBy(() -> take(loader, 65)).isInstanceOf(TooManyBadSamplesException.class);
    }
  }

  @Test
  void aDataSetOfBadSamplesOnlyEnds() {
    Memory dataset =
        new Memory(
            40,
            index -> {
              throw new BadSampleException("k" + index, "is bad");
            });
    try (BatchLoader loader = loader(dataset, config(8, 2, 1), 0)) {
      assertThatThrownBy(loader::next)
          .isInstanceOf(TooManyBadSamplesException.class)
          .hasMessageContaining("no usable sample found in memory")
          .hasMessageContaining("is bad");
    }
  }

  @Test
  void failuresOfADataSetNameTheSample() throws Exception {
    for (int kind = 0; kind < 3; kind++) {
      int how = kind;
      Memory dataset =
          new Memory(
              40,
              index -> {
                if (index != 13) {
                  return pair(index);
                }
                return switch (how) {
                  case 0 -> throw new UnsupportedOperationException("user's bug");
                  case 1 -> throw new AssertionError("user's bug");
                  default -> null;
                };
              });
      try (BatchLoader loader = loader(dataset, config(4, 3, 1), 0)) {
        int first = 0;
        int[] order = BatchOrder.permutation(77, 0, 40);
        while (order[first] != 13) {
          first++;
        }
        take(loader, first / 4);
        assertThatThrownBy(loader::next)
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("sample 13 of memory")
            .hasMessageContaining(how == 2 ? "returned null" : "user's bug");
        assertThatThrownBy(loader::next).isInstanceOf(IllegalStateException.class);
      }
    }
  }

  @Test
  void tooFewPairsNamesBothSizes() {
    assertThatThrownBy(() -> loader(good(7), config(8, 1, 0), 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("memory holds 7 pairs")
        .hasMessageContaining("batch of 8");
    assertThatThrownBy(() -> loader(good(8), config(8, 1, 0), -1))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void cutCaptionsAreCounted() throws Exception {
    Memory dataset =
        new Memory(
            10,
            index ->
                new ImageTextPair(
                    "k",
                    index,
                    pair(index).image(),
                    index < 3 ? "a a a a a a a a a a red dog" : "a dog"));
    try (BatchLoader loader = loader(dataset, config(10, 2, 0), 0)) {
      loader.next();
      assertThat(loader.truncatedCaptions()).isEqualTo(3);
      loader.next();
      assertThat(loader.truncatedCaptions()).isEqualTo(6);
    }
  }

  @Test
  void closingStopsTheThreadsAndFreesAWaitingCaller() throws Exception {
    CountDownLatch never = new CountDownLatch(1);
    Memory stuck =
        new Memory(
            10,
            index -> {
              try {
                never.await();
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
              return pair(index);
            });
    BatchLoader loader = loader(stuck, config(4, 1, 0), 0);
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    Thread waiter =
        new Thread(
            () -> {
              try {
                loader.next();
              } catch (InterruptedException | RuntimeException e) {
                thrown.set(e);
              }
            });
    waiter.start();
    while (waiter.isAlive() && waiter.getState() != Thread.State.WAITING) {
      Thread.sleep(5);
    }
    long start = System.nanoTime();
    loader.close();
    loader.close();
    waiter.join();
    assertThat(TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start)).isLessThan(10);
    assertThat(thrown.get())
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
    assertThatThrownBy(loader::next).isInstanceOf(IllegalStateException.class);
    never.countDown();
  }

  @Test
  void closingEndsEveryThread() throws Exception {
    Set<Thread> before = Thread.getAllStackTraces().keySet();
    BatchLoader loader = loader(good(100), config(4, 5, 0), 0);
    loader.next();
    List<Thread> mine =
        Thread.getAllStackTraces().keySet().stream()
            .filter(thread -> !before.contains(thread))
            .filter(thread -> thread.getName().startsWith("nas-loader-"))
            .toList();
    assertThat(mine).hasSize(5).allMatch(Thread::isDaemon);
    loader.close();
    assertThat(mine).noneMatch(Thread::isAlive);
  }

  @Test
  void waitingCanBeInterrupted() {
    CountDownLatch never = new CountDownLatch(1);
    Memory stuck =
        new Memory(
            10,
            index -> {
              try {
                never.await();
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
              return pair(index);
            });
    BatchLoader loader = loader(stuck, config(4, 1, 0), 0);
    Thread.currentThread().interrupt();
    assertThatThrownBy(loader::next).isInstanceOf(InterruptedException.class);
    never.countDown();
    loader.close();
  }

  @Test
  void aCutShardTrainsOnWhatIsThere(@TempDir Path folder) throws Exception {
    Fixtures.Tar tar = new Fixtures.Tar();
    for (int i = 0; i < 12; i++) {
      tar.pair("p" + i, i * 99, "a dog");
    }
    byte[] bytes = tar.bytes();
    Path file = folder.resolve("cut.tar");
    // Pairs are 2,048 bytes long; the cut lies in the image of the last.
    Files.write(file, Arrays.copyOf(bytes, 11 * 2048 + 530));
    try (ImageTextDataset dataset = ImageTextDataset.open(file, Fixtures.WHITE);
        BatchLoader loader = loader(dataset, config(6, 2, 0.2), 0)) {
      assertThat(dataset.size()).isEqualTo(12);
      take(loader, 4);
      assertThat(loader.skipped().skipped()).isEqualTo(1);
      assertThat(loader.skipped().examples().getFirst())
          .startsWith("cut.tar: p11.png: ")
          .contains("cut short");
    }
  }
}
