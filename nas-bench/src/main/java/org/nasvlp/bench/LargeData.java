package org.nasvlp.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedOutputStream;
import java.io.BufferedWriter;
import java.io.Closeable;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarFile;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.source.DatasetCheck;
import org.nasvlp.data.source.DatasetReport;
import org.nasvlp.data.source.ShardStream;
import org.nasvlp.random.StableHash;
import tools.jackson.databind.json.JsonMapper;

/**
 * Opens a data set of many pairs, made if it is not there, and tells the time, the heap that stays
 * in use and the memory of the process; then reads captions at random, and on demand every pair.
 * Beside it the usual way: of a list, its records in an {@link ArrayList}; of shards, Commons
 * Compress's {@link TarFile}. Both must give the same captions, whose hash is printed.
 *
 * <pre>
 * LargeData list|shards --dir DIR [--pairs N] [--side nas|usual] [--check THREADS]
 * </pre>
 *
 * A list names pictures that are not there; shards hold pictures of 8 × 8 pixels.
 */
public final class LargeData {
  private static final int PAIRS_OF_SHARD = 50_000;
  private static final int READ = 100_000;
  private static final String[] COLORS = {"red", "green", "blue", "yellow", "black", "white"};
  private static final String[] THINGS = {"cup", "plate", "chair", "horse", "bicycle", "umbrella"};
  private static final String[] RELATIONS = {"to the left of", "above", "behind", "beside"};

  /** Captions by number. */
  private interface Captions extends Closeable {
    String caption(int pair) throws IOException;

    int size();
  }

  /** A line of a list. */
  private record Line(String image, String caption) {}

  private LargeData() {}

  /** The command. */
  public static void main(String[] args) throws Exception {
    Path dir = null;
    int pairs = 10_000_000;
    String side = "nas";
    int check = 0;
    if (args.length % 2 == 0) {
      throw usage();
    }
    for (int i = 1; i < args.length; i += 2) {
      switch (args[i]) {
        case "--dir" -> dir = Path.of(args[i + 1]);
        case "--pairs" -> pairs = Integer.parseInt(args[i + 1].replace("_", ""));
        case "--side" -> side = args[i + 1];
        case "--check" -> check = Integer.parseInt(args[i + 1]);
        default -> throw usage();
      }
    }
    boolean list = args[0].equals("list");
    boolean usual = side.equals("usual");
    if (dir == null
        || !(list || args[0].equals("shards"))
        || !(usual || side.equals("nas"))
        || (check > 0 && (list || usual))) {
      throw usage();
    }
    Path data = list ? list(dir, pairs) : shards(dir, pairs);
    System.out.println(run(data, pairs, usual, check));
  }

  private static IllegalArgumentException usage() {
    return new IllegalArgumentException(
        "usage: LargeData list|shards --dir DIR [--pairs N] [--side nas|usual] [--check THREADS];"
            + " --check reads every pair of shards, side nas");
  }

  /** Opens and reads. */
  static String run(Path data, int pairs, boolean usual, int check)
      throws IOException, BadSampleException, InterruptedException {
    var told = new StringBuilder();
    long began = System.nanoTime();
    double cpu = cpuSeconds();
    try (ImageTextDataset dataset = usual ? null : ImageTextDataset.open(data, 0xFFFFFF);
        Captions captions = dataset == null ? usual(data) : of(dataset)) {
      double seconds = (System.nanoTime() - began) / 1e9;
      double busy = cpuSeconds() - cpu;
      if (captions.size() != pairs) {
        throw new IOException(data + " holds " + captions.size() + " pairs: delete it");
      }
      told.append(
          String.format(
              Locale.ROOT,
              "%s, %,d pairs, %s: opened in %.1f s (%.1f s of processor time), %d MiB of heap"
                  + " stay, %s%n",
              data.getFileName(),
              pairs,
              usual ? "the usual way" : "nas",
              seconds,
              busy,
              heap() >> 20,
              resident()));
      var random = new SplittableRandom(1);
      long hash = 0;
      began = System.nanoTime();
      for (int i = 0; i < READ; i++) {
        hash = hash * 31 + StableHash.of(captions.caption(random.nextInt(pairs)));
      }
      told.append(
          String.format(
              Locale.ROOT,
              "%,d captions at random: %.2f µs each, hash %016x%n",
              READ,
              (System.nanoTime() - began) / 1e3 / READ,
              hash));
      if (check > 0 && dataset != null) {
        began = System.nanoTime();
        var mostHeap = new AtomicLong();
        var next = new AtomicLong();
        DatasetReport report =
            DatasetCheck.run(
                dataset,
                null,
                check,
                done -> {
                  if (done >= next.get()) {
                    next.addAndGet(pairs / 10);
                    mostHeap.accumulateAndGet(heap() >> 20, Math::max);
                  }
                });
        seconds = (System.nanoTime() - began) / 1e9;
        told.append(
            String.format(
                Locale.ROOT,
                "every pair read and decoded: %,d images, %d bad, %.0f s, %,.0f a second, at most"
                    + " %d MiB of heap in use meanwhile, %s%n",
                report.images(),
                report.bad(),
                seconds,
                pairs / seconds,
                mostHeap.get(),
                resident()));
      }
    }
    return told.toString().stripTrailing();
  }

  private static double cpuSeconds() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime()
        / 1e9;
  }

  private static long heap() {
    System.gc();
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }

  /** The process's memory, now and at most, as Linux tells it. */
  private static String resident() throws IOException {
    Path status = Path.of("/proc/self/status");
    if (!Files.exists(status)) {
      return "resident memory unknown";
    }
    long now = 0;
    long most = 0;
    for (String line : Files.readAllLines(status)) {
      if (line.startsWith("VmRSS:")) {
        now = kibibytes(line);
      } else if (line.startsWith("VmHWM:")) {
        most = kibibytes(line);
      }
    }
    return "%d MiB resident, %d at most".formatted(now >> 10, most >> 10);
  }

  private static long kibibytes(String line) {
    return Long.parseLong(line.replaceAll("\\D", ""));
  }

  private static Captions of(ImageTextDataset dataset) {
    return new Captions() {
      @Override
      public String caption(int pair) throws IOException {
        try {
          return dataset.caption(pair).caption();
        } catch (BadSampleException e) {
          throw new IOException(e);
        }
      }

      @Override
      public int size() {
        return Math.toIntExact(dataset.size());
      }

      @Override
      public void close() {}
    };
  }

  private static Captions usual(Path data) throws IOException {
    if (Files.isDirectory(data)) {
      return usualShards(data);
    }
    List<Line> lines = new ArrayList<>();
    JsonMapper mapper = JsonMapper.shared();
    try (var reader = Files.newBufferedReader(data)) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        lines.add(mapper.readValue(line, Line.class));
      }
    }
    return new Captions() {
      @Override
      public String caption(int pair) {
        return lines.get(pair).caption();
      }

      @Override
      public int size() {
        return lines.size();
      }

      @Override
      public void close() {}
    };
  }

  private static Captions usualShards(Path folder) throws IOException {
    List<TarFile> archives = new ArrayList<>();
    List<List<TarArchiveEntry>> captions = new ArrayList<>();
    int count = 0;
    for (Path file : files(folder)) {
      TarFile archive = new TarFile(file);
      archives.add(archive);
      List<TarArchiveEntry> texts =
          archive.getEntries().stream().filter(e -> e.getName().endsWith(".txt")).toList();
      captions.add(texts);
      count += texts.size();
    }
    int size = count;
    return new Captions() {
      @Override
      public String caption(int pair) throws IOException {
        TarArchiveEntry entry = captions.get(pair / PAIRS_OF_SHARD).get(pair % PAIRS_OF_SHARD);
        try (var in = archives.get(pair / PAIRS_OF_SHARD).getInputStream(entry)) {
          return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
      }

      @Override
      public int size() {
        return size;
      }

      @Override
      public void close() throws IOException {
        for (TarFile archive : archives) {
          archive.close();
        }
      }
    };
  }

  private static List<Path> files(Path folder) throws IOException {
    try (var files = Files.list(folder)) {
      return files.filter(file -> file.toString().endsWith(".tar")).sorted().toList();
    }
  }

  private static String caption(int pair) {
    var random = new SplittableRandom(pair);
    return "a %s %s %s a %s %s, number %d"
        .formatted(
            COLORS[random.nextInt(COLORS.length)],
            THINGS[random.nextInt(THINGS.length)],
            RELATIONS[random.nextInt(RELATIONS.length)],
            COLORS[random.nextInt(COLORS.length)],
            THINGS[random.nextInt(THINGS.length)],
            pair);
  }

  /** A list, one JSON object a line; made if it is not there. */
  static Path list(Path dir, int pairs) throws IOException {
    Path file = dir.resolve("list-%d.jsonl".formatted(pairs));
    if (!Files.exists(file)) {
      Files.createDirectories(dir);
      Path part = dir.resolve(file.getFileName() + ".part");
      try (BufferedWriter writer = Files.newBufferedWriter(part)) {
        for (int i = 0; i < pairs; i++) {
          writer.write(
              "{\"image\": \"%s\", \"caption\": \"%s\"}%n"
                  .formatted(picture(i) + ".jpg", caption(i)));
        }
      }
      Files.move(part, file);
    }
    return file;
  }

  /** A folder of shards; each is made if it is not there. */
  static Path shards(Path dir, int pairs) throws IOException {
    Path folder = Files.createDirectories(dir.resolve("shards-%d".formatted(pairs)));
    for (int from = 0; from < pairs; from += PAIRS_OF_SHARD) {
      Path file = folder.resolve("large-%06d.tar".formatted(from / PAIRS_OF_SHARD));
      if (Files.exists(file)) {
        continue;
      }
      Path part = folder.resolve(file.getFileName() + ".part");
      try (var shard =
          new ShardStream(new BufferedOutputStream(Files.newOutputStream(part), 1 << 20))) {
        byte[] rgb = new byte[8 * 8 * 3];
        for (int i = from; i < Math.min(pairs, from + PAIRS_OF_SHARD); i++) {
          new SplittableRandom(i).nextBytes(rgb);
          shard.add(picture(i), new RgbImage(8, 8, rgb.clone()).png(), caption(i));
        }
      }
      Files.move(part, file);
    }
    return folder;
  }

  private static String picture(int pair) {
    return "shard%03d/%09d".formatted(pair / 10_000, pair);
  }
}
