package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.data.Offset;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.config.Precision;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.NasModel;

/** Training on devices and in precisions. The reference is float32 on the host. */
class DevicesTest {
  private static final int STEPS = 12;

  @TempDir Path folder;
  private CaptionTokenizer tokenizer;

  @BeforeEach
  void open() {
    tokenizer = Shapes.tokenizer(folder, 8);
  }

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private static NasConfig config(String device, Precision precision, boolean recomputed) {
    return Shapes.config(STEPS)
        .withTraining(
            t ->
                t.checkpointEvery(5)
                    .gradientCheckpointing(recomputed)
                    .device(device)
                    .precision(precision));
  }

  /** A run's losses by step, and its last checkpoint. */
  private record Trained(List<Double> losses, Path checkpoint) {}

  private NasTrainerBuilder trainer(NasConfig config, String output) {
    return NasTrainer.builder()
        .config(config)
        .dataset(new Shapes())
        .tokenizer(tokenizer)
        .output(folder.resolve(output))
        .threads(1);
  }

  private Trained train(NasConfig config, String output) {
    List<Double> losses = new ArrayList<>();
    TrainingResult result =
        trainer(config, output)
            .listener(
                new TrainingListener() {
                  @Override
                  public void onStep(StepReport report) {
                    losses.add(report.loss());
                  }
                })
            .build()
            .run();
    assertThat(losses).hasSize(STEPS).allMatch(Double::isFinite);
    return new Trained(losses, result.checkpoint());
  }

  private static void assertSameBits(Path a, Path b) throws IOException {
    for (String name : List.of("model", "dictionary", "training")) {
      assertThat(b.resolve(name + ".safetensors"))
          .hasSameBinaryContentAs(a.resolve(name + ".safetensors"));
    }
  }

  @Test
  void mixedPrecisionComesCloseAndIsNotTheSame() throws IOException {
    Trained exact = train(config("cpu", Precision.FLOAT32, false), "exact");
    Trained mixed = train(config("cpu", Precision.BFLOAT16, false), "mixed");
    assertThat(mixed.losses().getFirst()).isNotEqualTo(exact.losses().getFirst());
    // bfloat16 keeps 8 bits of a factor: relative errors of 1/256 each, averaged over many.
    assertThat(mixed.losses().getFirst())
        .isCloseTo(exact.losses().getFirst(), Percentage.withPercentage(0.5));
    assertThat(mixed.losses().getLast())
        .isCloseTo(exact.losses().getLast(), Percentage.withPercentage(5));
    Path again = train(config("cpu", Precision.BFLOAT16, false), "again").checkpoint();
    assertSameBits(mixed.checkpoint(), again);
    Path recomputed = train(config("cpu", Precision.BFLOAT16, true), "recomputed").checkpoint();
    assertSameBits(mixed.checkpoint(), recomputed);
  }

  @ParameterizedTest
  @ValueSource(strings = {"cuda", "cuda:0"})
  void aDeviceThatIsNotThereStopsTheRunWithTheReason(String device) {
    String reason = TorchDevice.unavailableReason(0);
    assumeThat(reason).as("there is a usable CUDA device here").isNotEmpty();
    assertThatThrownBy(() -> train(config(device, Precision.FLOAT32, false), "out"))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("device " + device + " cannot be used: " + reason);
    Trained auto = train(config("auto", Precision.FLOAT32, false), "auto");
    assertThat(Files.isDirectory(auto.checkpoint())).isTrue();
    assertThatThrownBy(() -> NasModel.load(auto.checkpoint(), device))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("cannot be used");
  }

  @Tag("gpu")
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aGpuTrainsAsTheHostDoes(boolean donors) throws Exception {
    assumeThat(TorchDevice.unavailableReason(0)).isEmpty();
    NasConfig onHost = config("cpu", Precision.FLOAT32, false);
    if (donors) {
      onHost = onHost.withNva(nva -> nva.donor(NvaConfig.Donor.TOKEN));
    }
    NasConfig onGpu = onHost.withTraining(t -> t.device("cuda"));
    Trained host = train(onHost, "host");
    Trained gpu = train(onGpu, "gpu");
    // The same float32 sums in another order, carried on through twelve steps.
    for (int i = 0; i < STEPS; i++) {
      assertThat(gpu.losses().get(i))
          .as("loss of step %d", i + 1)
          .isCloseTo(host.losses().get(i), Percentage.withPercentage(i == 0 ? 0.01 : 2));
    }
    assertSameBits(gpu.checkpoint(), train(onGpu, "again").checkpoint());
    RgbImage image = new Shapes().get(0).image();
    List<String> captions = List.of("red square left", "blue cross right");
    try (NasModel there = NasModel.load(gpu.checkpoint(), "cuda");
        NasModel here = NasModel.load(gpu.checkpoint())) {
      double[] a = there.score(image, captions);
      double[] b = here.score(image, captions);
      assertThat(a).containsExactly(b, Offset.offset(1e-4));
      assertThat(there.encodeText(captions)[0])
          .containsExactly(here.encodeText(captions)[0], Offset.offset(1e-4f));
    }
  }

  @Tag("gpu")
  @Test
  void aGpuRunGoesOnWithTheSameBits() throws IOException {
    assumeThat(TorchDevice.unavailableReason(0)).isEmpty();
    NasConfig config = config("cuda", Precision.FLOAT32, true);
    Path whole = train(config, "whole").checkpoint();
    NasTrainer[] running = new NasTrainer[1];
    running[0] =
        trainer(config, "parts")
            .listener(
                new TrainingListener() {
                  @Override
                  public void onStep(StepReport report) {
                    if (report.step() == 7) {
                      running[0].stop();
                    }
                  }
                })
            .build();
    assertThat(running[0].run().stopped()).isTrue();
    Path resumed = trainer(config, "parts").resume(true).build().run().checkpoint();
    assertSameBits(whole, resumed);
  }

  @Tag("gpu")
  @Test
  void mixedPrecisionTrainsOnAGpu() {
    assumeThat(TorchDevice.unavailableReason(0)).isEmpty();
    Trained exact = train(config("cuda", Precision.FLOAT32, false), "exact");
    Trained mixed = train(config("cuda", Precision.BFLOAT16, true), "mixed");
    assertThat(mixed.losses().getFirst())
        .isNotEqualTo(exact.losses().getFirst())
        .isCloseTo(exact.losses().getFirst(), Percentage.withPercentage(0.5));
    assertThat(mixed.losses().getLast())
        .isCloseTo(exact.losses().getLast(), Percentage.withPercentage(5));
  }
}
