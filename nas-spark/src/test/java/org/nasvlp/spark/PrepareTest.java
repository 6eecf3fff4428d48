package org.nasvlp.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.functions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.EditType;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.CaptionEditFile;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.TextEditor;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class PrepareTest {
  private static final int WHITE = 0xFFFFFF;

  private final SparkSession spark = LocalSpark.session();

  @TempDir Path images;
  @TempDir Path work;

  private PrepareOptions options(String name) {
    return PrepareOptions.to(work.resolve(name).toString()).withId("id").withPairsPerShard(4);
  }

  private static JsonNode json(Path file) {
    return JsonMapper.shared().readTree(file.toFile());
  }

  private Prepared prepare(Pictures pictures, PrepareOptions options) throws IOException {
    return SparkNas.prepare(pictures.paths(spark), options);
  }

  @Test
  void theCoreReadsWhatWasPrepared() throws Exception {
    Pictures pictures = Pictures.drawn(images, 10, 20, 30);
    // Before all others, and another caption of the second picture.
    pictures.add(-5, images.resolve("001.jpg"), "  Another\tcaption ");
    Prepared prepared = prepare(pictures, options("out"));
    assertThat(prepared)
        .isEqualTo(new Prepared(11, 11, 0, 3, 3, work.resolve("out") + "/manifest.json", null));
    try (ImageTextDataset read = ImageTextDataset.open(work.resolve("out"), WHITE)) {
      assertThat(read.size()).isEqualTo(11);
      assertThat(read.get(0).caption()).isEqualTo("Another caption");
      for (int id = 0; id < 10; id++) {
        ImageTextPair pair = read.get(id + 1);
        assertThat(pair.caption()).isEqualTo("picture number " + id);
        Path file =
            images.resolve("%03d.%s".formatted(id, List.of("png", "jpg", "gif").get(id % 3)));
        assertThat(pair.image().rgb()).isEqualTo(RgbImage.read(file, WHITE).rgb());
        if (id % 3 != 2) {
          assertThat(read.encodedImage(id + 1)).isEqualTo(Files.readAllBytes(file));
        }
      }
      assertThat(read.get(0).imageId()).isEqualTo(read.get(2).imageId());
      assertThat(read.get(1).imageId()).isNotEqualTo(read.get(2).imageId());
    }
  }

  @Test
  void largePicturesAreShrunkAndSmallOnesStay() throws Exception {
    Pictures pictures = new Pictures(images);
    pictures.add(0, pictures.draw(0, "png", 40, 60), "tall");
    pictures.add(1, pictures.draw(1, "jpg", 101, 50), "wide");
    pictures.add(2, pictures.draw(2, "png", 20, 90), "just small enough");
    prepare(pictures, options("out").withShorterSide(20));
    try (ImageTextDataset read = ImageTextDataset.open(work.resolve("out"), WHITE)) {
      RgbImage tall = RgbImage.read(images.resolve("000.png"), WHITE).resize(20, 30);
      assertThat(read.get(0).image().rgb()).isEqualTo(tall.rgb());
      // 101 * 20 / 50 is 40.4. A JPEG again: within what JPEG loses of a smooth picture.
      byte[] wide = RgbImage.read(images.resolve("001.jpg"), WHITE).resize(40, 20).rgb();
      assertThat(read.encodedImage(1)).startsWith(0xFF, 0xD8);
      byte[] got = read.get(1).image().rgb();
      assertThat(got).hasSameSizeAs(wide);
      double difference = 0;
      for (int i = 0; i < wide.length; i++) {
        difference += Math.abs((wide[i] & 0xFF) - (got[i] & 0xFF));
      }
      assertThat(difference / wide.length).isLessThan(12);
      assertThat(read.encodedImage(2)).isEqualTo(Files.readAllBytes(images.resolve("002.png")));
    }
  }

  /** Puts in the place of a caption's last word the one that follows it in all captions' order. */
  private static final class NextWord implements TextEditor {
    private final TreeSet<String> words = new TreeSet<>();
    private String last = "";

    static TextEditor.Factory factory(boolean exactLabels) {
      return new TextEditor.Factory() {
        @Override
        public String identity() {
          return "next word " + exactLabels;
        }

        @Override
        public TextEditor create(Iterable<String> captions) {
          NextWord editor = new NextWord();
          for (String caption : captions) {
            editor.words.addAll(List.of(caption.split(" ", -1)));
            editor.last = caption;
          }
          return editor;
        }
      };
    }

    @Override
    public List<CaptionEdit> edits(String caption) {
      int at = caption.lastIndexOf(' ') + 1;
      String word = caption.substring(at);
      // Also the word that comes last of all: an editor may depend on the captions' order.
      Stream<String> others =
          Stream.of(words.higher(word), last.substring(last.lastIndexOf(' ') + 1));
      return others
          .filter(other -> other != null && !other.equals(word))
          .distinct()
          .map(
              other ->
                  new CaptionEdit(caption.substring(0, at) + other, EditType.NOUN, word, other))
          .toList();
    }

    @Override
    public int[] replaceable(String caption) {
      return new int[0];
    }

    @Override
    public CaptionEdit replace(String caption, int word, String proposal) {
      return null;
    }

    @Override
    public int things(String caption) {
      return 0;
    }
  }

  @Test
  void hardNegativeCaptionsAreTheBytesThatATrainingWouldMake() throws Exception {
    Pictures pictures = new Pictures(images);
    Path red = pictures.draw(1, "png", 8, 8);
    Path blue = pictures.draw(2, "png", 8, 8);
    // More than a task edits, three captions of two pictures each, in an order that is none.
    int distinct = 4 * CaptionEditFile.BLOCK + 100;
    for (int i = 0; i < distinct; i++) {
      int number = i * 7 % distinct;
      pictures.add(2 * number, red, "Number " + number + ", blue!");
      if (number % 1500 == 0) {
        pictures.add(2 * number + 1, blue, "number " + number + " blue");
      }
    }
    pictures.add(-1, blue, "a red one");
    NtaConfig nta = NasConfig.preset("tiny").nta();
    PrepareOptions options =
        options("out").withPairsPerShard(1000).withHardNegativeCaptions(nta, NextWord::factory);
    Prepared prepared = SparkNas.prepare(pictures.paths(spark).repartition(5), options);
    Path kept = Path.of(prepared.captionEdits());
    assertThat(kept).hasParentRaw(work.resolve("out/captions"));
    try (ImageTextDataset read = ImageTextDataset.open(work.resolve("out"), WHITE);
        CaptionTokenizer tokenizer = CaptionTokenizer.ofWords(List.of("red", "blue"), 8)) {
      NegativeTextAugmentation.Preparation made =
          NegativeTextAugmentation.prepare(
                  read,
                  tokenizer,
                  NextWord.factory(nta.exactLabels()),
                  nta,
                  List.of(work.resolve("alone")),
                  1)
              .preparation();
      assertThat(made.fromCache()).isFalse();
      assertThat(made.captions()).isEqualTo(distinct + 1);
      assertThat(made.edits().get(EditType.NOUN)).isGreaterThan(distinct);
      assertThat(kept)
          .hasSameBinaryContentAs(made.cacheFile())
          .hasFileName(made.cacheFile().getFileName().toString());
    }
    // A second call finds them; the folder holds nothing else of theirs.
    long written = Files.getLastModifiedTime(kept).toMillis();
    assertThat(SparkNas.prepare(pictures.paths(spark), options).captionEdits())
        .isEqualTo(kept.toString());
    assertThat(Files.getLastModifiedTime(kept).toMillis()).isEqualTo(written);
    assertThat(work.resolve("out/captions")).isDirectoryContaining("glob:**.edits");
    assertThat(work.resolve("out/_captions")).doesNotExist();
  }

  @Test
  void missingEditorsAreToldBeforeAnythingIsWritten() throws Exception {
    Pictures pictures = Pictures.drawn(images, 3, 8, 8);
    NtaConfig nta = NasConfig.preset("tiny").nta();
    assertThatThrownBy(
            () ->
                SparkNas.prepare(
                    pictures.paths(spark),
                    options("out")
                        .withHardNegativeCaptions(
                            nta, exactLabels -> TextEditor.factory("tlh", exactLabels))))
        .hasMessageContaining("add org.nasvlp:nas-text-tlh");
    assertThat(work.resolve("out")).doesNotExist();
  }

  private Pictures withBadRows() throws IOException {
    Pictures pictures = Pictures.drawn(images, 5, 8, 8);
    pictures.add(20, images.resolve("missing.png"), "not there");
    pictures.add(21, images, "a folder");
    pictures.add(22, null, "no image");
    Path cut = images.resolve("cut.png");
    Files.write(cut, java.util.Arrays.copyOf(Files.readAllBytes(images.resolve("000.png")), 60));
    pictures.add(23, cut, "cut short");
    pictures.add(24, images.resolve("001.jpg"), " \t");
    pictures.add(25, images.resolve("001.jpg"), null);
    pictures.add(null, images.resolve("001.jpg"), "no id");
    // A copy under another name, with the caption of the picture that it is a copy of.
    Path copy = Files.copy(images.resolve("003.png"), images.resolve("copy.png"));
    pictures.add(26, copy, "picture number 3");
    pictures.add(27, copy, "picture  number 3");
    return pictures;
  }

  @Test
  void refusedRowsAreCountedAndNamed() throws Exception {
    Prepared prepared = prepare(withBadRows(), options("out"));
    assertThat(prepared.rows()).isEqualTo(14);
    assertThat(prepared.pairs()).isEqualTo(5);
    assertThat(prepared.refused()).isEqualTo(9);
    JsonNode refused = json(work.resolve("out/manifest.json")).get("refused");
    Map<String, Integer> kinds = new TreeMap<>();
    refused.get("kinds").properties().forEach(e -> kinds.put(e.getKey(), e.getValue().asInt()));
    assertThat(kinds)
        .isEqualTo(
            Map.of(
                "image unreadable", 3,
                "image undecodable", 1,
                "caption unusable", 2,
                "no id", 1,
                "duplicate", 2));
    List<String> named = new ArrayList<>();
    refused
        .get("first")
        .forEach(
            row -> named.add(row.get("name").asString() + ": " + row.get("reason").asString()));
    assertThat(named)
        .containsExactly(
            images.resolve("001.jpg") + ": there is none",
            "20: the image file does not exist",
            "21: is not an image file but a folder or the like",
            "22: there is none",
            "23: PNG cut short inside its chunk IDAT",
            "24: the caption is empty",
            "25: there is none",
            "26: the same image and caption as 3",
            "27: the same image and caption as 3");
  }

  @Test
  void theFirstHundredRefusedRowsAreNamed() throws Exception {
    Pictures pictures = Pictures.drawn(images, 1, 8, 8);
    for (int i = 0; i < 130; i++) {
      pictures.add(1000 + i, null, "no image");
    }
    prepare(pictures, options("out"));
    JsonNode refused = json(work.resolve("out/manifest.json")).get("refused");
    assertThat(refused.get("kinds").get("image unreadable").asInt()).isEqualTo(130);
    assertThat(refused.get("first")).hasSize(100);
    assertThat(refused.get("first").get(0).get("name").asString()).isEqualTo("1000");
    assertThat(refused.get("first").get(99).get("name").asString()).isEqualTo("1099");
  }

  /** However the rows are spread, and whether files are read by the executors or come as bytes. */
  @Test
  void theSameRowsGiveTheSameBytes() throws Exception {
    Dataset<Row> rows = withBadRows().paths(spark);
    SparkNas.prepare(rows.repartition(1), options("one").withShorterSide(5));
    spark.conf().set("spark.sql.shuffle.partitions", "7");
    SparkNas.prepare(
        rows.orderBy(functions.desc("caption")).repartition(5), options("five").withShorterSide(5));
    spark.conf().set("spark.sql.shuffle.partitions", "3");
    Map<String, byte[]> one = LocalSpark.files(work.resolve("one"));
    assertThat(one.keySet())
        .containsExactly(
            "_parts/pairs-000000.tar.json",
            "_parts/pairs-000001.tar.json",
            "manifest.json",
            "pairs-000000.tar",
            "pairs-000001.tar");
    assertSame(LocalSpark.files(work.resolve("five")), one);

    Pictures pictures = Pictures.drawn(images, 5, 8, 8);
    SparkNas.prepare(pictures.bytes(spark), options("bytes").withShorterSide(5));
    Map<String, byte[]> bytes = LocalSpark.files(work.resolve("bytes"));
    assertThat(bytes.get("pairs-000000.tar")).isEqualTo(one.get("pairs-000000.tar"));
    assertThat(bytes.get("pairs-000001.tar")).isEqualTo(one.get("pairs-000001.tar"));
  }

  private static void assertSame(Map<String, byte[]> got, Map<String, byte[]> wanted) {
    assertThat(got.keySet()).isEqualTo(wanted.keySet());
    wanted.forEach((name, bytes) -> assertThat(got.get(name)).as(name).isEqualTo(bytes));
  }

  @Test
  void withoutIdsTheOrderIsThatOfTheFilesDigests() throws Exception {
    Pictures pictures = Pictures.drawn(images, 9, 8, 8);
    SparkNas.prepare(
        pictures.bytes(spark).drop("id"), PrepareOptions.to(work.resolve("out").toString()));
    Map<String, String> captions = new TreeMap<>();
    for (int id = 0; id < 9; id++) {
      Path file = images.resolve("%03d.%s".formatted(id, List.of("png", "jpg", "gif").get(id % 3)));
      captions.put(sha256(Files.readAllBytes(file)), "picture number " + id);
    }
    try (ImageTextDataset read = ImageTextDataset.open(work.resolve("out"), WHITE)) {
      List<String> order = new ArrayList<>();
      for (int i = 0; i < read.size(); i++) {
        order.add(read.caption(i).caption());
      }
      assertThat(order).containsExactlyElementsOf(captions.values());
    }
  }

  private static String sha256(byte[] bytes) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }

  @Test
  void theManifestTellsShardsAndCaptions() throws Exception {
    Pictures pictures = new Pictures(images);
    Path first = pictures.draw(0, "png", 8, 8);
    Path second = pictures.draw(1, "png", 8, 8);
    pictures.add(1, first, "a b c");
    pictures.add(2, first, "é");
    pictures.add(3, second, "a b c");
    pictures.add(4, second, "a b c d e f");
    pictures.add(5, second, "x y");
    prepare(pictures, options("out").withShorterSide(6));
    JsonNode manifest = json(work.resolve("out/manifest.json"));
    JsonNode shards = manifest.get("shards");
    long bytes = 0;
    for (int i = 0; i < 2; i++) {
      byte[] file = Files.readAllBytes(work.resolve("out/pairs-00000" + i + ".tar"));
      bytes += file.length;
      assertThat(shards.get(i).get("name").asString()).isEqualTo("pairs-00000" + i + ".tar");
      assertThat(shards.get(i).get("pairs").asInt()).isEqualTo(i == 0 ? 4 : 1);
      assertThat(shards.get(i).get("bytes").asLong()).isEqualTo(file.length);
      assertThat(shards.get(i).get("sha256").asString()).isEqualTo(sha256(file));
    }
    assertThat(shards).hasSize(2);
    assertThat(manifest.get("totals").toString())
        .isEqualTo(
            "{\"rows\":5,\"pairs\":5,\"images\":2,\"refused\":0,\"shards\":2,\"bytes\":"
                + bytes
                + "}");
    JsonNode captions = manifest.get("captions");
    assertThat(captions.get("distinct").asInt()).isEqualTo(4);
    // 1, 2, 3, 3, 6 words; 1, 3, 5, 5, 11 characters.
    assertThat(captions.get("words").toString())
        .isEqualTo("{\"least\":1,\"median\":3,\"mean\":3.0,\"quantile95\":6,\"most\":6}");
    assertThat(captions.get("characters").get("least").asInt()).isEqualTo(1);
    assertThat(captions.get("characters").get("mean").asDouble()).isCloseTo(5, within(1e-12));
    assertThat(captions.get("characters").get("most").asInt()).isEqualTo(11);
  }

  private Object fileKey(String shard) throws IOException {
    return Files.readAttributes(work.resolve("out").resolve(shard), BasicFileAttributes.class)
        .fileKey();
  }

  @Test
  void aBrokenOffPreparationIsTakenUp() throws Exception {
    Pictures pictures = Pictures.drawn(images, 18, 8, 8);
    assertThat(prepare(pictures, options("out")).written()).isEqualTo(5);
    Map<String, byte[]> whole = LocalSpark.files(work.resolve("out"));
    assertThat(prepare(pictures, options("out")).written()).isZero();
    assertSame(LocalSpark.files(work.resolve("out")), whole);

    // As after a crash: no manifest, a shard without its mark, one without its file, one cut short,
    // and a file that nobody finished.
    Path out = work.resolve("out");
    Files.delete(out.resolve("manifest.json"));
    Files.delete(out.resolve("pairs-000001.tar"));
    Files.delete(out.resolve("_parts/pairs-000001.tar.json"));
    Files.delete(out.resolve("pairs-000002.tar"));
    Path cut = out.resolve("pairs-000003.tar");
    Files.write(cut, java.util.Arrays.copyOf(Files.readAllBytes(cut), 700));
    Files.writeString(out.resolve("_parts/pairs-000001.tar.left.tmp"), "half");
    Object kept = fileKey("pairs-000000.tar");
    Object last = fileKey("pairs-000004.tar");
    assertThat(prepare(pictures, options("out")).written()).isEqualTo(3);
    assertSame(LocalSpark.files(out), whole);
    assertThat(fileKey("pairs-000000.tar")).isEqualTo(kept);
    assertThat(fileKey("pairs-000004.tar")).isEqualTo(last);
  }

  @Test
  void otherPairsDoNotMixWithThoseThere() throws Exception {
    Pictures pictures = Pictures.drawn(images, 18, 8, 8);
    prepare(pictures, options("out"));
    Pictures fewer = new Pictures(images);
    for (int id = 0; id < 6; id++) {
      fewer.add(
          id,
          images.resolve("%03d.%s".formatted(id, List.of("png", "jpg", "gif").get(id % 3))),
          "other caption");
    }
    assertThatThrownBy(() -> prepare(fewer, options("out")))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("manifest.json is of other pairs or options; remove");
    assertThatThrownBy(() -> prepare(pictures, options("out").withShorterSide(4)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("other pairs or options");

    // Unfinished, what is there counts for nothing.
    Files.delete(work.resolve("out/manifest.json"));
    assertThat(prepare(fewer, options("out")).written()).isEqualTo(2);
    prepare(fewer, options("alone"));
    assertSame(LocalSpark.files(work.resolve("out")), LocalSpark.files(work.resolve("alone")));
  }

  @Test
  void shardsOfOthersAreRefused() throws Exception {
    Files.createDirectories(work.resolve("out"));
    Files.writeString(work.resolve("out/train.tar"), "");
    Pictures pictures = Pictures.drawn(images, 3, 8, 8);
    assertThatThrownBy(() -> prepare(pictures, options("out")))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("out/train.tar was not made here; remove it");
  }

  @Test
  void wrongInputIsNamed() throws Exception {
    Pictures nothing = new Pictures(images);
    assertThatThrownBy(() -> prepare(nothing, options("out")))
        .isInstanceOf(IOException.class)
        .hasMessage("there is no row");
    nothing.add(4, images.resolve("gone.png"), "gone");
    assertThatThrownBy(() -> prepare(nothing, options("out")))
        .isInstanceOf(IOException.class)
        .hasMessage("no row can be used\n  4: the image file does not exist");
    assertThatThrownBy(() -> prepare(nothing, options("out").withColumns("picture", "caption")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("there is no column picture; the columns are id, image, caption");
    assertThatThrownBy(() -> prepare(nothing, options("out").withColumns("id", "caption")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("column id is of bigint; it must be of string or binary");
    assertThatThrownBy(() -> options("out").withPairsPerShard(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("pairsPerShard is 0: it must be 1 to 10,000,000");
  }
}
