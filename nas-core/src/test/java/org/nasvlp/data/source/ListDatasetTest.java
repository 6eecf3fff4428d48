package org.nasvlp.data.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.nasvlp.data.Fixtures.WHITE;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.Fixtures;
import org.nasvlp.data.ImageTextDataset;

class ListDatasetTest {
  @TempDir private Path top;
  private Path folder;

  @BeforeEach
  void images() throws IOException {
    folder = Files.createDirectory(top.resolve("set"));
    Files.createDirectory(folder.resolve("img"));
    Files.write(folder.resolve("img/a.png"), Fixtures.png(0x0A0000));
    Files.write(folder.resolve("b.png"), Fixtures.png(0x0B0000));
    Files.write(top.resolve("secret.png"), Fixtures.png(0x0C0000));
  }

  private List<String> problems(ImageTextDataset dataset) {
    List<String> problems = new ArrayList<>();
    for (long i = 0; i < dataset.size(); i++) {
      try {
        problems.add("usable: " + dataset.get(i).key());
      } catch (BadSampleException e) {
        problems.add(e.getMessage());
      }
    }
    return problems;
  }

  @Test
  void folderWithAList() throws Exception {
    Files.writeString(
        folder.resolve("captions.json"),
        """
        [{"image": "img/a.png", "caption": "a red dog"},
         {"image": "b.png", "caption": ["one", " two\\n"], "image_id": 5},
         {"image": "./img/../img/a.png", "caption": "another", "other": {}}]
        """);
    try (ImageTextDataset dataset = ImageTextDataset.open(folder, WHITE)) {
      assertThat(dataset.size()).isEqualTo(4);
      assertThat(dataset.get(0).image().red(0, 0)).isEqualTo(0x0A);
      assertThat(dataset.get(1).caption()).isEqualTo("one");
      assertThat(dataset.get(2).caption()).isEqualTo("two");
      assertThat(dataset.get(1).imageId()).isEqualTo(5);
      assertThat(dataset.get(2).imageId()).isEqualTo(5);
      assertThat(dataset.get(3).imageId()).isEqualTo(dataset.get(0).imageId());
      assertThat(List.of(dataset.get(0).key(), dataset.get(1).key(), dataset.get(2).key()))
          .containsExactly("img/a.png", "b.png", "b.png#1");
      assertThat(dataset.get(3).key()).isEqualTo("img/a.png#1");
      assertThatThrownBy(() -> dataset.get(4)).isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  @Test
  void wrongEntriesAreNamed() throws Exception {
    Path list =
        Files.writeString(
            folder.resolve("my.json"),
            """
            [{"image": "b.png", "caption": "fine"},
             {"image": "nowhere.png", "caption": "x"},
             {"image": "../secret.png", "caption": "x"},
             {"image": "%s", "caption": "x"},
             {"image": 3, "caption": "x"},
             {"caption": "x"},
             {"image": "b.png"},
             {"image": "b.png", "caption": 7},
             {"image": "b.png", "caption": []},
             {"image": "b.png", "caption": ["ok", {}]},
             {"image": "b.png", "caption": " "},
             "b.png",
             {"image": "b.png", "caption": "fine"},
             {"image": "b.png", "caption": "x", "image_id": []},
             {"image": "a\\u0000b", "caption": "x"},
             {"image": "", "caption": "x"}]
            """
                .formatted(top.resolve("secret.png")));
    try (ImageTextDataset dataset = ImageTextDataset.open(list, WHITE)) {
      List<String> problems = problems(dataset);
      assertThat(problems).hasSize(17);
      assertThat(problems.get(0)).isEqualTo("usable: b.png");
      assertThat(problems.get(1))
          .isEqualTo("my.json[1] (nowhere.png): the image file does not exist");
      assertThat(problems.get(2)).startsWith("my.json[2]: ").contains("../secret.png", "out of");
      assertThat(problems.get(3)).startsWith("my.json[3]: ").contains("out of");
      assertThat(problems.get(4)).contains("my.json[4]", "\"image\" is the number 3");
      assertThat(problems.get(5)).isEqualTo("my.json[5]: has no \"image\"");
      assertThat(problems.get(6)).isEqualTo("my.json[6]: has no \"caption\"");
      assertThat(problems.get(7)).contains("my.json[7]", "\"caption\" is the number 7");
      assertThat(problems.get(8)).contains("my.json[8]", "empty list");
      assertThat(problems.get(9)).isEqualTo("usable: b.png#1");
      assertThat(problems.get(10)).contains("my.json[9] caption 1", "an object");
      assertThat(problems.get(11)).isEqualTo("my.json[10]: the caption is empty");
      assertThat(problems.get(12)).contains("my.json[11]", "a string");
      assertThat(problems.get(13)).contains("my.json[12]", "repeats", "my.json[0]");
      assertThat(problems.get(14)).contains("my.json[13]", "image_id", "a list");
      assertThat(problems.get(15)).contains("my.json[14]", "not valid").doesNotContain("\0");
      assertThat(problems.get(16)).contains("my.json[15]", "empty");
    }
  }

  @Test
  void brokenListsAreErrors() throws Exception {
    Path list = folder.resolve("captions.json");
    Files.writeString(list, "[{\"image\": \"b.png\", \"caption\": \"x\"},\n {\"image\": ");
    assertThatThrownBy(() -> ImageTextDataset.open(list, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("captions.json is not valid JSON after 1 entries, in line 2");
    Files.writeString(list, "{\"image\": \"b.png\", \"caption\": \"x\"}");
    assertThatThrownBy(() -> ImageTextDataset.open(list, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("does not hold a list");
    Files.writeString(list, "[]");
    assertThatThrownBy(() -> ImageTextDataset.open(list, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("no usable pair");
    Files.writeString(list, "[3]");
    assertThatThrownBy(() -> ImageTextDataset.open(list, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("captions.json[0]: is the number 3");
    Files.writeString(list, "");
    assertThatThrownBy(() -> ImageTextDataset.open(list, WHITE)).isInstanceOf(IOException.class);
  }

  @Test
  void jsonLines() throws Exception {
    ByteArrayOutputStream lines = new ByteArrayOutputStream();
    lines.writeBytes(Fixtures.utf8("{\"image\": \"b.png\", \"caption\": \"fine\"}\r\n\n"));
    lines.writeBytes(Fixtures.utf8("{\"image\": \"b.png\", \n"));
    lines.writeBytes(Fixtures.utf8("{\"image\": \"b.png\", \"caption\": \"caf"));
    lines.write(0xE9);
    lines.writeBytes(Fixtures.utf8("\"}\n{\"image\": \"img/a.png\", \"caption\": \"last\"}"));
    Path list = Files.write(folder.resolve("list.jsonl"), lines.toByteArray());
    try (ImageTextDataset dataset = ImageTextDataset.open(folder, WHITE)) {
      assertThat(dataset.name()).isEqualTo(list.toString());
      List<String> problems = problems(dataset);
      assertThat(problems).hasSize(4);
      assertThat(problems.get(0)).isEqualTo("usable: b.png");
      assertThat(problems.get(1)).startsWith("list.jsonl line 3: is not valid JSON");
      assertThat(problems.get(2)).startsWith("list.jsonl line 4: is not valid JSON");
      assertThat(problems.get(3)).isEqualTo("usable: img/a.png");
    }
  }

  @Test
  void closedIsSaid() throws Exception {
    Path list =
        Files.writeString(
            folder.resolve("list.json"), "[{\"image\": \"b.png\", \"caption\": \"x\"}]");
    ImageTextDataset dataset = ImageTextDataset.open(list, WHITE);
    dataset.close();
    dataset.close();
    assertThatThrownBy(() -> dataset.get(0))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
  }
}
