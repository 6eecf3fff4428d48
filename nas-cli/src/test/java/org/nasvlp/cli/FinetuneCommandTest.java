package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class FinetuneCommandTest {
  private static final String CONFIG =
      """
      preset: tiny
      model: {imageSize: 32, patchSize: 8, width: 32, heads: 2, imageLayers: 2, textLayers: 1,
              fusionLayers: 1, projection: 16}
      dictionary: {codewords: 32}
      nva: {neighbours: 8}
      optimizer: {learningRate: 0.001, finalLearningRate: 0.0001}
      objective: {queue: 16}
      data: {batchSize: 4, singleThingSteps: 1, minCropScale: 1, flip: false, colorJitter: 0}
      training: {steps: 30, evaluateEvery: 0, checkpointEvery: 0}
      """;

  @TempDir private Path folder;
  private final TestShell shell = new TestShell();

  /** Squares in eight colours, or circles. */
  private Path data(String shape) throws IOException {
    Path data = Files.createDirectory(folder.resolve(shape));
    List<Map<String, String>> list = new ArrayList<>();
    Map<String, Color> colors =
        Map.of(
            "red", Color.RED,
            "green", Color.GREEN,
            "blue", Color.BLUE,
            "black", Color.BLACK,
            "white", Color.WHITE,
            "yellow", Color.YELLOW,
            "purple", Color.MAGENTA,
            "pink", Color.PINK);
    for (Map.Entry<String, Color> color : colors.entrySet()) {
      BufferedImage image = new BufferedImage(32, 32, BufferedImage.TYPE_INT_RGB);
      Graphics2D graphics = image.createGraphics();
      graphics.setColor(Color.GRAY);
      graphics.fillRect(0, 0, 32, 32);
      graphics.setColor(color.getValue());
      if (shape.equals("circle")) {
        graphics.fillOval(4, 4, 24, 24);
      } else {
        graphics.fillRect(4, 4, 24, 24);
      }
      graphics.dispose();
      ImageIO.write(image, "png", data.resolve(color.getKey() + ".png").toFile());
      list.add(Map.of("image", color.getKey() + ".png", "caption", color.getKey() + " " + shape));
    }
    Files.writeString(data.resolve("list.json"), JsonMapper.shared().writeValueAsString(list));
    return data;
  }

  private Path trained(Path data) throws IOException {
    Path config = Files.writeString(folder.resolve("config.yaml"), CONFIG);
    Path out = folder.resolve("start");
    assertThat(
            shell.run(
                "train",
                "--config",
                config.toString(),
                "--data",
                data.toString(),
                "--tokenizer",
                TestShell.home().resolve("data/noto-emoji/tokenizer.json").toString(),
                "--threads",
                "1",
                "--no-report",
                "--out",
                out.toString()))
        .as(shell.err())
        .isZero();
    return out;
  }

  private int finetune(Path model, Path data, String out, String... more) {
    List<String> line =
        new ArrayList<>(
            List.of(
                "finetune",
                "--model",
                model.toString(),
                "--data",
                data.toString(),
                "--threads",
                "1",
                "--no-report",
                "--out",
                folder.resolve(out).toString()));
    line.addAll(List.of(more));
    return shell.run(line.toArray(String[]::new));
  }

  private JsonNode state(String out, int step) throws IOException {
    Path file = folder.resolve(out).resolve("checkpoints/step-%08d/state.json".formatted(step));
    return JsonMapper.shared().readTree(Files.readString(file));
  }

  @Test
  void aRunIsAdaptedAndComparedWithItsStart() throws IOException {
    Path squares = data("square");
    Path circles = data("circle");
    Path start = trained(squares);
    int status =
        finetune(
            start,
            circles,
            "out",
            "--held-out",
            circles.toString(),
            "--guard",
            squares.toString(),
            "--guard-drop",
            "100",
            "--freeze",
            "text_encoder.*,mlm_head.*");
    assertThat(status).as(shell.err()).isZero();
    assertThat(shell.err())
        .contains("fine-tuning of " + start)
        .contains("rate        1.0E-4 at most, and of each layer 0.75 of the one above it")
        .contains("length      10 steps of 4 pairs, evaluated every 2")
        .contains("frozen      text_encoder.*, mlm_head.*")
        .contains("start       distilled from with weight 1.0")
        .contains("guard       kept-r1 may fall by 100.0 points")
        .contains("start/checkpoints/step-00000030: ")
        .containsPattern("step 0: data-r1 [0-9.]+, kept-r1 [0-9.]+")
        .containsPattern("step 8: data-r1 [0-9.]+, kept-r1 [0-9.]+");
    assertThat(shell.out())
        .contains("Steps       10 of 10")
        .containsPattern("Metric +start +end")
        .containsPattern("data-r1 +[0-9.]+ +[0-9.]+")
        .containsPattern("kept-r1 +[0-9.]+ +[0-9.]+")
        .containsPattern(
            "(best-data-r1: the best data-r1|No evaluation that the guard allows was better)");
    JsonNode told = state("out", 10).path("startMetrics");
    assertThat(told.propertyNames()).containsExactly("data-r1", "kept-r1");
    NasConfig config = NasConfig.load(folder.resolve("out/checkpoints/step-00000010/config.json"));
    assertThat(config.optimizer().layerDecay()).isEqualTo(0.75);
    assertThat(config.optimizer().learningRate()).isEqualTo(1e-4);
    assertThat(config.objective().distillWeight()).isEqualTo(1);
    assertThat(config.data().singleThingSteps()).isZero();

    // Goes on without the model of the start.
    assertThat(
            shell.run(
                "finetune",
                "--resume",
                "--data",
                circles.toString(),
                "--threads",
                "1",
                "--no-report",
                "--held-out",
                circles.toString(),
                "--guard",
                squares.toString(),
                "--out",
                folder.resolve("out").toString()))
        .as(shell.err())
        .isZero();
    assertThat(shell.out()).contains("Steps       10 of 10").containsPattern("kept-r1 +[0-9.]+");
  }

  @Test
  void theGuardEndsATrainingThatForgets() throws IOException {
    Path squares = data("square");
    Path start = trained(squares);
    Path file = folder.resolve("start.safetensors");
    assertThat(shell.run("export", "--checkpoint", start.toString(), "--out", file.toString()))
        .isZero();
    Path circles = data("circle");
    int status =
        finetune(
            file,
            circles,
            "out",
            "--held-out",
            circles.toString(),
            "--guard",
            squares.toString(),
            "--guard-drop",
            "0",
            "--epochs",
            "40",
            "--learning-rate",
            "5",
            "--distill",
            "0",
            "--layer-decay",
            "1",
            "--average");
    assertThat(status).as(shell.err()).isZero();
    assertThat(shell.err())
        .contains("rate        5.0 at most")
        .doesNotContain("of the one above")
        .contains("start       not kept")
        .contains("evaluated   the moving average");
    assertThat(shell.out())
        .containsPattern("the guard has ended the training after step \\d+: kept-r1 fell from ")
        .containsPattern("Metric +start +end")
        .containsPattern("kept-r1 +[0-9.]+ +[0-9.]+");
    Path average = folder.resolve("average.safetensors");
    assertThat(
            shell.run(
                "export",
                "--checkpoint",
                folder.resolve("out").toString(),
                "--average",
                "--out",
                average.toString()))
        .as(shell.err())
        .isZero();
    assertThat(average).exists();
    assertThat(
            shell.run(
                "export", "--checkpoint", file.toString(), "--average", "--out", "x.safetensors"))
        .isEqualTo(1);
    assertThat(shell.err()).contains("an exported file has no average");
  }

  @Test
  void whatIsWrongIsNamed() throws IOException {
    Path squares = data("square");
    assertThat(shell.run("finetune", "--data", squares.toString(), "--out", "none")).isEqualTo(2);
    assertThat(shell.err()).contains("Missing required option: '--model=PATH'");
    assertThat(finetune(folder, squares, "out", "--epochs", "0")).isEqualTo(2);
    assertThat(shell.err()).contains("'--epochs': 0 is not above 0");
    assertThat(finetune(folder, squares, "out", "--guard-drop", "-1")).isEqualTo(2);
    assertThat(shell.err()).contains("'--guard-drop': -1.0 is not between 0 and 100");
    assertThat(finetune(folder.resolve("absent"), squares, "out")).isEqualTo(1);
    Path start = trained(squares);
    assertThat(finetune(start, squares, "out", "--freeze", "image_encodr.*")).isEqualTo(1);
    assertThat(shell.err())
        .contains("'image_encodr.*', which matches no parameter; near to it are image_encoder.*");
    Path config =
        Files.writeString(folder.resolve("more.yaml"), "optimizer: {layerDecay: 0.5, decay: 1}");
    assertThat(finetune(start, squares, "out", "--config", config.toString())).isEqualTo(1);
    assertThat(shell.err()).contains("more.yaml: unknown field").contains("optimizer.decay");
    Files.writeString(config, "training: {steps: 1}");
    assertThat(finetune(start, squares, "out", "--config", config.toString()))
        .as(shell.err())
        .isZero();
    assertThat(shell.out()).contains("Steps       1 of 1").contains("Nothing was held out");
  }
}
