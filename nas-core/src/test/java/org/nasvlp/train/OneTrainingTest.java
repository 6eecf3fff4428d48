package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;

class OneTrainingTest {
  @TempDir private Path folder;
  private CaptionTokenizer tokenizer;

  @BeforeEach
  void open() {
    tokenizer = Shapes.tokenizer(folder, 8);
  }

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private NasTrainer trainer(String output, TrainingListener listener) {
    return NasTrainer.builder()
        .config(Shapes.config(3))
        .dataset(new Shapes())
        .tokenizer(tokenizer)
        .output(folder.resolve(output))
        .threads(1)
        .listener(listener)
        .build();
  }

  private static void assertRefused(NasTrainer trainer) {
    assertThatThrownBy(trainer::run)
        .isInstanceOf(TrainingException.class)
        .hasMessageContainingAll("another training", "this process", "wait for it to end");
  }

  @Test
  void anotherTrainingInTheSameProcessIsRefusedUntilTheFirstHasEnded() throws Exception {
    Path alone = trainer("alone", new TrainingListener() {}).run().checkpoint();
    NasTrainer second = trainer("second", new TrainingListener() {});
    List<Future<?>> asked = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void onStep(StepReport report) {
            // From this thread and from another.
            assertRefused(second);
            try (ExecutorService thread = Executors.newSingleThreadExecutor()) {
              asked.add(thread.submit(() -> assertRefused(second)));
            }
          }
        };
    Path disturbed = trainer("first", listener).run().checkpoint();
    assertThat(asked).hasSize(3);
    for (Future<?> each : asked) {
      assertThat(each.get()).isNull();
    }
    assertThat(folder.resolve("second")).doesNotExist();
    // A refusal was no run.
    Path later = second.run().checkpoint();
    for (Path checkpoint : List.of(disturbed, later)) {
      assertThat(checkpoint.resolve("training.safetensors"))
          .hasSameBinaryContentAs(alone.resolve("training.safetensors"));
    }
  }

  @Test
  void aTrainingThatFailsLetsTheNextBegin() throws Exception {
    TrainingListener failing =
        new TrainingListener() {
          @Override
          public void onStep(StepReport report) {
            throw new AssertionError("meant");
          }
        };
    assertThatThrownBy(trainer("failed", failing)::run).hasMessage("meant");
    Path file = Files.writeString(folder.resolve("file"), "x");
    assertThatThrownBy(trainer("file/out", failing)::run)
        .isInstanceOf(TrainingException.class)
        .hasMessageContaining(file.toString());
    assertThat(trainer("next", new TrainingListener() {}).run().step()).isEqualTo(3);
  }

  /** Their parameters come from generators of their own. */
  @Test
  void modelsMadeAtTheSameTimeBeginAsEachDoesAlone() throws Exception {
    List<Callable<float[]>> models = new ArrayList<>();
    List<float[]> alone = new ArrayList<>();
    for (int seed = 0; seed < 4; seed++) {
      long of = seed;
      Callable<float[]> made =
          () -> {
            try (NasModel model =
                NasModel.create(
                    Shapes.config(1).withTraining(training -> training.seed(of)), tokenizer)) {
              return Torch.toFloats(model.parameters().values());
            }
          };
      alone.add(made.call());
      models.add(made);
    }
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      for (int round = 0; round < 10; round++) {
        List<Future<float[]>> together = threads.invokeAll(models);
        for (int i = 0; i < 4; i++) {
          assertThat(together.get(i).get()).isEqualTo(alone.get(i));
        }
      }
    }
  }
}
