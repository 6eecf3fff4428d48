package org.nasvlp.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;

/**
 * Runs the kernel benchmarks in interleaved rounds and prints how many times faster each kernel is
 * than LibTorch and what else a benchmark measures beside it, from the median time of a call and
 * the median over rounds. Takes JMH's own command-line options, such as a pattern of benchmark
 * names or {@code -p shape=4096x512x192}; {@code -Drounds=N} sets the rounds.
 */
public final class KernelBenchmarks {
  private KernelBenchmarks() {}

  /** The command. */
  public static void main(String[] args) throws RunnerException, CommandLineOptionException {
    CommandLineOptions given = new CommandLineOptions(args);
    int rounds = Integer.getInteger("rounds", 3);
    Map<String, Map<String, List<Double>>> times = new TreeMap<>();
    for (int round = 0; round < rounds; round++) {
      var options =
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
                  "-Xmx2g")
              .build();
      for (RunResult result : new Runner(options).run()) {
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
            .add(result.getPrimaryResult().getStatistics().getPercentile(50));
      }
    }
    System.out.printf(
        "%n%-62s %12s %12s %8s%n", "median of " + rounds, "nas us", "other us", "ratio");
    times.forEach(
        (name, sides) -> {
          double nas = median(sides.get("nas"));
          sides.forEach(
              (side, values) -> {
                if (!side.equals("nas")) {
                  double other = median(values);
                  System.out.printf(
                      Locale.ROOT,
                      "%-62s %12.1f %12.1f %8.2f%n",
                      name + " " + side,
                      nas,
                      other,
                      other / nas);
                }
              });
          String shape = name.replaceAll(".*shape=(\\S+).*", "$1");
          if (name.startsWith("update ") && sides.containsKey("read")) {
            double bytes = UpdateBenchmark.bytes(shape);
            double read = median(sides.get("read"));
            System.out.printf(
                Locale.ROOT,
                "%-62s %7.1f GB/s %7.1f GB/s %7.0f%%%n",
                name + " of read bandwidth",
                bytes / nas * 1e-3,
                bytes / read * 1e-3,
                100 * read / nas);
          }
        });
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
