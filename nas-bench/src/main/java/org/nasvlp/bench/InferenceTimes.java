package org.nasvlp.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.libtorch.LibTorch;
import org.nasvlp.model.NasModel;

/**
 * Times a program that only loads a checkpoint and scores pairs: a whole process, and pairs once it
 * is warm. Beside it stands the same program where LibTorch is loaded before this library, with
 * OpenMP's and OpenBLAS's waits left as they are. The scores of both are compared first.
 *
 * <pre>
 * InferenceTimes [--checkpoint DIR] [--pictures PATH] [--threads N] [--rounds N] [--seconds S]
 * </pre>
 */
public final class InferenceTimes {
  private static final int PICTURES = 16;

  /** Who loads LibTorch. */
  enum Side {
    /** This library, which sets OpenMP's and OpenBLAS's waits before. */
    NAS,
    /** The program, which sets nothing. */
    UNSET
  }

  /**
   * What a process told.
   *
   * @param scores of its pairs, to the last bit
   * @param spins how often OpenMP looks again before it sleeps, as it says itself
   * @param wall seconds from before the process began until it had ended
   * @param cpu processor seconds of the process
   * @param warm pairs a second, 0 for a process that scored them once
   * @param warmCpu processor seconds a pair, warm
   */
  record Told(String scores, String spins, double wall, double cpu, double warm, double warmCpu) {}

  private final Path checkpoint;
  private final Path pictures;
  private final int threads;

  /**
   * A benchmark.
   *
   * @param checkpoint of the model
   * @param pictures data set of 16 pairs at least
   * @param threads of LibTorch; 0 for its own choice
   */
  InferenceTimes(Path checkpoint, Path pictures, int threads) {
    this.checkpoint = checkpoint;
    this.pictures = pictures;
    this.threads = threads;
  }

  /** The command. */
  public static void main(String[] args) throws Exception {
    Path checkpoint = null;
    Path pictures = Path.of("data/noto-emoji/test.tar");
    int threads = 0;
    int rounds = 3;
    double seconds = 5;
    if (args.length % 2 != 0) {
      throw new IllegalArgumentException(args[args.length - 1] + " needs a value");
    }
    for (int i = 0; i < args.length; i += 2) {
      switch (args[i]) {
        case "--checkpoint" -> checkpoint = Path.of(args[i + 1]);
        case "--pictures" -> pictures = Path.of(args[i + 1]);
        case "--threads" -> threads = Integer.parseInt(args[i + 1]);
        case "--rounds" -> rounds = Integer.parseInt(args[i + 1]);
        case "--seconds" -> seconds = Double.parseDouble(args[i + 1]);
        default -> throw new IllegalArgumentException(args[i] + " is no option");
      }
    }
    Path made = null;
    if (checkpoint == null) {
      made = Files.createTempDirectory("nas-inference");
      checkpoint = made;
      untrained(NasConfig.preset("emoji"), pictures.resolveSibling("tokenizer.json"), made);
    }
    try {
      System.out.print(new InferenceTimes(checkpoint, pictures, threads).table(rounds, seconds));
    } finally {
      if (made != null) {
        try (var files = Files.list(made)) {
          for (Path file : files.toList()) {
            Files.delete(file);
          }
        }
        Files.delete(made);
      }
    }
  }

  /** A checkpoint of a model as it begins; what it takes to score does not depend on training. */
  static void untrained(NasConfig config, Path tokenizerFile, Path folder) throws IOException {
    try (CaptionTokenizer tokenizer =
            CaptionTokenizer.load(tokenizerFile, config.model().textTokens());
        NasModel model = NasModel.create(config, tokenizer)) {
      int width = config.model().width();
      float[] tokens = new float[2 * config.dictionary().codewords() * width];
      for (int i = 0; i < tokens.length; i++) {
        tokens[i] = (float) Math.sin(0.7 * i);
      }
      model.startDictionary(tokens);
      model.write(folder);
    }
  }

  /** Runs the sides in turns, compares their scores, and tells their times. */
  String table(int rounds, double seconds) throws IOException, InterruptedException {
    Map<Side, List<Told>> cold = new EnumMap<>(Side.class);
    Map<Side, List<Told>> warm = new EnumMap<>(Side.class);
    for (int round = 0; round < rounds; round++) {
      for (Side side : Side.values()) {
        cold.computeIfAbsent(side, s -> new ArrayList<>()).add(process(side, 0));
      }
      for (Side side : Side.values()) {
        warm.computeIfAbsent(side, s -> new ArrayList<>()).add(process(side, seconds));
      }
    }
    List<Told> all = new ArrayList<>();
    cold.values().forEach(all::addAll);
    warm.values().forEach(all::addAll);
    compare(all);
    StringBuilder text =
        new StringBuilder(
            ("results compared: the %d scores of all %d processes are the same to the bit%nOpenMP"
                    + " spins so often before it sleeps: nas %s, unset %s%n%n%-44s %10s %10s %8s "
                    + " %s%n")
                .formatted(
                    PICTURES * PICTURES,
                    all.size(),
                    cold.get(Side.NAS).getFirst().spins(),
                    cold.get(Side.UNSET).getFirst().spins(),
                    "median of " + rounds,
                    "nas",
                    "unset",
                    "ratio",
                    "in single rounds"));
    row(text, "a process that scores once, wall seconds", cold, Told::wall);
    row(text, "a process that scores once, processor seconds", cold, Told::cpu);
    row(text, "warm, milliseconds a pair", warm, told -> 1e3 / told.warm());
    row(text, "warm, processor milliseconds a pair", warm, told -> 1e3 * told.warmCpu());
    return text.toString();
  }

  private static void row(
      StringBuilder text, String name, Map<Side, List<Told>> told, ToDoubleFunction<Told> value) {
    double[] nas = told.get(Side.NAS).stream().mapToDouble(value).toArray();
    double[] unset = told.get(Side.UNSET).stream().mapToDouble(value).toArray();
    double[] ratios = new double[nas.length];
    Arrays.setAll(ratios, i -> unset[i] / nas[i]);
    text.append(
        String.format(
            Locale.ROOT,
            "%-44s %10.3f %10.3f %8.2f  %.2f to %.2f%n",
            name,
            median(nas),
            median(unset),
            median(ratios),
            Arrays.stream(ratios).min().orElseThrow(),
            Arrays.stream(ratios).max().orElseThrow()));
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int half = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  /**
   * Nothing is timed that does not do the same.
   *
   * @throws IllegalStateException if two processes' scores differ in a bit
   */
  static void compare(List<Told> all) {
    String expected = all.getFirst().scores();
    for (Told told : all) {
      if (!told.scores().equals(expected)) {
        throw new IllegalStateException(
            "the scores differ: " + expected + " and " + told.scores() + "; no time is told");
      }
    }
  }

  private Told process(Side side, double seconds) throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx1g",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-cp",
            System.getProperty("java.class.path"),
            Program.class.getName(),
            side.name(),
            checkpoint.toString(),
            pictures.toString(),
            Integer.toString(threads),
            Double.toString(seconds));
    builder.environment().remove("OMP_WAIT_POLICY");
    builder.environment().remove("OPENBLAS_THREAD_TIMEOUT");
    // OpenMP says how it waits, on stderr, when it is loaded.
    builder.environment().put("OMP_DISPLAY_ENV", "VERBOSE");
    builder.redirectErrorStream(true);
    long began = System.nanoTime();
    Process process = builder.start();
    String output;
    try (var stream = process.getInputStream()) {
      output = new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }
    int status = process.waitFor();
    double wall = (System.nanoTime() - began) * 1e-9;
    if (status != 0) {
      throw new IllegalStateException("the process ended with status " + status + ":\n" + output);
    }
    return new Told(
        told(output, "scores "),
        told(output, "GOMP_SPINCOUNT = ").replace("'", ""),
        wall,
        Double.parseDouble(told(output, "whole-cpu ")),
        Double.parseDouble(told(output, "warm ")),
        Double.parseDouble(told(output, "warm-cpu ")));
  }

  private static String told(String output, String what) {
    return output
        .lines()
        .filter(line -> line.contains(what))
        .map(line -> line.substring(line.indexOf(what) + what.length()).strip())
        .findFirst()
        .orElseThrow(() -> new IllegalStateException("no " + what + "in:\n" + output));
  }

  /** The program that is timed. */
  static final class Program {
    private Program() {}

    /** With the side, the checkpoint, the pictures, LibTorch's threads and warm seconds. */
    public static void main(String[] args) throws IOException, BadSampleException {
      if (Side.valueOf(args[0]) == Side.UNSET) {
        Loader.load(openblas.class);
        Loader.load(torch.class);
      }
      int threads = Integer.parseInt(args[3]);
      if (threads > 0) {
        LibTorch.setThreads(threads);
      }
      List<RgbImage> images = new ArrayList<>();
      List<String> captions = new ArrayList<>();
      try (NasModel model = NasModel.load(Path.of(args[1]));
          ImageTextDataset pairs =
              ImageTextDataset.open(Path.of(args[2]), model.config().data().background())) {
        for (int i = 0; i < PICTURES; i++) {
          long index = i * pairs.size() / PICTURES;
          images.add(pairs.get(index).image());
          captions.add(pairs.get(index).caption());
        }
        System.out.println("scores " + Long.toHexString(score(model, images, captions)));
        warm(model, images, captions, Double.parseDouble(args[4]));
      }
      System.out.println("whole-cpu " + processorSeconds());
    }

    private static void warm(
        NasModel model, List<RgbImage> images, List<String> captions, double seconds) {
      long pairs = 0;
      double wall = 0;
      double cpu = 0;
      if (seconds > 0) {
        double warmUp = seconds / 2;
        for (long began = System.nanoTime(); (System.nanoTime() - began) * 1e-9 < warmUp; ) {
          score(model, images, captions);
        }
        double cpuBegan = processorSeconds();
        long began = System.nanoTime();
        while (wall < seconds) {
          score(model, images, captions);
          pairs += (long) PICTURES * PICTURES;
          wall = (System.nanoTime() - began) * 1e-9;
        }
        cpu = processorSeconds() - cpuBegan;
      }
      System.out.println("warm " + (pairs == 0 ? 0 : pairs / wall));
      System.out.println("warm-cpu " + (pairs == 0 ? 0 : cpu / pairs));
    }

    /** Each picture with each caption; a hash of all bits. */
    private static long score(NasModel model, List<RgbImage> images, List<String> captions) {
      long hash = 1;
      for (RgbImage image : images) {
        for (double score : model.score(image, captions)) {
          hash = 31 * hash + Double.doubleToLongBits(score);
        }
      }
      return hash;
    }

    private static double processorSeconds() {
      return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime()
          * 1e-9;
    }
  }
}
