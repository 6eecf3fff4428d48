package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@Timeout(240)
class AblateCommandTest {
  private static final String CONFIG =
      """
      preset: tiny
      model: {imageSize: 16, patchSize: 4, width: 32, heads: 2, imageLayers: 1, textLayers: 1,
              fusionLayers: 1, projection: 16}
      dictionary: {codewords: 32}
      nva: {neighbours: 8}
      objective: {queue: 16}
      data: {batchSize: 8}
      training: {steps: 6, checkpointEvery: 2}
      """;
  private static final String ARMS =
      """
      - name: plain
        patch: {nva: {enabled: false}}
      - name: +nva
      - name: broken
        patch: {dictionary: {codewords: 60000}}
      """;

  @TempDir private Path folder;
  private final TestShell shell = new TestShell();
  private Path data;
  private Path out;
  private Path config;
  private Path arms;

  @BeforeEach
  void writeFiles() throws IOException {
    data = Files.createDirectory(folder.resolve("data"));
    out = folder.resolve("out");
    config = Files.writeString(folder.resolve("config.yaml"), CONFIG);
    arms = Files.writeString(folder.resolve("arms.yaml"), ARMS);
    Path shipped = TestShell.home().resolve("data/noto-emoji/tokenizer.json");
    Files.copy(shipped, data.resolve("tokenizer.json"), StandardCopyOption.REPLACE_EXISTING);
    List<String> names = new ArrayList<>();
    Map<String, Color> colours =
        Map.of("red", Color.RED, "green", Color.GREEN, "blue", Color.BLUE, "black", Color.BLACK);
    for (String name : List.of("train.tar", "test.tar")) {
      names.clear();
      try (TarArchiveOutputStream tar =
          new TarArchiveOutputStream(Files.newOutputStream(data.resolve(name)))) {
        for (String colour : List.of("red", "green", "blue", "black")) {
          for (String shape : List.of("circle", "square", "heart")) {
            String caption = colour + " " + shape;
            add(tar, colour + "-" + shape + ".png", drawing(colours.get(colour), shape));
            add(tar, colour + "-" + shape + ".txt", caption.getBytes(StandardCharsets.UTF_8));
            names.add(colour + "-" + shape);
          }
        }
      }
    }
    Files.writeString(
        data.resolve("pairs.json"),
        JsonMapper.shared()
            .writeValueAsString(
                List.of(
                    pair("shape", names.get(0), names.get(1)),
                    pair("colour", names.get(0), names.get(3)))));
  }

  private static Map<String, Object> pair(String attribute, String a, String b) {
    return Map.of("attribute", attribute, "a", side(a), "b", side(b));
  }

  private static Map<String, String> side(String key) {
    return Map.of("key", key, "caption", key.replace('-', ' '));
  }

  private static void add(TarArchiveOutputStream tar, String name, byte[] bytes)
      throws IOException {
    TarArchiveEntry entry = new TarArchiveEntry(name);
    entry.setSize(bytes.length);
    tar.putArchiveEntry(entry);
    tar.write(bytes);
    tar.closeArchiveEntry();
  }

  private static byte[] drawing(Color colour, String shape) throws IOException {
    BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = image.createGraphics();
    graphics.setColor(colour);
    switch (shape) {
      case "circle" -> graphics.fillOval(2, 2, 12, 12);
      case "square" -> graphics.fillRect(2, 2, 12, 12);
      default -> graphics.fillPolygon(new int[] {2, 14, 8}, new int[] {2, 2, 14}, 3);
    }
    graphics.dispose();
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ImageIO.write(image, "png", bytes);
    return bytes.toByteArray();
  }

  private int run(String... more) {
    List<String> args = new ArrayList<>(List.of("ablate", "--out", out.toString()));
    args.addAll(List.of("--config", config.toString(), "--data", data.toString()));
    args.addAll(List.of("--arms", arms.toString()));
    args.addAll(List.of(more));
    return shell.run(args.toArray(String[]::new));
  }

  @Test
  void trainsReportsAndGoesOn() throws IOException {
    assertThat(run("--seeds", "1", "--evaluate-every", "3", "--parallel", "2")).isEqualTo(1);
    assertThat(shell.err())
        .contains("plain seed 1: run 1 of 3", "plain seed 1: finished: caption choice")
        .contains("+nva seed 1: step 3: caption choice")
        .contains("nas: broken seed 1 failed: dictionary.codewords is 60000, more than")
        .contains("output.txt");
    assertThat(shell.out())
        .contains("Every run: 6 steps of batch 8. Seeds 1.", "| +nva |", "broken seed 1")
        .contains("./nas ablate --out " + out)
        .isEqualTo(Files.readString(out.resolve("results.md")));
    Path page = out.resolve("report.html");
    assertThat(shell.err()).contains("report: " + page.toUri());
    // What the tables print stands in the page too.
    String row =
        Files.readString(out.resolve("results.md"))
            .lines()
            .filter(line -> line.startsWith("| +nva |"))
            .findFirst()
            .orElseThrow();
    assertThat(Files.readString(page))
        .contains("6 steps of batch 8", "broken seed 1", "compared.html")
        .contains(
            "<tr><th scope=\"row\">+nva</th>"
                + Arrays.stream(row.split("\\|", -1))
                    .skip(2)
                    .map(String::strip)
                    .filter(cell -> !cell.isEmpty())
                    .map(cell -> "<td>" + cell + "</td>")
                    .collect(Collectors.joining()));
    assertThat(Files.readString(out.resolve("compared.html")))
        .contains("<h1>Runs plain, +nva</h1>", "id=\"curves\"");
    Path kept = out.resolve("runs/+nva/seed-1/result.json");
    FileTime before = Files.getLastModifiedTime(kept);

    // As if the other run had been killed before it was done.
    Files.delete(out.resolve("runs/plain/seed-1/result.json"));
    String[] more = {"--seeds", "1", "--evaluate-every", "3", "--resume", "--arm"};
    List<String> args = new ArrayList<>(List.of(more));
    args.addAll(List.of("+nva", "plain"));
    assertThat(run(args.toArray(String[]::new))).as(shell.err()).isZero();
    assertThat(shell.err())
        .contains("plain seed 1: resuming after step 6", "plain seed 1: finished")
        .doesNotContain("+nva seed 1: run");
    assertThat(Files.getLastModifiedTime(kept)).isEqualTo(before);
    JsonNode results = JsonMapper.shared().readTree(Files.readString(out.resolve("results.json")));
    assertThat(results.get("baseline").stringValue()).isEqualTo("plain");
    assertThat(results.get("runs").size()).isEqualTo(2);
    assertThat(results.at("/arms/0/values/itm.captionChoice.colour/n").intValue()).isEqualTo(1);
    assertThat(results.at("/unfinished/0").stringValue()).isEqualTo("broken seed 1");
    assertThat(results.get("command").stringValue())
        .contains("--arm +nva plain")
        .doesNotContain("--resume");

    String table = shell.out();
    Files.delete(page);
    Files.delete(out.resolve("compared.html"));
    String[] tables = {"ablate", "--report-only", "--no-report", "--out", out.toString()};
    assertThat(shell.run(tables)).isZero();
    assertThat(shell.out()).isEqualTo(table);
    assertThat(shell.err()).doesNotContain("report: ");
    assertThat(page).doesNotExist();
    assertThat(shell.run("ablate", "--report-only", "--out", out.toString())).isZero();
    assertThat(shell.out()).isEqualTo(table);
    assertThat(page).exists();
    // A page that cannot be written does not spoil the tables.
    Files.delete(page);
    Files.createDirectories(page.resolve("in-the-way"));
    assertThat(shell.run("ablate", "--report-only", "--out", out.toString())).isZero();
    assertThat(shell.out()).isEqualTo(table);
    assertThat(shell.err()).contains("warning: no report was written: ");

    assertThat(run("--seeds", "1")).isEqualTo(1);
    assertThat(shell.err()).contains("--resume", "--out").hasLineCount(1);
    assertThat(run("--seeds", "1", "--resume", "--steps", "7")).isEqualTo(1);
    assertThat(shell.err()).contains("another config.training.steps: 6, now 7").hasLineCount(1);
  }

  @Test
  void equalTime() throws IOException {
    String[] minutes = {"--seeds", "1", "--minutes", "0.01", "--arm", "plain"};
    assertThat(run(minutes)).as(shell.err()).isZero();
    assertThat(shell.out())
        .contains("Every run: 0.01 minutes of steps of batch 8", "--minutes 0.01");
    assertThat(shell.err()).contains("curves: " + out.resolve("curves.svg"));
    JsonNode results = JsonMapper.shared().readTree(Files.readString(out.resolve("results.json")));
    assertThat(results.get("minutes").doubleValue()).isEqualTo(0.01);
    assertThat(run("--seeds", "1", "--steps", "6", "--arm", "plain", "--resume")).isEqualTo(1);
    assertThat(shell.err()).contains("another config.training.steps").hasLineCount(1);
  }

  @Test
  void whatDoesNotFitIsToldBeforeAnythingIsTrained() throws IOException {
    assertThat(run("--resume")).isEqualTo(1);
    assertThat(shell.err()).contains("holds no ablation to resume").hasLineCount(1);
    assertThat(shell.run("ablate", "--report-only", "--out", out.toString())).isEqualTo(1);
    assertThat(shell.err()).contains(out.toString(), "holds no ablation").hasLineCount(1);
    assertThat(run("--arm", "plian")).isEqualTo(2);
    assertThat(shell.err()).contains("there is no arm plian; there are plain, +nva, broken");
    assertThat(run("--seeds", "1,1")).isEqualTo(1);
    assertThat(shell.err()).contains("seeds: 1 occurs twice");
    assertThat(run("--steps", "5", "--minutes", "5")).isEqualTo(2);
    assertThat(shell.err()).contains("--steps and --minutes exclude each other");
    assertThat(run("--minutes", "0")).isEqualTo(2);
    assertThat(shell.err()).contains("'--minutes': 0.0 is not above 0");
    Files.writeString(arms, "- name: a\n  patch: {nva: {radios: 1}}\n");
    assertThat(run()).isEqualTo(1);
    assertThat(shell.err()).contains("arm a: unknown field nva.radios").hasLineCount(1);
    Files.delete(data.resolve("pairs.json"));
    assertThat(run()).isEqualTo(1);
    assertThat(shell.err()).contains("pairs.json: no such file").hasLineCount(1);
    assertThat(out).doesNotExist();
  }

  @Test
  void help() {
    assertThat(shell.run("ablate", "--help")).isZero();
    assertThat(shell.out())
        .contains(
            "--arms",
            "--arm",
            "--seeds",
            "--steps",
            "--minutes",
            "--evaluate-every",
            "--config",
            "--data")
        .contains("--out", "--threads", "--parallel", "--resume", "--report-only", "--[no-]report")
        .contains("patch: {nva: {enabled: false}}")
        .contains("1,2,3");
  }
}
