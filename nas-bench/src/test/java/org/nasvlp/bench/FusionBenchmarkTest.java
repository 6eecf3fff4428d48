package org.nasvlp.bench;

import static org.assertj.core.api.Assertions.assertThatCode;

import org.junit.jupiter.api.Test;

class FusionBenchmarkTest {
  @Test
  void bothSidesComputeTheSame() {
    FusionBenchmark benchmark = new FusionBenchmark();
    benchmark.preset = "scenes";
    benchmark.data = "../data/scenes";
    benchmark.threads = 1;
    assertThatCode(benchmark::setUp).doesNotThrowAnyException();
    benchmark.tearDown();
  }
}
