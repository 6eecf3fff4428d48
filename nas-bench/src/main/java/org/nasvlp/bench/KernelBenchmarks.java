package org.nasvlp.bench;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;

/**
 * Runs the kernel benchmarks in interleaved rounds and prints, for every side of a benchmark, the
 * median over rounds of a call's median time, how many times the kernel's time that is (the side
 * {@code nas}), and between which bounds that ratio was in the single rounds. Takes JMH's own
 * command-line options, such as a pattern of benchmark names or {@code -p shape=4096x512x192};
 * {@code -Drounds=N} sets the rounds.
 */
public final class KernelBenchmarks {
  private KernelBenchmarks() {}

  /** The command. */
  public static void main(String[] args) throws RunnerException, CommandLineOptionException {
    CommandLineOptions given = new CommandLineOptions(args);
    int rounds = Integer.getInteger("rounds", 3);
    Map<String, Map<String, List<Double>>> times = new TreeMap<>();
    boolean trained = given(given, "data").contains("trained");
    if (trained && !given(given, "shape").isEmpty()) {
      throw new IllegalArgumentException(
          "data=trained has the shape of its checkpoint: leave out -p shape");
    }
    for (int round = 0; round < rounds; round++) {
      var builder =
          new OptionsBuilder()
              .parent(given)
              .forks(given.getForkCount().orElse(1))
              .warmupIterations(given.getWarmupIterations().orElse(2))
              .warmupTime(given.getWarmupTime().orElse(TimeValue.milliseconds(500)))
              .measurementIterations(given.getMeasurementIterations().orElse(3))
              .measurementTime(given.getMeasurementTime().orElse(TimeValue.milliseconds(500)))
              .jvmArgsAppend(
                  "--enable-native-access=ALL-UNNAMED",
                  "--sun-misc-unsafe-memory-access=allow",
                  "-Xmx2g");
      if (trained) {
        builder.param("shape", Numbers.CHECKPOINT);
      }
      for (RunResult result : new Runner(builder.build()).run()) {
        String benchmark = result.getParams().getBenchmark();
        int method = benchmark.lastIndexOf('.');
        String name =
            benchmark
                .substring(benchmark.lastIndexOf('.', method - 1) + 1, method)
                .replace("Benchmark", "")
                .toLowerCase(Locale.ROOT);
        String params =
            result.getParams().getParamsKeys().stream()
                .sorted()
                .map(key -> key + "=" + result.getParams().getParam(key))
                .collect(Collectors.joining(" "));
        times
            .computeIfAbsent(name + " " + params, key -> new TreeMap<>())
            .computeIfAbsent(benchmark.substring(method + 1), key -> new ArrayList<>())
            .add(microseconds(result.getPrimaryResult()));
      }
    }
    System.out.printf(
        "%n%-64s %-12s %14s %9s  %s%n",
        "median of " + rounds, "side", "us a call", "to nas", "in single rounds");
    times.forEach(
        (name, sides) -> {
          sides.forEach((side, values) -> print(name, side, values, sides.get("nas")));
          double nas = median(sides.get("nas"));
          String shape = name.replaceAll(".*shape=(\\S+).*", "$1");
          if (name.startsWith("update ") && sides.containsKey("read")) {
            double bytes = UpdateBenchmark.bytes(shape);
            double read = median(sides.get("read"));
            System.out.printf(
                Locale.ROOT,
                "%-64s nas moves %.1f GB/s, %.0f%% of the %.1f GB/s of reading%n",
                name,
                bytes / nas * 1e-3,
                100 * read / nas,
                bytes / read * 1e-3);
          }
        });
  }

  private static Collection<String> given(CommandLineOptions options, String parameter) {
    return options.getParameter(parameter).orElse(List.of());
  }

  /** The median, in microseconds whatever the benchmark's own unit of time is. */
  private static double microseconds(Result<?> result) {
    double median = result.getStatistics().getPercentile(50);
    return switch (result.getScoreUnit()) {
      case "ns/op" -> median * 1e-3;
      case "us/op" -> median;
      case "ms/op" -> median * 1e3;
      default -> throw new IllegalStateException("the unit " + result.getScoreUnit());
    };
  }

  private static void print(String name, String side, List<Double> values, List<Double> nas) {
    String ratio = "";
    String range = "";
    if (nas != null && !side.equals("nas")) {
      ratio = String.format(Locale.ROOT, "%.4g", median(values) / median(nas));
      double[] ratios =
          IntStream.range(0, Math.min(values.size(), nas.size()))
              .mapToDouble(round -> values.get(round) / nas.get(round))
              .sorted()
              .toArray();
      range = String.format(Locale.ROOT, "%.4g to %.4g", ratios[0], ratios[ratios.length - 1]);
    }
    System.out.printf(
        Locale.ROOT, "%-64s %-12s %14.3f %9s  %s%n", name, side, median(values), ratio, range);
  }

  private static double median(List<Double> values) {
    if (values == null) {
      return Double.NaN;
    }
    List<Double> sorted = values.stream().sorted().toList();
    int half = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(half)
        : (sorted.get(half - 1) + sorted.get(half)) / 2;
  }
}
