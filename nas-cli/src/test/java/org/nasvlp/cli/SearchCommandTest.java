package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.NasModel;
import org.nasvlp.search.EmbeddingIndex;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class SearchCommandTest {
  @TempDir private Path folder;

  private final TestShell shell = new TestShell();
  private Path pictures;
  private Path model;
  private Path index;

  /** A small model that was never trained: what it finds is decided, whatever it is worth. */
  @BeforeEach
  void write() throws IOException {
    model = folder.resolve("model.safetensors");
    export(model, 1);
    pictures = Files.createDirectories(folder.resolve("pictures"));
    Files.createDirectory(pictures.resolve("below"));
    for (int i = 0; i < 5; i++) {
      picture(i == 4 ? "below/<b>4.png" : i + ".PNG", i);
    }
    Files.writeString(pictures.resolve("notes.txt"), "no picture");
    Files.writeString(pictures.resolve(".hidden.png"), "no picture");
    index = pictures.resolve(".nas-index.safetensors");
  }

  private void export(Path file, long seed) throws IOException {
    NasConfig config =
        NasConfig.fromJson(
            """
            {"model":{"imageSize":16,"patchSize":4,"width":16,"heads":2,"imageLayers":1,
            "textLayers":1,"fusionLayers":1,"projection":8,"textTokens":12},
            "dictionary":{"codewords":40},"objective":{"queue":0},"training":{"seed":%d}}
            """
                .formatted(seed),
            "test");
    try (CaptionTokenizer tokenizer =
            CaptionTokenizer.load(TestShell.home().resolve("data/scenes/tokenizer.json"), 12);
        NasModel untrained = NasModel.create(config, tokenizer)) {
      untrained.exportWeights(file);
    }
  }

  private void picture(String name, int seed) throws IOException {
    byte[] rgb = new byte[20 * 10 * 3];
    new java.util.Random(seed).nextBytes(rgb);
    Files.write(pictures.resolve(name), new RgbImage(20, 10, rgb).png());
  }

  private int search(String... more) {
    List<String> args =
        new java.util.ArrayList<>(List.of("search", "a red cup", "--images", pictures.toString()));
    args.addAll(List.of("--checkpoint", model.toString()));
    args.addAll(List.of(more));
    return shell.run(args.toArray(String[]::new));
  }

  /** Programs are told nothing, and someone at a terminal what works when pasted. */
  @Test
  void aTerminalIsToldWhatToTryNext() throws Exception {
    assertThat(search()).isZero();
    assertThat(shell.err()).doesNotContain("next:").doesNotContain("\u001b");
    TestShell terminal = TestShell.terminal(80);
    Path odd = java.nio.file.Files.move(pictures, folder.resolve("it's a folder"));
    Path own = folder.resolve("own.safetensors");
    String[] asked = {
      "search",
      "a \"red\" cup; $HOME `x`",
      "--images",
      odd.toString(),
      "--checkpoint",
      model.toString(),
      "--index",
      own.toString()
    };
    assertThat(terminal.run(asked)).as(terminal.err()).isZero();
    String line = terminal.err().lines().toList().getLast();
    assertThat(line)
        .startsWith("next: './my nas' search 'a \"red\" cup; $HOME `x`' --images ")
        .endsWith(" --html found.html");
    Path page = folder.resolve("found.html");
    String pasted = line.substring("next: ".length()).replace("found.html", page.toString());
    assertThat(terminal.paste(pasted)).as(terminal.err()).isZero();
    assertThat(terminal.err()).doesNotContain("encoding");
    assertThat(Files.readString(page)).contains("$HOME `x`");

    String[] score = {
      "score", odd.resolve("0.PNG").toString(), "a cup", "--checkpoint", model.toString()
    };
    assertThat(terminal.run(score)).as(terminal.err()).isZero();
    line = terminal.err().lines().toList().getLast();
    assertThat(terminal.paste(line.substring("next: ".length()))).as(terminal.err()).isZero();
    assertThat(terminal.out()).contains("match");
  }

  @Test
  void findsPicturesAndKeepsTheIndex() throws Exception {
    Path page = folder.resolve("found.html");
    assertThat(search("--top", "3", "--json", "--html", page.toString())).as(shell.err()).isZero();
    assertThat(shell.err()).contains("encoding 5 of 5 pictures", "Page  file:");
    JsonNode found = JsonMapper.shared().readTree(shell.out());
    assertThat(found.get("pictures").intValue()).isEqualTo(5);
    assertThat(found.get("found")).hasSize(3);
    double before = Double.POSITIVE_INFINITY;
    try (NasModel loaded = NasModel.load(model)) {
      float[] caption = loaded.encodeText(List.of("a red cup"))[0];
      for (JsonNode one : found.get("found")) {
        RgbImage image =
            RgbImage.read(pictures.resolve(one.get("picture").stringValue()), 0xFFFFFF);
        float[] embedding = loaded.encodeImage(List.of(image))[0];
        double cosine = 0;
        for (int i = 0; i < caption.length; i++) {
          cosine += (double) caption[i] * embedding[i];
        }
        double match = loaded.score(image, List.of("a red cup"))[0];
        assertThat(one.get("cosine").doubleValue()).isCloseTo(cosine, within());
        assertThat(one.get("match").doubleValue()).isCloseTo(match, within());
        double score = cosine / loaded.temperature() + Math.log(match / (1 - match));
        assertThat(one.get("score").doubleValue())
            .isCloseTo(score, org.assertj.core.api.Assertions.within(1e-4))
            .isLessThanOrEqualTo(before);
        before = one.get("score").doubleValue();
      }
    }
    assertThat(Files.readString(page))
        .contains("<h1>a red cup</h1>", "data:image/png;base64,")
        .doesNotContain("<b>4");
    assertThat(index).exists();

    // Nothing is encoded again; a table in place of JSON.
    String first = found.get("found").get(0).get("picture").stringValue();
    assertThat(search("--top", "1")).isZero();
    assertThat(shell.err()).doesNotContain("encoding");
    assertThat(shell.out().lines().toList()).hasSize(2);
    assertThat(shell.out()).contains("   1 ", first);

    // A changed, a new and a removed picture.
    picture("1.PNG", 77);
    Files.setLastModifiedTime(pictures.resolve("1.PNG"), FileTime.fromMillis(1_000_000));
    picture("new.jpg", 9);
    Files.delete(pictures.resolve("2.PNG"));
    assertThat(search("--top", "9")).isZero();
    assertThat(shell.err()).contains("encoding 2 of 5 pictures");
    assertThat(shell.out()).contains("new.jpg", "1.PNG").doesNotContain("2.PNG");
    assertThat(EmbeddingIndex.load(index).size()).isEqualTo(5);

    // Another model's embeddings are not used.
    Path other = folder.resolve("other.safetensors");
    export(other, 2);
    assertThat(search("--checkpoint", other.toString())).isEqualTo(2);
    assertThat(
            shell.run(
                "search",
                "a cup",
                "--images",
                pictures.toString(),
                "--checkpoint",
                other.toString()))
        .isZero();
    assertThat(shell.err()).contains("encoding 5 of 5 pictures");
  }

  private static org.assertj.core.data.Offset<Double> within() {
    return org.assertj.core.api.Assertions.within(1e-6);
  }

  @Test
  void aPictureThatCannotBeReadIsNamedAndTheOthersAreSearched() throws IOException {
    Files.writeString(pictures.resolve("broken.png"), "no picture at all");
    assertThat(search()).isEqualTo(1);
    assertThat(shell.err()).contains("1 pictures cannot be read", "broken.png");
    assertThat(shell.out().lines().toList()).hasSize(6);
    // It is told again: nobody has mended it.
    assertThat(search()).isEqualTo(1);
    assertThat(shell.err()).contains("encoding 1 of 6", "broken.png");
  }

  @Test
  void searchesADataSetEachPictureOnce() throws IOException {
    Path list =
        Files.writeString(
            pictures.resolve("pairs.jsonl"),
            """
            {"image": "0.PNG", "caption": ["first", "second"]}
            {"image": "1.PNG", "caption": "third"}
            """);
    Path kept = folder.resolve("kept.safetensors");
    assertThat(
            shell.run(
                "search",
                "a red cup",
                "--images",
                list.toString(),
                "--checkpoint",
                model.toString(),
                "--index",
                kept.toString()))
        .as(shell.err())
        .isZero();
    assertThat(shell.out()).contains("pair 0: first", "pair 2: third").doesNotContain("second");
    assertThat(kept).exists();
    assertThat(pictures.resolve(".pairs.jsonl.nas-index.safetensors")).doesNotExist();
  }

  @Test
  void refusesWhatCannotBeSearched() throws IOException {
    assertThat(shell.run("search", " ", "--images", "x", "--checkpoint", "y")).isEqualTo(2);
    assertThat(shell.err()).contains("The caption is blank");
    assertThat(search("--top", "0")).isEqualTo(2);
    assertThat(shell.run("search", "x", "--images", folder.resolve("none").toString()))
        .isEqualTo(1);
    assertThat(shell.err()).contains("none: no such file or folder", "--images");
    Path empty = Files.createDirectory(folder.resolve("empty"));
    assertThat(
            shell.run(
                "search", "x", "--images", empty.toString(), "--checkpoint", model.toString()))
        .isEqualTo(1);
    assertThat(shell.err()).contains("empty: holds no picture (.png");
    Files.writeString(index, "no index");
    assertThat(search()).isEqualTo(1);
    assertThat(shell.err()).contains(index.toString(), "name another file with --index");
  }
}
