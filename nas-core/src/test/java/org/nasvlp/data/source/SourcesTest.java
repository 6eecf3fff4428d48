package org.nasvlp.data.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.nasvlp.data.Fixtures.WHITE;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.Fixtures;
import org.nasvlp.data.ImageCaption;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.eval.RetrievalBenchmark;

/** The forms that image-caption lists come in. */
class SourcesTest {
  private static final String COCO =
      """
      {"info": {"year": 2014}, "licenses": [{"id": 1, "name": "x"}],
       "images": [{"id": 7, "file_name": "a.png", "height": 2}, {"id": 9, "file_name": "b.png"}],
       "annotations": [{"image_id": 7, "id": 1, "caption": "a red dog"},
                       {"image_id": 9, "id": 2, "caption": "one, \\"two\\""},
                       {"image_id": 7, "id": 3, "caption": "a dog"}]}
      """;
  private static final String KARPATHY =
      """
      {"images": [
        {"filepath": "img", "filename": "a.png", "split": "train", "cocoid": 7, "imgid": 0,
         "sentences": [{"raw": "a red dog", "tokens": ["a"]}, {"raw": "a dog"}]},
        {"filepath": "img", "filename": "b.png", "split": "restval", "cocoid": 9, "imgid": 1,
         "sentences": [{"raw": "one, \\"two\\""}]},
        {"filepath": "img", "filename": "c.png", "split": "test", "cocoid": 11, "imgid": 2,
         "sentences": [{"raw": "held out"}]}], "dataset": "coco"}
      """;

  @TempDir private Path top;
  private Path images;

  @BeforeEach
  void images() throws IOException {
    images = Files.createDirectory(top.resolve("img"));
    Files.write(images.resolve("a.png"), Fixtures.png(0x0A0000));
    Files.write(images.resolve("b.png"), Fixtures.png(0x0B0000));
  }

  private Path write(String name, String text) throws IOException {
    return Files.writeString(top.resolve(name), text);
  }

  /** Caption to red of the first pixel and image id, in order. */
  private static Map<String, List<Long>> pairs(ImageTextDataset dataset) throws Exception {
    Map<String, List<Long>> pairs = new LinkedHashMap<>();
    try (dataset) {
      for (long i = 0; i < dataset.size(); i++) {
        ImageTextPair pair = dataset.get(i);
        assertThat(dataset.caption(i)).isEqualTo(new ImageCaption(pair.imageId(), pair.caption()));
        pairs.put(pair.caption(), List.of((long) pair.image().red(0, 0), pair.imageId()));
      }
    }
    return pairs;
  }

  private static List<String> problems(ImageTextDataset dataset) {
    List<String> problems = new ArrayList<>();
    for (long i = 0; i < dataset.size(); i++) {
      try {
        dataset.get(i);
      } catch (BadSampleException e) {
        problems.add(e.getMessage());
      }
    }
    return problems;
  }

  private DatasetOptions options() {
    return DatasetOptions.of(WHITE);
  }

  @Test
  void everyFormGivesTheSamePairs() throws Exception {
    Map<String, List<Long>> expected =
        Map.of(
            "a red dog", List.of(10L, 7L),
            "a dog", List.of(10L, 7L),
            "one, \"two\"", List.of(11L, 9L));
    DatasetOptions inImages = options().withImages(images);
    String list =
        """
        [{"image": "a.png", "image_id": 7, "caption": ["a red dog", "a dog"]},
         {"image": "b.png", "image_id": 9, "caption": "one, \\"two\\""}]
        """;
    String lines =
        """
        {"image": "a.png", "image_id": 7, "caption": ["a red dog", "a dog"]}
        {"image": "b.png", "image_id": 9, "caption": ["one, \\"two\\""]}
        """;
    assertThat(pairs(ImageTextDataset.open(write("x.json", list), inImages))).isEqualTo(expected);
    assertThat(pairs(ImageTextDataset.open(write("x.jsonl", lines), inImages))).isEqualTo(expected);
    assertThat(pairs(ImageTextDataset.open(write("coco.json", COCO), inImages)))
        .isEqualTo(expected);
    assertThat(pairs(ImageTextDataset.open(write("k.json", KARPATHY), options())))
        .isEqualTo(expected);
    String csv =
        "id,filepath,caption\n1,a.png,a red dog\r\n2,b.png,\"one, \"\"two\"\"\"\n3,a.png,a dog\n";
    String tsv = "title\tfilepath\na red dog\ta.png\none, \"two\"\tb.png\na dog\ta.png";
    for (Path table : List.of(write("t.csv", csv), write("t.tsv", tsv))) {
      Map<String, List<Long>> read = pairs(ImageTextDataset.open(table, inImages));
      assertThat(read.keySet()).containsExactly("a red dog", "one, \"two\"", "a dog");
      read.forEach(
          (caption, of) -> assertThat(of.getFirst()).isEqualTo(expected.get(caption).getFirst()));
      assertThat(read.get("a red dog")).isEqualTo(read.get("a dog"));
    }
  }

  @Test
  void aMixtureHoldsEachSourceAsOftenAsItsWeightSays() throws Exception {
    write("k.json", KARPATHY);
    write("one.csv", "image,caption\nb.png,a blue one\n");
    Path mixture =
        write(
            "mix.json",
            """
            {"sources": [{"path": "k.json", "splits": ["train"]},
                         {"path": "one.csv", "images": "img", "weight": 3},
                         {"path": "k.json", "splits": ["train"]}]}
            """);
    try (ImageTextDataset dataset = ImageTextDataset.open(mixture, WHITE)) {
      List<String> captions = new ArrayList<>();
      List<Long> ids = new ArrayList<>();
      for (long i = 0; i < dataset.size(); i++) {
        ImageTextPair pair = dataset.get(i);
        assertThat(dataset.caption(i)).isEqualTo(new ImageCaption(pair.imageId(), pair.caption()));
        assertThat(RgbImage.decode(dataset.encodedImage(i), "x", WHITE).rgb())
            .isEqualTo(pair.image().rgb());
        captions.add(pair.caption());
        ids.add(pair.imageId());
      }
      assertThat(captions)
          .containsExactly(
              "a red dog", "a dog", "a blue one", "a blue one", "a blue one", "a red dog", "a dog");
      assertThat(ids.get(0)).isEqualTo(7).isEqualTo(ids.get(1));
      assertThat(ids.subList(2, 5)).containsOnly(ids.get(2));
      // Another source's ids are others, though its numbers are the same.
      assertThat(ids.get(5)).isEqualTo(ids.get(6)).isNotEqualTo(7L);
      assertThatThrownBy(() -> dataset.get(7)).isInstanceOf(IndexOutOfBoundsException.class);
    }
    assertThatThrownBy(() -> ImageTextDataset.open(mixture, options().withImages(images)))
        .hasMessageContaining("leave those options away");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      value = {
        "{\"sources\": []};must be a list of at least one",
        "{\"sources\": [;not JSON",
        "{\"sources\": [{\"weight\": 2}]};source 1: has no \"path\"",
        "{\"sources\": [3]};source 1: must be an object",
        "{\"sources\": [{\"path\": \"gone.json\"}]};source 1: ",
        "{\"sources\": [{\"path\": \"one.csv\", \"weight\": 0.5}]};\"weight\" is 0.5",
        "{\"sources\": [{\"path\": \"one.csv\", \"weigth\": 1}]};unknown field \"weigth\"",
        "{\"sources\": [{\"path\": \"mix.json\"}]};is a mixture itself",
        "{\"sources\": [{\"path\": \"one.csv\", \"splits\": [\"test\"]}]};splits"
      })
  void wrongMixturesAreNamed(String text, String message) throws IOException {
    write("one.csv", "image,caption\nimg/b.png,a blue one\n");
    Path mixture = write("mix.json", text);
    assertThatThrownBy(() -> ImageTextDataset.open(mixture, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("mix.json")
        .hasMessageContaining(message);
  }

  @Test
  void karpathysSplitsAreChosen() throws Exception {
    Path file = write("k.json", KARPATHY);
    Files.write(images.resolve("c.png"), Fixtures.png(0x0C0000));
    assertThat(pairs(ImageTextDataset.open(file, options().withSplits(List.of("test")))))
        .containsExactly(Map.entry("held out", List.of(12L, 11L)));
    assertThat(pairs(ImageTextDataset.open(file, options().forTest()))).containsKey("held out");
    assertThatThrownBy(() -> ImageTextDataset.open(file, options().withSplits(List.of("val"))))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("no image of the splits val; it has restval, test, train");
  }

  @Test
  void wrongAnnotationsAreNamed() throws Exception {
    Path file =
        write(
            "coco.json",
            """
            {"annotations": [{"image_id": 7, "caption": "fine"}, {"image_id": 8, "caption": "x"},
                {"image_id": "7", "caption": "x"}, {"image_id": 7}, {"image_id": 7, "caption": 3},
                4, {"image_id": 5, "caption": "x"}, {"image_id": 7, "caption": "fine"}],
             "images": [{"id": 7, "file_name": "img/a.png"}, {"id": 5, "file_name": "../../x.png"}]}
            """);
    try (ImageTextDataset dataset = ImageTextDataset.open(file, WHITE)) {
      assertThat(dataset.get(0).caption()).isEqualTo("fine");
      List<String> problems = problems(dataset);
      assertThat(problems).hasSize(7);
      assertThat(problems.get(0))
          .isEqualTo("coco.json annotation 1: is of the image 8, which \"images\" does not have");
      assertThat(problems.get(1)).contains("annotation 2", "integer as \"image_id\"");
      assertThat(problems.get(2)).contains("annotation 3", "has no \"caption\"");
      assertThat(problems.get(3)).contains("annotation 4", "the number 3");
      assertThat(problems.get(4)).contains("annotation 5", "the number 4");
      assertThat(problems.get(5)).contains("annotation 6", "leads out");
      assertThat(problems.get(6)).contains("annotation 7", "repeats", "annotation 0");
    }
  }

  /** Five of COCO's 25,010 test captions repeat another of their image, and all are counted. */
  @Test
  void testCaptionsMayRepeat() throws Exception {
    Path file =
        write(
            "k.json",
            """
            {"images": [
              {"filepath": "img", "filename": "a.png", "split": "test", "cocoid": 7,
               "sentences": [{"raw": "a dog"}, {"raw": "A dog."}, {"raw": "a dog"}]},
              {"filepath": "img", "filename": "b.png", "split": "test", "cocoid": 9,
               "sentences": [{"raw": "a dog"}]}]}
            """);
    try (ImageTextDataset dataset = ImageTextDataset.open(file, options().forTest())) {
      assertThat(problems(dataset)).isEmpty();
      RetrievalBenchmark retrieval = RetrievalBenchmark.of(dataset);
      assertThat(retrieval.images()).isEqualTo(2);
      assertThat(retrieval.captions()).isEqualTo(4);
      assertThat(dataset.get(0).key()).isNotEqualTo(dataset.get(2).key());
    }
    // To train on, one of each is enough.
    try (ImageTextDataset dataset =
        ImageTextDataset.open(file, options().withSplits(List.of("test")))) {
      assertThat(problems(dataset)).hasSize(1);
      assertThat(problems(dataset).getFirst()).contains("repeats");
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {"images": [{"id": 1}], "annotations": []}   | image 0 needs an integer "id"
          {"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]} | two images with the id 1: a and b
          {"images": [], "categories": []}             | does not hold a list
          {"images": [], "annotations": []}            | no usable pair
          {"images": [                                 | is not valid JSON after 0 entries
          {"images": [{"id": 1, "file_name": "a"}      | is not valid JSON after 1 entries
          """)
  void brokenObjectsAreErrors(String text, String message) throws IOException {
    Path file = write("x.json", text);
    assertThatThrownBy(() -> ImageTextDataset.open(file, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("x.json")
        .hasMessageContaining(message);
  }

  @Test
  void tablesAreChecked() throws Exception {
    assertTable("", "t.csv is empty");
    assertTable("image,caption\n", "no usable pair");
    assertTable("url,caption\nx,y\n", "no column for the image", "columns are url, caption");
    assertTable("image,path,caption\nx,y,z\n", "2 columns for the image");
    assertTable("image,caption\nimg/a.png,\"x\n", "line 2", "not closed");
    Path file = write("t.csv", "u,c\nimg/a.png,fine\nimg/a.png\n../b.png,x\n,x\nimg/a.png,fine\n");
    try (ImageTextDataset dataset = ImageTextDataset.open(file, options().withColumns("u", "c"))) {
      List<String> problems = problems(dataset);
      assertThat(problems).hasSize(4);
      assertThat(problems.get(0)).isEqualTo("t.csv line 3: has 1 fields; the first line has 2");
      assertThat(problems.get(1)).contains("line 4", "leads out");
      assertThat(problems.get(2)).contains("line 5", "\"u\" is empty");
      assertThat(problems.get(3)).contains("line 6", "repeats", "line 2");
    }
    Path latin =
        Files.write(
            top.resolve("l.csv"),
            "image,caption\nimg/a.png,caf\u00e9\n".getBytes(StandardCharsets.ISO_8859_1));
    assertThatThrownBy(() -> ImageTextDataset.open(latin, WHITE))
        .hasMessageContaining("l.csv is not UTF-8");
  }

  private void assertTable(String text, String... messages) throws IOException {
    Path file = write("t.csv", text);
    assertThatThrownBy(() -> ImageTextDataset.open(file, WHITE))
        .isInstanceOf(IOException.class)
        .satisfies(e -> assertThat(e.getMessage()).contains(messages));
  }

  @Test
  void theFolderOfImagesHasToExist() throws IOException {
    Path file = write("x.json", "[{\"image\": \"a.png\", \"caption\": \"x\"}]");
    assertThatThrownBy(() -> ImageTextDataset.open(file, options().withImages(top.resolve("none"))))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("none is no folder");
  }

  @Test
  void optionsOfAnotherFormAreRefused() throws IOException {
    Path list = write("x.json", "[{\"image\": \"img/a.png\", \"caption\": \"x\"}]");
    assertThatThrownBy(() -> ImageTextDataset.open(list, options().withSplits(List.of("test"))))
        .hasMessageContaining("x.json is a list without splits");
    assertThatThrownBy(() -> ImageTextDataset.open(list, options().withColumns("a", null)))
        .hasMessageContaining("x.json is a list without columns");
    Path shard =
        new Fixtures.Tar()
            .add("k.png", Fixtures.png(1))
            .add("k.txt", Fixtures.utf8("x"))
            .write(top.resolve("s.tar"));
    assertThatThrownBy(() -> ImageTextDataset.open(shard, options().withImages(images)))
        .hasMessageContaining("s.tar holds shards");
  }

  @Test
  void shardsInBraces() throws Exception {
    for (int i = 8; i <= 11; i++) {
      new Fixtures.Tar()
          .add("k" + i + ".png", Fixtures.png(i << 16))
          .add("k" + i + ".txt", Fixtures.utf8("shard " + i))
          .write(top.resolve("s-%03d.tar".formatted(i)));
    }
    try (ImageTextDataset dataset = ImageTextDataset.open(top.resolve("s-{008..011}.tar"), WHITE)) {
      assertThat(dataset.size()).isEqualTo(4);
      assertThat(dataset.get(3).caption()).isEqualTo("shard 11");
    }
    try (ImageTextDataset dataset = ImageTextDataset.open(top.resolve("s-0{10,08}.tar"), WHITE)) {
      assertThat(dataset.size()).isEqualTo(2);
      assertThat(dataset.get(0).caption()).isEqualTo("shard 10");
    }
    assertPattern("s-{008..013}.tar", "2 of 6 shards do not exist", "s-012.tar", "s-013.tar");
    assertPattern("s-{011..008}.tar", "must rise");
    assertPattern("s-{0..999999}.tar", "fewer than");
    assertPattern("s-{008}.tar", "neither a range");
    assertPattern("s-{0..3}{0..999}{0..999}.tar", "more than 100000");
    assertPattern("s-{a..c}.tar", "neither a range");
  }

  private void assertPattern(String name, String... messages) {
    assertThatThrownBy(() -> ImageTextDataset.open(top.resolve(name), WHITE))
        .isInstanceOf(IOException.class)
        .satisfies(e -> assertThat(e.getMessage()).contains(messages));
  }
}
