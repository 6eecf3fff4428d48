package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.train.Evaluation;
import org.nasvlp.train.TrainingListener;

/** What a fine-tuning tells in the end. */
class FineTuningTest {
  @TempDir private Path folder;

  private static Evaluation evaluation(double own, double kept) {
    return new Evaluation(
        null, Map.of(), new TreeMap<>(Map.of(FineTuning.OWN, own, FineTuning.KEPT, kept)));
  }

  private String table(FineTuning tuning, String state, boolean average) throws IOException {
    Path last = Files.createDirectories(folder.resolve("last"));
    Files.writeString(last.resolve("state.json"), state);
    return tuning.table(new OutputFolder(Path.of("runs/x")), last, average);
  }

  private static FineTuning tuning() {
    FineTuning tuning = new FineTuning();
    tuning.aim(FineTuning.OWN);
    tuning.guard(FineTuning.KEPT, 2.5);
    return tuning;
  }

  private static final String STATE =
      "{\"best\": {\"data-r1\": %s}, \"bestSteps\": {\"data-r1\": 4},"
          + " \"startMetrics\": {\"data-r1\": 0.5, \"kept-r1\": 0.25}}";

  @Test
  void startEndAndBestStandSideBySide() throws IOException {
    List<String> told = new ArrayList<>();
    try (FineTuning tuning = tuning()) {
      assertThat(tuning.guarded()).isEqualTo("kept-r1 may fall by 2.5 points");
      tuning.tell(told::add);
      TrainingListener listener = tuning.listener();
      listener.onEvaluated(0, evaluation(0.5, 0.25));
      listener.onEvaluated(4, evaluation(0.75, 0.24));
      listener.onEvaluated(6, evaluation(0.625, 0.2));
      assertThat(told).hasSize(3).element(1).isEqualTo("step 4: data-r1 75.0, kept-r1 24.0");
      assertThat(tuning.broken()).isNull();
      assertThat(table(tuning, STATE.formatted("0.75"), false))
          .isEqualTo(
              """
              Metric                start      end   step 4
              data-r1                50.0     62.5     75.0
              kept-r1                25.0     20.0     24.0
              Use         runs/x/checkpoints/best-data-r1: the best data-r1
              """);
      assertThat(table(tuning, STATE.formatted("0.75"), true))
          .endsWith("by the average of its parameters: nas export --average writes it\n");
      listener.onGuard(6, FineTuning.KEPT, 0.25, 0.2);
      assertThat(tuning.broken())
          .isEqualTo(
              "the guard has ended the training after step 6: kept-r1 fell from 25.0 to 20.0");
    }
  }

  @Test
  void withoutAnythingBetterTheStartIsToBeKept() throws IOException {
    try (FineTuning tuning = tuning()) {
      assertThat(table(tuning, "{}", false)).startsWith("Nothing was held out");
      tuning.listener().onEvaluated(4, evaluation(0.5, 0.25));
      // As good is not better.
      assertThat(table(tuning, STATE.formatted("0.5"), true))
          .endsWith(
              "No evaluation that the guard allows was better than the start in data-r1: keep"
                  + " the start\n")
          .doesNotContain("average");
    }
  }
}
