package org.nasvlp.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.Codebook;
import org.nasvlp.kernels.CpuTier;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.kernels.Rows;

/**
 * Compares the lookup kernels with {@link BruteForce} on random problems of every {@link
 * SoakProblem.Kind}, index and distance bit for bit. Every problem goes through every instruction
 * tier; thread counts and splits of the rows into calls are drawn anew for every call.
 *
 * <pre>
 * Soak [--minutes M | --decisions N] [--seed S] [--threads T]
 * Soak --replay SEED
 * </pre>
 *
 * One decision is one row that a kernel of one tier has answered. The exit status is 1 on any
 * mismatch; each names the seed of its problem, which {@code --replay} makes again and runs on
 * every tier.
 */
public final class Soak {
  private static final int SHOWN = 20;

  /** The kernel under test. */
  interface Lookup extends AutoCloseable {
    /** Answers rows {@code from..to-1} of its problem. */
    void lookup(int from, int to, int[] indices, float[] distances);

    @Override
    default void close() {}
  }

  /** A way to run the kernel. */
  record Setting(CpuTier tier, int threads) {}

  /** What was seen of a kind of problem. */
  private static final class Tally {
    long problems;
    long decisions;
    long mismatches;
    int fewest = Integer.MAX_VALUE;
    int most;
    int narrowest = Integer.MAX_VALUE;
    int widest;

    void add(SoakProblem problem, long decided, long wrong) {
      problems++;
      decisions += decided;
      mismatches += wrong;
      fewest = Math.min(fewest, problem.size());
      most = Math.max(most, problem.size());
      narrowest = Math.min(narrowest, problem.width());
      widest = Math.max(widest, problem.width());
    }

    void print(String name) {
      System.out.printf(
          Locale.ROOT,
          "%-16s %9d %13d %14s %12s %10d%n",
          name,
          problems,
          decisions,
          fewest + ".." + most,
          narrowest + ".." + widest,
          mismatches);
    }
  }

  private final Function<SoakProblem, Lookup> kernels;
  private final Map<SoakProblem.Kind, Tally> kinds = new EnumMap<>(SoakProblem.Kind.class);
  private final Map<SoakProblem.Shape, Tally> shapes = new EnumMap<>(SoakProblem.Shape.class);
  private final Map<CpuTier, Long> byTier = new EnumMap<>(CpuTier.class);
  private long decisions;
  private long mismatches;

  /** A soak of the kernels that the function opens for a problem. */
  Soak(Function<SoakProblem, Lookup> kernels) {
    this.kernels = kernels;
  }

  /** The command. */
  public static void main(String[] args) throws InterruptedException {
    double minutes = 0;
    long most = Long.MAX_VALUE;
    long seed = System.nanoTime();
    int threads = Runtime.getRuntime().availableProcessors();
    Long replay = null;
    for (int i = 0; i < args.length; i += 2) {
      if (i + 1 == args.length) {
        throw usage();
      }
      switch (args[i]) {
        case "--minutes" -> minutes = Double.parseDouble(args[i + 1]);
        case "--decisions" -> most = Long.parseLong(args[i + 1].replace("_", ""));
        case "--seed" -> seed = Long.parseLong(args[i + 1]);
        case "--threads" -> threads = Integer.parseInt(args[i + 1]);
        case "--replay" -> replay = Long.valueOf(args[i + 1]);
        default -> throw usage();
      }
    }
    if (!Kernels.isAvailable(Backend.CPU)) {
      throw new IllegalStateException(Kernels.unavailableReason(Backend.CPU));
    }
    var soak = new Soak(Kernel::new);
    if (replay != null) {
      soak.replay(replay);
    } else {
      if (most == Long.MAX_VALUE && minutes == 0) {
        minutes = 1;
      }
      System.out.println("soak: " + Kernels.describe() + ", seed " + seed);
      long end = minutes == 0 ? Long.MAX_VALUE : System.nanoTime() + (long) (minutes * 60e9);
      soak.run(seed, end, most, threads);
    }
    if (soak.mismatches() > 0) {
      System.exit(1);
    }
  }

  private static IllegalArgumentException usage() {
    return new IllegalArgumentException(
        "usage: Soak [--minutes M | --decisions N] [--seed S] [--threads T] | Soak --replay SEED");
  }

  /** The seed of problem {@code number} of a run: SplitMix64 keeps neighbours apart. */
  private static long seedOf(long seed, long number) {
    return new SplittableRandom(seed + number).nextLong();
  }

  private void run(long seed, long end, long most, int threads) throws InterruptedException {
    long start = System.nanoTime();
    var next = new AtomicLong();
    List<Thread> workers = new ArrayList<>();
    List<Throwable> failures = new ArrayList<>();
    for (int t = 0; t < threads; t++) {
      Thread worker =
          new Thread(
              () -> {
                var truth = new BruteForce();
                while (decisions() < most && System.nanoTime() - end < 0) {
                  check(SoakProblem.create(seedOf(seed, next.getAndIncrement())), truth);
                }
              });
      worker.setUncaughtExceptionHandler(
          (thread, failure) -> {
            synchronized (this) {
              failures.add(failure);
            }
          });
      worker.start();
      workers.add(worker);
    }
    for (Thread worker : workers) {
      worker.join();
    }
    if (!failures.isEmpty()) {
      throw new IllegalStateException(failures.getFirst());
    }
    print((System.nanoTime() - start) / 1e9);
  }

  private synchronized long decisions() {
    return decisions;
  }

  /** Rows answered wrongly so far. */
  synchronized long mismatches() {
    return mismatches;
  }

  /** Decides every row of a problem and compares. */
  void check(SoakProblem problem, BruteForce truth) {
    int[] indices = new int[problem.rows()];
    float[] distances = new float[problem.rows()];
    truth.lookup(
        problem.codewords(),
        problem.size(),
        problem.width(),
        problem.x(),
        problem.rows(),
        indices,
        distances);
    var random = new SplittableRandom(problem.seed() ^ 0x5eed);
    /* The tier and the thread limit belong to the process. */
    synchronized (this) {
      try (Lookup kernel = kernels.apply(problem)) {
        long decided = 0;
        long wrong = 0;
        // The truth costs more than the kernels: each row is asked of all of them.
        for (CpuTier tier : Kernels.tiers()) {
          int from = 0;
          while (from < problem.rows()) {
            int to =
                switch (random.nextInt(3)) {
                  case 0 -> problem.rows();
                  case 1 -> from + random.nextInt(1, 20);
                  default -> from + random.nextInt(1, problem.rows() - from + 1);
                };
            to = Math.min(to, problem.rows());
            var setting = new Setting(tier, 1 + random.nextInt(2));
            apply(setting);
            wrong += compare(problem, kernel, setting, from, to, indices, distances);
            from = to;
          }
          decided += problem.rows();
          byTier.merge(tier, (long) problem.rows(), Long::sum);
        }
        decisions += decided;
        mismatches += wrong;
        kinds.computeIfAbsent(problem.kind(), kind -> new Tally()).add(problem, decided, wrong);
        shapes.computeIfAbsent(problem.shape(), shape -> new Tally()).add(problem, decided, wrong);
      }
    }
  }

  private static void apply(Setting setting) {
    Kernels.setTier(setting.tier());
    Kernels.setThreads(setting.threads());
  }

  /** Runs rows {@code from..to-1} and returns how many differ, naming the first few. */
  private long compare(
      SoakProblem problem,
      Lookup kernel,
      Setting setting,
      int from,
      int to,
      int[] indices,
      float[] distances) {
    int[] found = new int[to - from];
    float[] far = new float[to - from];
    kernel.lookup(from, to, found, far);
    long wrong = 0;
    for (int i = from; i < to; i++) {
      if (matches(found[i - from], far[i - from], indices[i], distances[i])) {
        continue;
      }
      if (mismatches + wrong++ < SHOWN) {
        System.out.printf(
            Locale.ROOT,
            "MISMATCH seed %d row %d of %s, K %d, d %d, %s, %d threads, rows %d..%d: "
                + "codeword %d at %s, must be %d at %s%n",
            problem.seed(),
            i,
            problem.kind(),
            problem.size(),
            problem.width(),
            setting.tier(),
            setting.threads(),
            from,
            to - 1,
            found[i - from],
            far[i - from],
            indices[i],
            distances[i]);
      }
    }
    return wrong;
  }

  /** Whether an answer is the true one, the distance bit for bit. */
  private static boolean matches(int index, float distance, int trueIndex, float trueDistance) {
    return index == trueIndex
        && Float.floatToRawIntBits(distance) == Float.floatToRawIntBits(trueDistance);
  }

  private void replay(long seed) {
    SoakProblem problem = SoakProblem.create(seed);
    System.out.printf(
        Locale.ROOT,
        "replay: seed %d, %s, %s, K %d, d %d, %d rows%n",
        seed,
        problem.kind(),
        problem.shape(),
        problem.size(),
        problem.width(),
        problem.rows());
    int[] indices = new int[problem.rows()];
    float[] distances = new float[problem.rows()];
    new BruteForce()
        .lookup(
            problem.codewords(),
            problem.size(),
            problem.width(),
            problem.x(),
            problem.rows(),
            indices,
            distances);
    try (Lookup kernel = kernels.apply(problem)) {
      for (CpuTier tier : Kernels.tiers()) {
        for (int threads = 1; threads <= 2; threads++) {
          var setting = new Setting(tier, threads);
          apply(setting);
          long wrong = compare(problem, kernel, setting, 0, problem.rows(), indices, distances);
          /* Rows one by one take other paths than many at once. */
          for (int i = 0; i < problem.rows(); i++) {
            wrong += compare(problem, kernel, setting, i, i + 1, indices, distances);
          }
          System.out.printf("%s, %d threads: %d mismatches%n", tier, threads, wrong);
          mismatches += wrong;
        }
      }
    }
  }

  private void print(double seconds) {
    String heads = "%n%-16s %9s %13s %14s %12s %10s%n";
    System.out.printf(heads, "kind", "problems", "decisions", "K", "d", "mismatches");
    kinds.forEach((kind, tally) -> tally.print(name(kind)));
    System.out.printf(heads, "shape", "problems", "decisions", "K", "d", "mismatches");
    shapes.forEach((shape, tally) -> tally.print(name(shape)));
    System.out.println();
    byTier.forEach((tier, decided) -> System.out.printf("%-16s %23d decisions%n", tier, decided));
    System.out.printf(
        Locale.ROOT,
        "%n%d decisions checked, %d mismatches, %.0f decisions/s, %.0f s%n",
        decisions,
        mismatches,
        decisions / seconds,
        seconds);
  }

  private static String name(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', ' ');
  }

  /** The native kernel over one problem. */
  private static final class Kernel implements Lookup {
    private final Arena arena = Arena.ofConfined();
    private final Codebook codebook;
    private final MemorySegment x;
    private final MemorySegment indices;
    private final MemorySegment distances;

    Kernel(SoakProblem problem) {
      codebook = Codebook.create(problem.codewords(), problem.size(), problem.width());
      x = arena.allocateFrom(ValueLayout.JAVA_FLOAT, problem.x());
      indices = arena.allocate(ValueLayout.JAVA_INT, problem.rows());
      distances = arena.allocate(ValueLayout.JAVA_FLOAT, problem.rows());
    }

    @Override
    public void lookup(int from, int to, int[] found, float[] far) {
      int width = codebook.width();
      int rows = to - from;
      /* Answers that a call leaves out must not look like the last call's. */
      indices.fill((byte) 0xff);
      distances.fill((byte) 0xff);
      codebook.lookup(
          Rows.of(x.asSlice((long) from * width * Float.BYTES), rows, width),
          indices,
          distances,
          0L);
      MemorySegment.copy(indices, ValueLayout.JAVA_INT, 0, found, 0, rows);
      MemorySegment.copy(distances, ValueLayout.JAVA_FLOAT, 0, far, 0, rows);
    }

    @Override
    public void close() {
      codebook.close();
      arena.close();
    }
  }
}
