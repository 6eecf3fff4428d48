package org.nasvlp.ablation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.train.Shapes;
import tools.jackson.databind.json.JsonMapper;

/** Runs in processes of their own, on a few drawn shapes. */
@Timeout(240)
class AblationTest {
  private static final AblationArm PLAIN =
      new AblationArm("plain", "{\"nva\": {\"enabled\": false}}");
  private static final AblationArm SWAPS = new AblationArm("+nva", "{}");

  @TempDir private Path folder;
  private Path list;
  private Path pairs;

  @BeforeEach
  void writeData() throws Exception {
    Shapes shapes = new Shapes();
    List<Map<String, String>> entries = new ArrayList<>();
    for (int i = 0; i < shapes.size(); i++) {
      ImageTextPair pair = shapes.get(i);
      RgbImage image = pair.image();
      BufferedImage drawn =
          new BufferedImage(image.width(), image.height(), BufferedImage.TYPE_INT_RGB);
      for (int y = 0; y < image.height(); y++) {
        for (int x = 0; x < image.width(); x++) {
          int rgb = image.red(x, y) << 16;
          rgb |= image.green(x, y) << 8;
          rgb |= image.blue(x, y);
          drawn.setRGB(x, y, rgb);
        }
      }
      String name = pair.key() + ".png";
      ImageIO.write(drawn, "png", folder.resolve(name).toFile());
      entries.add(Map.of("image", name, "caption", pair.caption()));
    }
    list =
        Files.writeString(
            folder.resolve("list.json"), JsonMapper.shared().writeValueAsString(entries));
    pairs =
        Files.writeString(
            folder.resolve("pairs.json"),
            JsonMapper.shared()
                .writeValueAsString(
                    List.of(
                        pair("place", entries.get(0), entries.get(1)),
                        pair("colour", entries.get(0), entries.get(8)))));
    try (CaptionTokenizer tokenizer = Shapes.tokenizer(folder, 8)) {
      assertThat(tokenizer).isNotNull();
    }
  }

  private static Map<String, Object> pair(
      String attribute, Map<String, String> a, Map<String, String> b) {
    return Map.of("attribute", attribute, "a", side(a), "b", side(b));
  }

  private static Map<String, String> side(Map<String, String> entry) {
    return Map.of("key", entry.get("image"), "caption", entry.get("caption"));
  }

  private Ablation.Builder ablation(NasConfig base) {
    return Ablation.builder()
        .base(base)
        .arms(List.of(PLAIN, SWAPS))
        .seeds(List.of(1L, 2L))
        .steps(8)
        .evaluateEvery(4)
        .data(list, folder.resolve("tokenizer.json"), list, pairs)
        .output(folder.resolve("out"))
        .parallel(2);
  }

  @Test
  void everyArmTrainsWithEverySeed() throws Exception {
    List<String> told = new ArrayList<>();
    Ablation.Outcome outcome =
        ablation(Shapes.config(100))
            .listener(
                new Ablation.Listener() {
                  @Override
                  public void onResult(RunResult result) {
                    told.add(result.arm() + " " + result.seed());
                  }
                })
            .build()
            .run();
    assertThat(outcome.failures()).isEmpty();
    assertThat(outcome.stopped()).isFalse();
    assertThat(told).containsExactlyInAnyOrder("plain 1", "plain 2", "+nva 1", "+nva 2");
    RunResult result = RunFolder.of(folder.resolve("out"), "+nva", 2).result().orElseThrow();
    assertThat(result.steps()).isEqualTo(8);
    assertThat(result.seed()).isEqualTo(2);
    assertThat(result.curve().stream().map(CurvePoint::step)).containsExactly(4L, 8L);
    assertThat(result.curve().getLast())
        .satisfies(
            last ->
                assertThat(last)
                    .isEqualTo(CurvePoint.of(8, 64L, last.stepSeconds(), result.evaluation())));
    assertThat(result.curve().getLast().stepSeconds())
        .isGreaterThan(result.curve().getFirst().stepSeconds());
    assertThat(result.minutes()).isNull();
    assertThat(result.parallel()).isEqualTo(2);
    assertThat(folder.resolve("out/curves.svg")).content().startsWith("<svg");
    assertThat(result.evaluation().itc().byAttribute()).containsOnlyKeys("place", "colour");
    assertThat(result.evaluation().retrievalItm()).isNotNull();
    assertThat(result.medianStepSeconds()).isPositive();
    assertThat(result.peakMebibytes()).isGreaterThan(50);
    String text = Files.readString(folder.resolve("out/results.md"));
    assertThat(outcome.report()).isNotNull();
    assertThat(text)
        .isEqualTo(outcome.report().markdown())
        .contains("Every run: 8 steps of batch 8. Seeds 1, 2.")
        .contains("| +nva |");
  }

  @Test
  void aStoppedAblationGoesOnFromItsCheckpoints() throws Exception {
    // So many steps that the runs cannot be done before they are stopped.
    int steps = 3000;
    AtomicReference<Ablation> running = new AtomicReference<>();
    Ablation first =
        ablation(Shapes.config(steps))
            .steps(steps)
            .evaluateEvery(20)
            .arms(List.of(PLAIN))
            .seeds(List.of(1L))
            .listener(
                new Ablation.Listener() {
                  @Override
                  public void onProgress(String arm, long seed, String line) {
                    running.get().stop();
                  }
                })
            .build();
    running.set(first);
    Ablation.Outcome outcome = first.run();
    assertThat(outcome.stopped()).isTrue();
    assertThat(outcome.failures()).isEmpty();
    assertThat(outcome.report()).isNull();
    Path training = RunFolder.of(folder.resolve("out"), "plain", 1).training();
    assertThat(training.resolve("checkpoints/latest")).exists();

    assertThatThrownBy(() -> ablation(Shapes.config(steps)).build().run())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("already holds an ablation: resume it");
    assertThatThrownBy(() -> ablation(Shapes.config(steps)).steps(9).resume(true).build().run())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("seed-1 holds a run with another config.training.")
        .hasMessageContaining("choose another output");
  }

  @Test
  void nothingIsTrainedForAnArmThatDoesNotFit() {
    AblationArm odd = new AblationArm("odd", "{\"nva\": {\"radios\": 3}}");
    Ablation ablation = ablation(Shapes.config(8)).arms(List.of(PLAIN, odd)).build();
    assertThatThrownBy(ablation::run)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("arm odd: unknown field nva.radios");
    assertThat(folder.resolve("out/runs")).doesNotExist();
    assertThatThrownBy(() -> ablation(Shapes.config(8)).seeds(List.of(1L, 1L)).build())
        .hasMessageContaining("seeds: 1 occurs twice");
    assertThatThrownBy(() -> Ablation.writeReport(folder.resolve("absent")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("holds no ablation");
  }

  @Test
  void aLogThatWasResumedCountsEachStepOnce() throws IOException {
    Path log = folder.resolve("log.jsonl");
    Files.writeString(
        log,
        """
        {"kind":"step","seconds":1.0,"step":{"step":1}}
        {"kind":"step","seconds":1.5,"step":{"step":2}}
        {"kind":"step","seconds":9.0,"step":{"step":4}}
        {"kind":"other","seconds":9.1,"other":"x"}
        {"kind":"step","seconds":9.9,"step":{"step":5}}
        {"kind":"codeword_use","seconds":9.9,"codeword_use":{"step":5,"perMillion":[1000000]}}
        {"kind":"step","seconds":10.6,"step":{"step":6}}
        """);
    // Between 1 and 2, 5 and 6: 0.5 and 0.7 seconds.
    assertThat(AblationWorker.Log.read(log, 8).medianStepSeconds())
        .isCloseTo(0.6, org.assertj.core.data.Offset.offset(1e-9));
    assertThat(AblationWorker.Log.read(log, 8).curve()).isEmpty();
  }

  @Test
  void anEvaluationHasItsSamplesAndTheTimeOfItsSteps() throws IOException {
    String scores =
        """
        {"pairs":60,"captionChoice":0.75,"imageChoice":0.5,"text":0.5,"image":0.5,"group":0.25}\
        """;
    Path log =
        Files.writeString(
            folder.resolve("log.jsonl"),
            """
            {"kind":"evaluation","seconds":90.0,"evaluation":{"step":20,"stepSeconds":12.5,"report":\
            {"itc":{"byAttribute":{"age":%1$s},"all":%1$s,"macro":%1$s}}}}
            {"kind":"evaluation","seconds":99.0,"evaluation":{"step":30,"report":\
            {"itc":{"byAttribute":{"age":%1$s},"all":%1$s,"macro":%1$s}}}}
            """
                .formatted(scores));
    assertThat(AblationWorker.Log.read(log, 8).curve())
        .containsExactly(
            new CurvePoint(20, 160L, 12.5, 0.75, 0.75, 0.75, null, null, null),
            new CurvePoint(30, 240L, null, 0.75, 0.75, 0.75, null, null, null));
  }

  /** Steps of milliseconds: a run of a second or so makes many. */
  @Test
  void runsOfEqualTimeMakeTheirOwnNumberOfSteps() throws Exception {
    NasConfig base = Shapes.config(100).withTraining(training -> training.evaluateEvery(5));
    double minutes = 0.02;
    Ablation.Outcome outcome = timed(base, minutes).build().run();
    assertThat(outcome.failures()).isEmpty();
    for (String arm : List.of("plain", "+nva")) {
      RunResult result = RunFolder.of(folder.resolve("out"), arm, 1).result().orElseThrow();
      assertThat(result.minutes()).isEqualTo(minutes);
      assertThat(result.steps()).isBetween(1L, 100_000L);
      CurvePoint last = result.curve().getLast();
      assertThat(last.step()).isEqualTo(result.steps());
      assertThat(last.samples()).isEqualTo(8 * result.steps());
      // 1.2 seconds, and no step takes one.
      assertThat(last.stepSeconds()).isBetween(0.2, 2.2);
      assertThat(result.curve().getFirst().step()).isEqualTo(Math.min(5, result.steps()));
    }
    assertThat(Files.readString(folder.resolve("out/results.md")))
        .contains("Every run: 0.02 minutes of steps of batch 8");

    AblationArm third = new AblationArm("third", "{}");
    assertThatThrownBy(() -> timed(base, 0.03).arms(List.of(third)).resume(true).build().run())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("out holds plain seed 1 with 0.02 minutes of steps of batch 8")
        .hasMessageContaining("to which 0.03 minutes of steps of batch 8, 1 thread cannot be")
        .hasMessageContaining("choose another output, or go on with the same options");
    assertThat(folder.resolve("out/runs/third")).doesNotExist();
    assertThatThrownBy(() -> timed(base, 0.03).resume(true).build().run())
        .hasMessageContaining("another config.training.stepMinutes: 0.02, now 0.03");
    assertThatThrownBy(() -> timed(base, minutes).steps(9).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("steps and minutes are both set");
    assertThatThrownBy(() -> timed(base, 0)).hasMessageContaining("minutes is 0.0: it must lie in");
  }

  private Ablation.Builder timed(NasConfig base, double minutes) {
    return Ablation.builder()
        .base(base)
        .arms(List.of(PLAIN, SWAPS))
        .seeds(List.of(1L))
        .minutes(minutes)
        .data(list, folder.resolve("tokenizer.json"), list, pairs)
        .output(folder.resolve("out"));
  }
}
