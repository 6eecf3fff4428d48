package org.nasvlp.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.eval.BenchmarkFormat;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.eval.ItemScores;
import org.nasvlp.eval.PublishedBenchmark;

/** What is wrong with a file is wrong for every reader: each says so, naming file and place. */
class OddFilesTest {
  /** More of a message nobody reads. */
  private static final int LONGEST_MESSAGE = 2000;

  private static final Duration LONGEST = Duration.ofSeconds(20);

  @TempDir private Path folder;

  interface Opening {
    void of(Path file) throws Exception;
  }

  /**
   * A reader and a file that it takes.
   *
   * @param field a field of the text, with its value, to be given twice; empty for none
   */
  record Reader(String name, String text, String field, Opening opening) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static void open(Path file) throws IOException {
    ImageTextDataset.open(file, 0).close();
  }

  private static void pairs(Path file) throws IOException {
    Path set =
        Files.writeString(file.resolveSibling("set.csv"), "image,caption\na.png,one\nb.png,two\n");
    try (ImageTextDataset test = ImageTextDataset.open(set, 0)) {
      FineGrainedBenchmark.load(file, test);
    }
  }

  private static Stream<Reader> json() throws IOException {
    return Stream.of(
        new Reader(
            "list.json",
            "[{\"image\": \"a.png\",\n \"caption\": \"one\"}]",
            "\"caption\": \"one\"",
            OddFilesTest::open),
        new Reader(
            "coco.json",
            "{\"images\": [{\"id\": 1, \"file_name\": \"a.png\"}], \"annotations\":\n"
                + " [{\"image_id\": 1, \"caption\": \"one\"}]}",
            "\"image_id\": 1",
            OddFilesTest::open),
        new Reader(
            "split.json",
            "{\"images\": [{\"filename\": \"a.png\", \"split\": \"train\", \"imgid\": 3,\n"
                + " \"sentences\": [{\"raw\": \"one\"}]}]}",
            "\"imgid\": 3",
            OddFilesTest::open),
        new Reader(
            "mix.json",
            "{\"sources\": [{\"path\": \"good.csv\",\n \"weight\": 2}]}",
            "\"weight\": 2",
            OddFilesTest::open),
        new Reader(
            "config.json", "{\"training\":\n {\"seed\": 7}}", "\"seed\": 7", NasConfig::load),
        new Reader(
            "tokenizer.json",
            Files.readString(Fixtures.tokenizerFile()),
            "\"[PAD]\": 0",
            file -> CaptionTokenizer.load(file, 8).close()),
        new Reader(
            "pairs.json",
            "[{\"attribute\": \"x\", \"a\": {\"key\": \"a.png\", \"caption\": \"one\"},\n"
                + " \"b\": {\"key\": \"b.png\", \"caption\": \"two\"}}]",
            "\"attribute\": \"x\"",
            OddFilesTest::pairs),
        new Reader(
            "sugar.json",
            "{\"1\": {\"filename\": \"a.png\", \"caption\": \"x\",\n"
                + " \"negative_caption\": \"y\"}}",
            "\"caption\": \"x\"",
            file -> PublishedBenchmark.read(BenchmarkFormat.SUGARCREPE, file)),
        new Reader(
            "wino.json",
            "{\"id\": 1, \"image_0\": \"a\", \"image_1\": \"b\", \"caption_0\": \"x y\","
                + " \"caption_1\": \"y x\", \"collapsed_tag\": \"Object\"}",
            "\"image_0\": \"a\"",
            file -> PublishedBenchmark.read(BenchmarkFormat.WINOGROUND, file)),
        new Reader(
            "scores.jsonl",
            "{\"id\": \"1\", \"itc\": [[0.5, 0.25]]}",
            "\"id\": \"1\"",
            ItemScores::read));
  }

  private static Stream<Reader> all() throws IOException {
    return Stream.concat(
        json(),
        Stream.of(
            new Reader("config.yaml", "training:\n  seed: 7\n  steps: 9\n", "", NasConfig::load),
            new Reader("table.csv", "image,caption\na.png,one\n", "", OddFilesTest::open),
            new Reader("table.tsv", "image\tcaption\na.png\tone\n", "", OddFilesTest::open)));
  }

  private static Stream<Reader> everyFile() throws IOException {
    return Stream.concat(
        all(),
        Stream.of(
            new Reader(
                "list.jsonl",
                "{\"image\": \"a.png\", \"caption\": \"one\"}\n",
                "",
                OddFilesTest::open),
            new Reader("shard.tar", "", "", OddFilesTest::open),
            new Reader("shard.tar.gz", "", "", OddFilesTest::open),
            new Reader("picture.png", "", "", file -> RgbImage.read(file, 0)),
            new Reader(
                "weights.safetensors",
                "",
                "",
                file -> {
                  try (Arena arena = Arena.ofConfined()) {
                    Safetensors.read(file, arena);
                  }
                })));
  }

  @BeforeEach
  void pictures() throws IOException {
    Files.write(folder.resolve("a.png"), Fixtures.png(1));
    Files.write(folder.resolve("b.png"), Fixtures.png(2));
    Files.writeString(folder.resolve("good.csv"), "image,caption\na.png,one\n");
  }

  private static String message(ThrowingCallable reading) {
    Throwable[] thrown = new Throwable[1];
    assertTimeoutPreemptively(
        LONGEST,
        () -> {
          try {
            reading.call();
          } catch (Throwable e) {
            thrown[0] = e;
          }
        });
    assertThat(thrown[0])
        .isInstanceOfAny(
            IOException.class, BadSampleException.class, IllegalArgumentException.class);
    return thrown[0].getMessage();
  }

  private void assertRefused(Reader reader, byte[] bytes, String... parts) throws IOException {
    Path file = Files.write(folder.resolve(reader.name()), bytes);
    String message = message(() -> reader.opening().of(file));
    assertThat(message).contains(file.toString()).contains(parts);
    assertThat(message.length()).isLessThan(LONGEST_MESSAGE);
  }

  @ParameterizedTest
  @MethodSource("all")
  void theFilesThemselvesAreFine(Reader reader) throws Exception {
    reader.opening().of(Files.writeString(folder.resolve(reader.name()), reader.text()));
  }

  @ParameterizedTest
  @MethodSource("json")
  void nothingMayFollowTheJson(Reader reader) throws IOException {
    long line = reader.text().lines().count();
    for (String more : List.of(" []", " {}", " ]", " garbage", " 7")) {
      assertRefused(reader, Fixtures.utf8(reader.text().stripTrailing() + more), "line " + line);
    }
  }

  @ParameterizedTest
  @MethodSource("json")
  void aFieldThatStandsTwiceIsNamed(Reader reader) throws IOException {
    String field = reader.field();
    assertThat(reader.text()).contains(field);
    String twice = reader.text().replace(field, field + ", " + field);
    String name = field.substring(1, field.indexOf('"', 1));
    assertRefused(reader, Fixtures.utf8(twice), "\"" + name + "\"", "line ");
  }

  @ParameterizedTest
  @MethodSource("all")
  void textThatIsNotUtf8IsNamed(Reader reader) throws IOException {
    byte[] latin = (reader.text() + " \u00e9 ").getBytes(StandardCharsets.ISO_8859_1);
    assertRefused(reader, latin, "UTF-8");
  }

  @Test
  void yamlKnowsItsPlacesToo() throws IOException {
    Reader yaml = all().filter(reader -> reader.name().equals("config.yaml")).findFirst().get();
    assertRefused(yaml, Fixtures.utf8("training:\n  seed: 7\n  seed: 8\n"), "line 3", "\"seed\"");
    assertRefused(yaml, Fixtures.utf8("training: {seed: 7}\n---\nnva: {}\n"), "line ");
    assertRefused(yaml, Fixtures.utf8("training: {seed: 7\n"), "line ");
  }

  @ParameterizedTest
  @MethodSource("everyFile")
  void aPipeIsNoFile(Reader reader) throws Exception {
    Path pipe = folder.resolve(reader.name());
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    assertThat(message(() -> reader.opening().of(pipe)))
        .contains(pipe.toString(), "not a regular file");
  }

  @ParameterizedTest
  @MethodSource("everyFile")
  void aDeviceIsNoFile(Reader reader) throws Exception {
    Path link = Files.createSymbolicLink(folder.resolve(reader.name()), Path.of("/dev/null"));
    assertThat(message(() -> reader.opening().of(link)))
        .contains(link.toString(), "not a regular file");
    Files.delete(link);
  }

  @Test
  void aPipeAmongTheImagesIsABadSample() throws Exception {
    Path list =
        Files.writeString(folder.resolve("list.csv"), "image,caption\npipe.png,one\na.png,two\n");
    Path pipe = folder.resolve("pipe.png");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    try (ImageTextDataset dataset = ImageTextDataset.open(list, 0)) {
      assertThat(message(() -> dataset.get(0))).contains("line 2", "pipe.png", "not a regular");
      assertThat(dataset.get(1).caption()).isEqualTo("two");
    }
  }

  @Test
  void aTextThatIsTooLongIsRefusedUnread() throws IOException {
    Path file = folder.resolve("config.json");
    try (var sparse = new java.io.RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(1L << 33);
    }
    assertThat(message(() -> NasConfig.load(file)))
        .contains(file.toString(), "8589934592 bytes", "up to 1048576");
  }

  @Test
  void longTextsOfAnInputAreCut() throws IOException {
    String much = "x".repeat(40_000);
    Files.writeString(folder.resolve("table.csv"), much + "," + much + "\na,b\n");
    Files.writeString(folder.resolve("wide.csv"), "x,".repeat(4000) + "\na,b\n");
    Files.writeString(
        folder.resolve("split.json"),
        "{\"images\": [{\"filename\": \"a.png\", \"split\": \"%s\", \"sentences\": []}]}"
            .formatted(much));
    Files.writeString(
        folder.resolve("coco.json"),
        ("{\"images\": [{\"id\": 1, \"file_name\": \"%s\"}, {\"id\": 1, \"file_name\": \"a\"}],"
                + " \"annotations\": []}")
            .formatted(much));
    Files.writeString(folder.resolve("mix.json"), "{\"sources\": [{\"%s\": 1}]}".formatted(much));
    Files.writeString(
        folder.resolve("mix2.json"), "{\"sources\": [{\"path\": \"%s\"}]}".formatted(much));
    Files.writeString(
        folder.resolve("mix3.json"),
        "{\"sources\": [{\"path\": \"good.csv\", \"weight\": \"%s\"}]}".formatted(much));
    for (String name :
        List.of(
            "table.csv",
            "wide.csv",
            "split.json",
            "coco.json",
            "mix.json",
            "mix2.json",
            "mix3.json")) {
      assertCut(name, OddFilesTest::open);
    }
    Files.writeString(folder.resolve("c.json"), "{\"%s\": 1}".formatted(much));
    Files.writeString(folder.resolve("c2.json"), "{\"preset\": \"%s\"}".formatted(much));
    Files.writeString(folder.resolve("c3.json"), "{\"preset\": [\"%s\"]}".formatted(much));
    Files.writeString(folder.resolve("c4.json"), "{\"nva\": {\"loss\": \"%s\"}}".formatted(much));
    Files.writeString(folder.resolve("c5.json"), "{\"nva\": {\"ratio\": \"%s\"}}".formatted(much));
    for (String name : List.of("c.json", "c2.json", "c3.json", "c4.json", "c5.json")) {
      assertCut(name, NasConfig::load);
    }
    Files.writeString(
        folder.resolve("tokenizer.json"),
        "{\"model\": {\"vocab\": {\"%s\": \"%s\"}}}".formatted(much, much));
    assertCut("tokenizer.json", file -> CaptionTokenizer.load(file, 8).close());
    Files.writeString(
        folder.resolve("pairs.json"),
        "[{\"attribute\": \"x\", \"a\": {\"key\": \"%s\", \"caption\": \"one\"}}]".formatted(much));
    assertCut("pairs.json", OddFilesTest::pairs);
    Files.writeString(folder.resolve("s.jsonl"), "{\"id\": 1, \"c0_i0\": \"%s\"}".formatted(much));
    Files.writeString(folder.resolve("s2.jsonl"), "{\"id\": 1, \"%s\": [7]}".formatted(much));
    Files.writeString(
        folder.resolve("s3.jsonl"),
        "{\"id\": \"%1$s\", \"a\": [[1]]}\n{\"id\": \"%1$s\", \"a\": [[1]]}".formatted(much));
    for (String name : List.of("s.jsonl", "s2.jsonl", "s3.jsonl")) {
      assertCut(name, ItemScores::read);
    }
    Files.writeString(folder.resolve("svo.csv"), much + "," + much + "\na,b\n");
    assertCut("svo.csv", file -> PublishedBenchmark.read(BenchmarkFormat.SVO_PROBES, file));
    Files.writeString(
        folder.resolve("sugar.json"),
        "{\"%s\": {\"filename\": \"../%s\", \"caption\": \"x\"}}".formatted(much, much));
    assertCut("sugar.json", file -> PublishedBenchmark.read(BenchmarkFormat.SUGARCREPE, file));
  }

  private void assertCut(String name, Opening opening) {
    String message = message(() -> opening.of(folder.resolve(name)));
    assertThat(message).contains(name);
    assertThat(message.length()).as("%s: %.80s", name, message).isLessThan(LONGEST_MESSAGE);
  }
}
