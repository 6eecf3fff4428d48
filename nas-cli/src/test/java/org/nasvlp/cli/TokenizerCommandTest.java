package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.text.CaptionTokenizer;

class TokenizerCommandTest {
  @TempDir private Path folder;

  private final TestShell shell = new TestShell();

  private Path data;
  private Path out;

  /** 3 captions of 5 words that can be read: aab 2, ab 2, b 1; and one that cannot. */
  @BeforeEach
  void write() throws IOException {
    data =
        Files.writeString(
            folder.resolve("captions.jsonl"),
            """
            {"image": "none.png", "caption": "Aab, ab"}
            {"image": "none.png", "caption": ["aab", "ab b"]}
            {"image": "none.png", "caption": ""}
            """);
    out = folder.resolve("made").resolve("tokenizer.json");
  }

  private int run(String size, String... more) {
    return shell.run(
        Stream.concat(
                Stream.of(
                    "data", "tokenizer", data.toString(), "--size", size, "--out", out.toString()),
                Stream.of(more))
            .toArray(String[]::new));
  }

  @Test
  void makesATokenizerWithoutPicturesAndTellsWhatItDoes() throws IOException {
    // a, b, ##a, ##b, and one more: aab, which saves 2 · 2.
    assertThat(run("10", "--max-tokens", "4")).as(shell.err()).isZero();
    assertThat(shell.out())
        .isEqualTo(
            """
            tokens         10
            captions       3
              with [UNK]   0, 0.0 %
              too long     2, 66.7 %: cut at 4 tokens
            words          5, 3 of them different
              one piece    60.0 %
              pieces       1.40 a word
            """);
    assertThat(shell.err()).contains("1 captions cannot be read", "caption is empty");
    try (CaptionTokenizer tokenizer = CaptionTokenizer.load(out, 8)) {
      assertThat(tokenizer.words("aab ab")).containsExactly(9, 5, 8);
    }
    try (Stream<Path> files = Files.list(out.getParent())) {
      assertThat(files).containsExactly(out);
    }
    byte[] first = Files.readAllBytes(out);
    Files.delete(out);
    assertThat(run("10")).isZero();
    assertThat(out).hasBinaryContent(first);
  }

  @Test
  void refusesWhatCannotBeMade() throws IOException {
    assertThat(run("8")).isEqualTo(1);
    assertThat(shell.err()).contains("size is 8: at least 9 is needed", "--size");
    assertThat(out).doesNotExist();
    assertThat(run("10", "--max-tokens", "2")).isEqualTo(2);
    assertThat(shell.err()).contains("'--max-tokens': it is below 3");
    assertThat(run("many")).isEqualTo(2);
    Files.writeString(Files.createDirectories(out.getParent()).resolve("tokenizer.json"), "mine");
    assertThat(run("10")).isEqualTo(1);
    assertThat(shell.err()).contains("tokenizer.json: exists already; remove it or choose another");
    assertThat(out).hasContent("mine");
    Files.delete(out);
    Files.writeString(data, "{\"image\": \"a.png\", \"caption\": \" \"}\n");
    assertThat(run("10")).isEqualTo(1);
    assertThat(shell.err()).contains("captions.jsonl");
    assertThat(out).doesNotExist();
  }

  /** Where the disk is full, which /dev/full always is: nothing is left. */
  @Test
  void aFullDiskLeavesNothing() throws IOException {
    Path made = Files.createDirectories(out.getParent());
    Files.createSymbolicLink(made.resolve(".tokenizer.json.part"), Path.of("/dev/full"));
    assertThat(run("10")).isEqualTo(1);
    assertThat(shell.err()).contains("No space left on device");
    try (Stream<Path> files = Files.list(made)) {
      assertThat(files).isEmpty();
    }
  }
}
