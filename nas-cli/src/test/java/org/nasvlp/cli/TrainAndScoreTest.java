package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The whole way with the library's own trainer: train, resume, score. */
class TrainAndScoreTest {
  private static final String CONFIG =
      """
      preset: tiny
      model: {imageSize: 32, patchSize: 8, width: 32, heads: 2, imageLayers: 1, textLayers: 1,
              fusionLayers: 1, projection: 16}
      dictionary: {codewords: 32}
      nva: {neighbours: 8}
      objective: {queue: 16}
      data: {batchSize: 8}
      training: {steps: 6, evaluateEvery: 0, checkpointEvery: 3}
      """;

  @TempDir private Path folder;

  private Path data() throws IOException {
    Path data = Files.createDirectory(folder.resolve("data"));
    List<Map<String, String>> list = new ArrayList<>();
    Map<String, Color> colors =
        Map.of("red", Color.RED, "green", Color.GREEN, "blue", Color.BLUE, "black", Color.BLACK);
    for (Map.Entry<String, Color> color : colors.entrySet()) {
      for (String shape : List.of("circle", "square")) {
        BufferedImage image = new BufferedImage(32, 32, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = image.createGraphics();
        graphics.setColor(color.getValue());
        if (shape.equals("circle")) {
          graphics.fillOval(4, 4, 24, 24);
        } else {
          graphics.fillRect(4, 4, 24, 24);
        }
        graphics.dispose();
        String name = color.getKey() + "-" + shape + ".png";
        ImageIO.write(image, "png", data.resolve(name).toFile());
        list.add(Map.of("image", name, "caption", color.getKey() + " " + shape));
      }
    }
    Files.writeString(data.resolve("list.json"), JsonMapper.shared().writeValueAsString(list));
    return data;
  }

  @Test
  void trainResumeScore() throws IOException {
    TestShell shell = new TestShell();
    Path config = Files.writeString(folder.resolve("config.yaml"), CONFIG);
    Path data = data();
    Path out = folder.resolve("out");
    Path tokenizer = TestShell.home().resolve("data/noto-emoji/tokenizer.json");
    String[] train = {
      "train",
      "--config",
      config.toString(),
      "--data",
      data.toString(),
      "--tokenizer",
      tokenizer.toString(),
      "--out",
      out.toString(),
      "--tensorboard"
    };
    String[] ask = Arrays.copyOf(train, train.length + 1);
    ask[train.length] = "--memory";
    assertThat(shell.run(ask)).as(shell.err()).isZero();
    assertThat(shell.out()).contains("memory ", "a step ", "disk ");
    assertThat(out).doesNotExist();

    assertThat(shell.run(train)).as(shell.err()).isZero();
    assertThat(shell.err())
        .contains("disk: 3 checkpoints of 2 MiB at most, 5 MiB in all, in " + out);
    checkpointIsAsLargeAsTold(config, tokenizer, out.resolve("checkpoints/step-00000006"));
    assertThat(shell.out())
        .contains("Steps       6 of 6")
        .contains("Checkpoint  " + out.resolve("checkpoints/step-00000006"))
        .doesNotContain("Fine differences");
    assertThat(shell.err()).contains("8 pairs", "step 3: checkpoint", "looking at pictures");
    Path page = out.resolve("report.html");
    assertThat(shell.out()).contains("Report      " + page.toUri());
    assertThat(Files.readString(page)).contains("id=\"codewords\"", "id=\"negatives\"");

    assertThat(TensorBoardListenerTest.steps(out.resolve("tensorboard")))
        .containsExactly(List.of(1L, 2L, 3L, 4L, 5L, 6L));
    assertThat(TensorBoardListenerTest.otherTags(out.resolve("tensorboard")))
        .contains("6 dictionary/use", "6 hard_negative_image/0");

    String next =
        shell.out().lines().filter(line -> line.startsWith("Next ")).findFirst().orElseThrow();
    assertThat(shell.paste(next.substring("Next".length()).strip())).as(shell.err()).isZero();
    assertThat(shell.out().lines()).hasSize(1 + 8).first().asString().contains("match");

    Path again = folder.resolve("page.html");
    String[] report = {"report", out.toString(), "--out", again.toString()};
    assertThat(shell.run(report)).as(shell.err()).isZero();
    assertThat(Files.readString(again)).doesNotContain("id=\"codewords\"");
    String[] withPictures = Arrays.copyOf(report, report.length + 2);
    withPictures[report.length] = "--data";
    withPictures[report.length + 1] = data.toString();
    assertThat(shell.run(withPictures)).as(shell.err()).isZero();
    assertThat(Files.readString(again)).contains("id=\"codewords\"", "id=\"negatives\"");

    assertThat(shell.run(train)).isEqualTo(1);
    assertThat(shell.err()).contains("--resume");
    String[] resume = Arrays.copyOf(train, train.length + 1);
    resume[train.length] = "--resume";
    assertThat(shell.run(resume)).as(shell.err()).isZero();
    assertThat(shell.out()).contains("Steps       6 of 6");
    assertThat(shell.err()).contains("resuming after step 6");

    String[] score = {
      "score",
      data.resolve("red-circle.png").toString(),
      "red circle",
      "blue square",
      "--checkpoint",
      out.toString()
    };
    assertThat(shell.run(score)).as(shell.err()).isZero();
    assertThat(shell.out()).contains("match", "cosine", "red circle", "blue square");
    String[] asJson = Arrays.copyOf(score, score.length + 1);
    asJson[score.length] = "--json";
    assertThat(shell.run(asJson)).isZero();
    JsonNode scores = JsonMapper.shared().readTree(shell.out()).get("scores");
    assertThat(scores.size()).isEqualTo(2);
    assertThat(scores.get(0).get("caption").stringValue()).isEqualTo("red circle");
    assertThat(scores.get(0).get("match").doubleValue()).isBetween(0.0, 1.0);
    assertThat(scores.get(1).get("cosine").doubleValue()).isBetween(-1.0001, 1.0001);

    evaluate(shell, data, out, scores);
    neverANumberThatIsNone(shell, score, out.resolve("checkpoints/step-00000006"));

    Path exported = folder.resolve("exported.safetensors");
    String[] export = {"export", "--checkpoint", out.toString(), "--out", exported.toString()};
    assertThat(shell.run(export)).as(shell.err()).isZero();
    assertThat(shell.out()).contains(exported + ": ", " tensors, ", " values");
    assertThat(exported).exists();
    assertThat(shell.run(export)).isEqualTo(1);
    assertThat(shell.err()).contains("exported.safetensors", "exists already").hasLineCount(1);

    exportsGraphs(shell, out);

    String[] anew = Arrays.copyOf(train, train.length + 2);
    anew[8] = folder.resolve("again").toString();
    anew[train.length] = "--weights";
    anew[train.length + 1] = exported.toString();
    assertThat(shell.run(anew)).as(shell.err()).isZero();
    assertThat(shell.err()).contains(exported + ": ", "parameters loaded", "missing: none");
    anew[8] = folder.resolve("third").toString();
    anew[train.length] = "--text-weights";
    assertThat(shell.run(anew)).isEqualTo(1);
    assertThat(shell.err()).contains("exported.safetensors does not hold BERT weights");
    // Nothing has begun there: the corrected command runs in the same folder.
    anew[train.length] = "--weights";
    assertThat(shell.run(anew)).as(shell.err()).isZero();

    score[1] = folder.resolve("absent.png").toString();
    assertThat(shell.run(score)).isEqualTo(1);
    assertThat(shell.err()).contains("absent.png").hasLineCount(1);
  }

  private void exportsGraphs(TestShell shell, Path run) throws IOException {
    Path graphs = folder.resolve("graphs");
    String[] export = {"export", "--checkpoint", run.toString(), "--onnx", graphs.toString()};
    assertThat(shell.run(export)).as(shell.err()).isZero();
    List<String> files =
        List.of("image-encoder.onnx", "text-encoder.onnx", "matcher.onnx", "tokenizer.json");
    for (String name : files) {
      Path file = graphs.resolve(name);
      assertThat(shell.out())
          .contains(file + ": " + Text.count(Files.size(file)) + " bytes" + System.lineSeparator());
    }
    assertThat(graphs.toFile().list()).containsExactlyInAnyOrderElementsOf(files);
    assertThat(shell.run(export)).isEqualTo(1);
    assertThat(shell.err()).contains(graphs.toString(), "empty").hasLineCount(1);

    String both = folder.resolve("both.safetensors").toString();
    assertThat(shell.run("export", "--out", both, "--onnx", both)).isEqualTo(2);
    assertThat(shell.err()).contains("mutually exclusive");
    assertThat(Path.of(both)).doesNotExist();
    assertThat(shell.run("export")).isEqualTo(2);
  }

  /** Its tensors' files but for their headers, and for word counts, of which it tells the most. */
  private static void checkpointIsAsLargeAsTold(Path config, Path tokenizer, Path checkpoint)
      throws IOException {
    long tensors = 0;
    for (String name : List.of("model", "training", "dictionary")) {
      tensors += Files.size(checkpoint.resolve(name + ".safetensors"));
    }
    try (CaptionTokenizer words = CaptionTokenizer.load(tokenizer, 30)) {
      NasConfig wordless = NasConfig.load(config).withNva(nva -> nva.enabled(false));
      RunNeeds needs = RunNeeds.of(wordless, words.vocabularySize(), 0, false, 1);
      assertThat((double) needs.checkpointBytes())
          .isCloseTo((double) tensors, withinPercentage(15));
    }
  }

  /** A NaN among the weights is told, whether it came by damage or was written. */
  private static void neverANumberThatIsNone(TestShell shell, String[] score, Path checkpoint)
      throws IOException {
    Path file = checkpoint.resolve("model.safetensors");
    Path list = checkpoint.resolve("SHA256SUMS");
    byte[] weights = Files.readAllBytes(file);
    String sums = Files.readString(list);
    byte[] damaged = weights.clone();
    ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN).putFloat(weights.length - 4, Float.NaN);
    Files.write(file, damaged);
    assertThat(shell.run(score)).isEqualTo(1);
    assertThat(shell.err()).contains(file.toString(), "SHA256SUMS", "damaged").hasLineCount(1);
    assertThat(shell.out()).isEmpty();
    Files.writeString(list, sums.replace(sum(weights), sum(damaged)));
    assertThat(shell.run(score)).isEqualTo(1);
    assertThat(shell.err()).contains(file.toString(), " holds NaN").hasLineCount(1);
    assertThat(shell.out()).isEmpty();
    Files.write(file, weights);
    Files.writeString(list, sums);
  }

  private static String sum(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  /** The benchmark's first item is the picture and the captions that were scored before. */
  private void evaluate(TestShell shell, Path data, Path out, JsonNode scored) throws IOException {
    Path benchmark =
        Files.writeString(
            folder.resolve("swap_att.json"),
            """
            {"7": {"filename": "red-circle.png", "caption": "red circle",
                   "negative_caption": "blue square"},
             "8": {"filename": "green-square.png", "caption": "green square",
                   "negative_caption": "green circle"},
             "9": {"filename": "absent.png", "caption": "a", "negative_caption": "b"}}
            """);
    Path dump = folder.resolve("dump.jsonl");
    Path json = folder.resolve("eval.json");
    Path page = folder.resolve("pages/eval.html");
    List<String> eval =
        List.of(
            "eval",
            "--benchmark",
            "sugarcrepe",
            "--data",
            benchmark.toString(),
            "--images",
            data.toString(),
            "--checkpoint",
            out.toString(),
            "--dump",
            dump.toString(),
            "--json",
            json.toString(),
            "--report",
            page.toString());
    assertThat(shell.run(eval.toArray(String[]::new))).isEqualTo(1);
    assertThat(shell.err()).contains("1 of 3 items were not scored", "absent.png");
    assertThat(Files.readString(page))
        .contains(
            "<h1>SugarCrepe</h1>", "2 of 3 scored", "of 1 items", "swap_att/8", out.toString())
        .contains("green <mark>square</mark>", "green <mark>circle</mark>", "<img")
        .doesNotContain("<script");
    assertThat(shell.out()).endsWith("Report      " + page.toUri() + "\n");
    assertThat(shell.out())
        .contains("SugarCrepe by itc, % right of 2 items", "SugarCrepe by itm", "all (micro)");
    JsonNode first = JsonMapper.shared().readTree(Files.readAllLines(dump).getFirst());
    assertThat(first.get("id").stringValue()).isEqualTo("swap_att/7");
    for (int c = 0; c < 2; c++) {
      JsonNode of = scored.get(c);
      assertThat(first.get("itc").get(0).get(c).doubleValue())
          .isCloseTo(of.get("cosine").doubleValue(), within(1e-5));
      assertThat(1 / (1 + Math.exp(-first.get("itm").get(0).get(c).doubleValue())))
          .isCloseTo(of.get("match").doubleValue(), within(1e-5));
    }
    JsonNode results = JsonMapper.shared().readTree(Files.readString(json));
    assertThat(results.at("/unreadable").has("swap_att/9")).isTrue();
    assertThat(results.at("/results/itm/all/accuracy/of").intValue()).isEqualTo(2);

    String table = shell.out();
    String[] fromScores = {
      "eval",
      "--benchmark",
      "sugarcrepe",
      "--data",
      benchmark.toString(),
      "--scores",
      dump.toString(),
      "--report",
      page.toString()
    };
    assertThat(shell.run(fromScores)).as(shell.err()).isZero();
    assertThat(shell.out()).isEqualTo(table);
    assertThat(Files.readString(page))
        .contains("green <mark>circle</mark>", dump.toString())
        .doesNotContain("<img", out.toString());
    fromScores[fromScores.length - 1] = benchmark + "/page.html";
    assertThat(shell.run(fromScores)).isEqualTo(1);
    assertThat(shell.err()).contains("is not a folder; give another --report FILE").hasLineCount(1);
    assertThat(shell.out()).isEmpty();
    List<String> nowhere = new ArrayList<>(eval);
    nowhere.set(nowhere.indexOf("--images") + 1, folder.resolve("none").toString());
    Files.createDirectory(folder.resolve("none"));
    assertThat(shell.run(nowhere.toArray(String[]::new))).isEqualTo(1);
    assertThat(JsonMapper.shared().readTree(Files.readString(json)).get("unreadable").size())
        .isEqualTo(3);
    List<String> allowed = new ArrayList<>(eval);
    allowed.add("--allow-missing");
    assertThat(shell.run(allowed.toArray(String[]::new))).isZero();
    assertThat(
            shell.run(
                "eval",
                "--benchmark",
                "aro-relation",
                "--data",
                benchmark.toString(),
                "--scores",
                dump.toString()))
        .isEqualTo(1);
    assertThat(shell.err()).contains("this looks like SugarCrepe").hasLineCount(1);
    retrieve(shell, data, out);
    pairs(shell, data, out);
  }

  private void pairs(TestShell shell, Path data, Path out) throws IOException {
    Path scenes = folder.resolve("scenes");
    assertThat(
            shell.run(
                "data", "scenes", "--out", scenes.toString(), "--images", "5", "--pairs", "2"))
        .isZero();
    Path json = folder.resolve("pairs-eval.json");
    List<String> eval = new ArrayList<>(List.of("eval", "--benchmark", "pairs"));
    eval.addAll(List.of("--checkpoint", out.toString(), "--json", json.toString(), "--data"));
    List<String> good = new ArrayList<>(eval);
    good.add(scenes.toString());
    Path page = folder.resolve("pairs.html");
    good.addAll(List.of("--report", page.toString()));
    assertThat(shell.run(good.toArray(String[]::new))).as(shell.err()).isZero();
    assertThat(Files.readString(page))
        .contains(
            "<h1>Test pairs</h1>", "id=\"confused\"", "id=\"finds\"", "Retrieval among 36 images");
    good.addAll(List.of("--mode", "itc"));
    assertThat(shell.run(good.toArray(String[]::new))).as(shell.err()).isZero();
    assertThat(Files.readString(page))
        .contains("id=\"confused\"")
        .doesNotContain("id=\"finds\"", "ITM caption");
    good.removeLast();
    good.removeLast();
    assertThat(shell.run(good.toArray(String[]::new))).as(shell.err()).isZero();
    assertThat(shell.out())
        .contains("Fine differences", "relation", "Retrieval among 36 images", "ITC, then both");
    JsonNode report = JsonMapper.shared().readTree(Files.readString(json));
    assertThat(report.at("/itm/byAttribute/role/pairs").intValue()).isEqualTo(2);
    assertThat(report.at("/retrievalItm/textRecall").size()).isEqualTo(3);
    good.addAll(List.of("--mode", "itm"));
    assertThat(shell.run(good.toArray(String[]::new))).isEqualTo(2);
    assertThat(shell.err()).contains("leave out --mode");
    good.addAll(List.of("--rerank", "3"));
    assertThat(shell.run(good.toArray(String[]::new))).isEqualTo(2);
    assertThat(shell.err()).contains("with --benchmark pairs go");
    eval.add(data.toString());
    assertThat(shell.run(eval.toArray(String[]::new))).isEqualTo(1);
    assertThat(shell.err()).contains("has no test pairs").hasLineCount(1);
  }

  private void retrieve(TestShell shell, Path data, Path out) throws IOException {
    // Two images of the test split, one of them with two captions, and one that is absent.
    Path split =
        Files.writeString(
            folder.resolve("karpathy.json"),
            """
            {"images": [
              {"filename": "red-circle.png", "split": "test", "imgid": 1,
               "sentences": [{"raw": "red circle"}, {"raw": "a round thing"}]},
              {"filename": "blue-square.png", "split": "train", "imgid": 2,
               "sentences": [{"raw": "blue square"}]},
              {"filename": "green-square.png", "split": "test", "imgid": 3,
               "sentences": [{"raw": "green square"}]},
              {"filename": "absent.png", "split": "test", "imgid": 4,
               "sentences": [{"raw": "nothing"}]}]}
            """);
    Path json = folder.resolve("retrieval.json");
    List<String> eval = new ArrayList<>(List.of("eval", "--benchmark", "retrieval"));
    eval.addAll(List.of("--data", split.toString(), "--images", data.toString()));
    eval.addAll(List.of("--checkpoint", out.toString(), "--json", json.toString()));
    Path page = folder.resolve("retrieval.html");
    eval.addAll(List.of("--report", page.toString()));
    assertThat(shell.run(eval.toArray(String[]::new))).isEqualTo(1);
    assertThat(shell.err()).contains("1 of 4 pairs were not scored", "absent.png");
    assertThat(shell.out()).contains("2 images and 3 captions", "ITC, then both");
    assertThat(Files.readString(page))
        .contains(
            "<h1>Retrieval</h1>", "2 images and 3 captions", "a round thing", "re-ranked, of 2");
    JsonNode results = JsonMapper.shared().readTree(Files.readString(json));
    assertThat(results.get("captions").intValue()).isEqualTo(3);
    assertThat(results.at("/results/itm/imageToText").get("R@5").doubleValue()).isEqualTo(1);
    eval.addAll(List.of("--split", "train", "--mode", "itc"));
    assertThat(shell.run(eval.toArray(String[]::new))).as(shell.err()).isZero();
    assertThat(shell.out()).contains("1 images and 1 captions").doesNotContain("then ITM");
  }

  @Test
  void aTableIsCheckedAndTrainedOn() throws IOException {
    TestShell shell = new TestShell();
    Path pictures = data();
    StringBuilder table = new StringBuilder("file,says\n");
    for (JsonNode pair :
        JsonMapper.shared().readTree(Files.readString(pictures.resolve("list.json")))) {
      table
          .append(pair.get("image").stringValue())
          .append(",\"")
          .append(pair.get("caption").stringValue())
          .append("\"\n");
    }
    Path list = Files.writeString(folder.resolve("pairs.csv"), table.toString());
    Path json = folder.resolve("check.json");
    String tokenizer = TestShell.home().resolve("data/noto-emoji/tokenizer.json").toString();
    String[] reading = {
      "--images", pictures.toString(), "--image-column", "file", "--caption-column", "says"
    };
    List<String> check =
        new ArrayList<>(List.of("data", "check", list.toString(), "--json", json.toString()));
    check.addAll(List.of("--tokenizer", tokenizer));
    check.addAll(List.of(reading));
    assertThat(shell.run(check.toArray(String[]::new))).as(shell.err()).isZero();
    assertThat(shell.out())
        .contains("pairs           8", "cannot be used  0", "32 to 32, median 32 pixels");
    assertThat(JsonMapper.shared().readTree(Files.readString(json)).get("images").intValue())
        .isEqualTo(8);
    List<String> train =
        new ArrayList<>(
            List.of(
                "train",
                "--config",
                Files.writeString(folder.resolve("c.yaml"), CONFIG).toString(),
                "--data",
                list.toString(),
                "--tokenizer",
                tokenizer,
                "--out",
                folder.resolve("table-run").toString()));
    train.addAll(List.of(reading));
    Path crepe =
        Files.writeString(
            folder.resolve("add_att.json"),
            """
            {"1": {"filename": "red-circle.png", "caption": "red circle",
                   "negative_caption": "green circle"}}
            """);
    Path report = folder.resolve("train.json");
    train.addAll(List.of("--benchmark", "sugarcrepe=" + crepe, "--json", report.toString()));
    train.addAll(List.of("--benchmark-images", "sugarcrepe=" + pictures));
    assertThat(shell.run(train.toArray(String[]::new))).as(shell.err()).isZero();
    assertThat(shell.out())
        .contains("Steps       6 of 6", "sugarcrepe by itm, % right of 1 items", "all (micro)");
    assertThat(shell.err()).contains("step 6: sugarcrepe by itc");
    assertThat(
            JsonMapper.shared()
                .readTree(Files.readString(report))
                .at("/benchmarks/sugarcrepe/itm/all/accuracy/of")
                .intValue())
        .isEqualTo(1);

    Files.writeString(list, table + "absent.png,x\n");
    assertThat(shell.run(check.toArray(String[]::new))).isEqualTo(1);
    assertThat(shell.out()).contains("cannot be used  1", "absent.png");
  }
}
