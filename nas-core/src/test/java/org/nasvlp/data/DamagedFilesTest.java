package org.nasvlp.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.image.WebpTest;
import org.nasvlp.eval.BenchmarkFormat;
import org.nasvlp.eval.ItemScores;
import org.nasvlp.eval.PublishedBenchmark;

/**
 * Files damaged at random: every reader reads them or says what is wrong with a checked exception
 * that names the file, and it does so soon.
 */
class DamagedFilesTest {
  private static final Duration LONGEST = Duration.ofSeconds(20);
  private static final String LOSSY_WEBP =
      "UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoBAAEAAgA0JaQAA3AA/vuUAAA=";
  private static final String WEBP_WITH_ALPHA =
      "UklGRkoAAABXRUJQVlA4WAoAAAAQAAAAAAAAAAAAQUxQSAwAAAARBxAR/Q9ERP8DAABWUDggGAAAABQBAJ0BKgEAAQAAAP4A"
          + "AA3AAP7mtQAAAA==";

  @TempDir private Path folder;
  private final Map<String, byte[]> files = new LinkedHashMap<>();

  @BeforeEach
  void wholeFiles() throws IOException {
    BufferedImage colour = Fixtures.pattern(37, 23, BufferedImage.TYPE_INT_RGB);
    files.put("png", Fixtures.encode(colour, "png"));
    files.put("jpeg", Fixtures.encode(colour, "jpg"));
    files.put(
        "gif", Fixtures.encode(Fixtures.pattern(37, 23, BufferedImage.TYPE_BYTE_INDEXED), "gif"));
    files.put("bmp", Fixtures.encode(colour, "bmp"));
    files.put("webp", Base64.getDecoder().decode(LOSSY_WEBP));
    files.put("webp-alpha", Base64.getDecoder().decode(WEBP_WITH_ALPHA));
    files.put("webp-lossless", WebpTest.losslessFile(37, 23));
    Files.write(folder.resolve("a.png"), Fixtures.png(0x112233));
  }

  private static byte[] damaged(byte[] whole, SplittableRandom random) {
    byte[] bytes = whole.clone();
    int wounds = 1 + random.nextInt(3);
    for (int i = 0; i < wounds && bytes.length > 1; i++) {
      int at = random.nextInt(bytes.length);
      int length = 1 + random.nextInt(Math.min(64, bytes.length - at));
      switch (random.nextInt(7)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) random.nextInt(256);
        case 2 -> bytes = Arrays.copyOf(bytes, at);
        case 3 -> Arrays.fill(bytes, at, at + length, (byte) (random.nextInt(2) * 0xFF));
        case 4 -> bytes = join(bytes, at, bytes, at + length);
        case 5 -> bytes = join(bytes, at + length, bytes, at);
        default -> {
          int[] odd = {0, -1, 1, 0x7F, 0x80, 0xFF, '"', '{', '[', '\\', ',', '\n'};
          bytes[at] = (byte) odd[random.nextInt(odd.length)];
        }
      }
    }
    return bytes;
  }

  /** The first bytes of one file and the last of another. */
  private static byte[] join(byte[] head, int upTo, byte[] tail, int from) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(head, 0, upTo);
    out.write(tail, from, tail.length - from);
    return out.toByteArray();
  }

  private interface Reading {
    void of(Path file) throws Exception;
  }

  /** Reads many damaged versions of a file; gives how many could still be read. */
  private int read(byte[] whole, String name, int times, Reading reading) throws IOException {
    Path file = folder.resolve(name);
    int fine = 0;
    for (int i = 0; i < times; i++) {
      byte[] bytes = damaged(whole, new SplittableRandom(i));
      Files.write(file, bytes);
      boolean[] whether = {false};
      int seed = i;
      assertTimeoutPreemptively(
          LONGEST,
          () -> {
            try {
              reading.of(file);
              whether[0] = true;
            } catch (IOException | BadSampleException e) {
              assertThat(e.getMessage()).as("seed %d", seed).contains(name);
            }
          },
          () -> name + ", seed " + seed);
      fine += whether[0] ? 1 : 0;
    }
    return fine;
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "jpeg", "gif", "bmp", "webp", "webp-alpha", "webp-lossless"})
  void images(String format) throws IOException {
    byte[] whole = files.get(format);
    int fine =
        read(
            whole,
            "picture." + format,
            400,
            file -> {
              RgbImage image = RgbImage.decode(Files.readAllBytes(file), file.toString(), 0);
              assertThat(image.rgb()).hasSize(3 * image.width() * image.height());
            });
    System.out.printf("%s: %d of 400 damaged files still decode%n", format, fine);
  }

  /** Past the checksums, which stop nearly all damage to PNG files. */
  @Test
  void pngPixels() throws IOException {
    byte[] png = files.get("png");
    String text = new String(png, StandardCharsets.ISO_8859_1);
    int at = text.indexOf("IDAT") + 4;
    byte[] pixels = Arrays.copyOfRange(png, at, text.indexOf("IEND") - 8);
    for (int colours : new int[] {2, 0, 4, 6}) {
      read(
          pixels,
          "pixels.png",
          100,
          file ->
              RgbImage.decode(
                  Fixtures.pngOf(
                      "IHDR",
                      Fixtures.header(37, 23, 8, colours),
                      "IDAT",
                      Files.readAllBytes(file),
                      "IEND",
                      new byte[0]),
                  file.toString(),
                  0));
    }
  }

  private static void readAll(Path file) throws IOException {
    try (ImageTextDataset dataset = ImageTextDataset.open(file, 0)) {
      for (long i = 0; i < dataset.size(); i++) {
        try {
          ImageTextPair pair = dataset.get(i);
          assertThat(dataset.caption(i).caption()).isEqualTo(pair.caption());
        } catch (BadSampleException e) {
          assertThat(e.getMessage()).contains(file.getFileName().toString());
        }
      }
    }
  }

  @Test
  void shards() throws IOException {
    Fixtures.Tar tar = new Fixtures.Tar();
    for (int i = 0; i < 3; i++) {
      tar.add("k" + i + ".png", Fixtures.png(i));
      tar.add("k" + i + ".txt", Fixtures.utf8("a caption"));
      tar.add("k" + i + ".json", Fixtures.utf8("{\"image_id\": " + i + "}"));
    }
    read(tar.bytes(), "shard.tar", 500, DamagedFilesTest::readAll);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "list.json|[{\"image\": \"a.png\", \"caption\": [\"one\", \"two\"], \"image_id\": 4},"
            + " {\"image\": \"a.png\", \"caption\": \"three\"}]",
        "list.jsonl|{\"image\": \"a.png\", \"caption\": \"one\"}\n{\"image\": \"a.png\","
            + " \"caption\": \"two\"}\n",
        "coco.json|{\"images\": [{\"id\": 1, \"file_name\": \"a.png\"}], \"annotations\":"
            + " [{\"image_id\": 1, \"caption\": \"one\"}]}",
        "split.json|{\"images\": [{\"filename\": \"a.png\", \"split\": \"train\", \"imgid\": 3,"
            + " \"sentences\": [{\"raw\": \"one\"}]}]}",
        "mix.json|{\"sources\": [{\"path\": \"good.csv\", \"weight\": 2}]}",
        "table.csv|image,caption\na.png,\"one, \"\"two\"\"\"\na.png,three\n",
        "table.tsv|image\tcaption\na.png\tone\na.png\ttwo\n"
      })
  void lists(String form) throws IOException {
    Files.writeString(folder.resolve("good.csv"), "image,caption\na.png,one\n");
    int bar = form.indexOf('|');
    byte[] whole = form.substring(bar + 1).getBytes(StandardCharsets.UTF_8);
    read(whole, form.substring(0, bar), 300, DamagedFilesTest::readAll);
  }

  @Test
  void weights() throws IOException {
    Path file = folder.resolve("whole.safetensors");
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = arena.allocate(24);
      Safetensors.write(
          file,
          Map.of(
              "layer.weight", new Safetensors.Entry(Safetensors.Type.F32, new long[] {2, 3}, data),
              "layer.bias",
                  new Safetensors.Entry(Safetensors.Type.F16, new long[] {3}, data.asSlice(0, 6))),
          Map.of("format", "pt"));
    }
    read(
        Files.readAllBytes(file),
        "weights.safetensors",
        600,
        damaged -> {
          try (Arena arena = Arena.ofConfined()) {
            for (Safetensors.Entry entry : Safetensors.read(damaged, arena).values()) {
              assertThat(entry.data().toArray(ValueLayout.JAVA_BYTE)).isNotNull();
            }
          }
        });
  }

  @ParameterizedTest
  @EnumSource(BenchmarkFormat.class)
  void benchmarks(BenchmarkFormat format) throws IOException {
    String text =
        switch (format) {
          case ARO_RELATION, ARO_ATTRIBUTION ->
              "[{\"image_path\": \"a.png\", \"bbox_x\": 0, \"bbox_y\": 0, \"bbox_w\": 4,"
                  + " \"bbox_h\": 4, \"true_caption\": \"a on b\", \"false_caption\": \"b on a\","
                  + " \"relation_name\": \"on\", \"attributes\": [\"red\", \"wet\"]}]";
          case COCO_ORDER, FLICKR30K_ORDER ->
              "[{\"image\": \"a.png\", \"caption\": [\"a red dog runs on green grass today\"]}]";
          case WINOGROUND ->
              "{\"id\": 1, \"image_0\": \"a\", \"image_1\": \"b\", \"caption_0\": \"x y\","
                  + " \"caption_1\": \"y x\", \"collapsed_tag\": \"Object\"}\n";
          case VALSE ->
              "{\"1\": {\"image_file\": \"a.png\", \"caption\": \"x\", \"foil\": \"y\","
                  + " \"linguistic_phenomena\": \"counting\", \"mturk\": {\"caption\": 3}}}";
          case SUGARCREPE ->
              "{\"1\": {\"filename\": \"a.png\", \"caption\": \"x\", \"negative_caption\": \"y\"}}";
          case SVO_PROBES ->
              "sentence,pos_triplet,neg_triplet,pos_image_id,neg_image_id,subj_neg,verb_neg,obj_neg\n"
                  + "A man rides.,\"a,b,c\",\"a,d,c\",1,2,False,True,False\n";
          case SUGARCREPE_PP ->
              "[{\"id\": 1, \"filename\": \"a.png\", \"caption\": \"x\", \"caption2\": \"y\","
                  + " \"negative_caption\": \"z\"}]";
          case COLA -> "[[\"http://h/a.png\", \"x\", \"http://h/b.png\", \"y\"]]";
          case COMVG ->
              "id,sentence,pos_image_id,neg_image_id,neg_value\n1,\"A man, old.\",1,2,subject\n";
          case WHATS_UP ->
              "[{\"image_path\": \"a.png\", \"caption_options\": [\"x on y\", \"x by y\"]}]";
          case COLORSWAP ->
              "[{\"id\": 1, \"image_1\": \"a.png\", \"image_2\": \"b.png\", \"caption_1\": \"x\","
                  + " \"caption_2\": \"y\"}]";
          case MMVP_VLM -> "Question ID,Type,Statement\n1,Texts,\"a, b\"\n2,Texts,c\n";
          case NEGBENCH ->
              "image_path,correct_answer,caption_0,caption_1,correct_answer_template\n"
                  + "a.png,1,\"no x, y\",x,positive\n";
          case CREPE ->
              "image_id,caption,hard_negs,x,y,width,height\n1,a,\"['b', \"\"c\"\"]\",0,0,4,4\n";
          case BIVLC ->
              "[{\"image\": \"a.png\", \"caption\": \"x\", \"negative_image\": \"b.png\","
                  + " \"negative_caption\": \"y\", \"type\": \"swap\"}]";
          case COUNTBENCH ->
              "[{\"image_url\": \"http://h/a.png\", \"text\": \"two cups\", \"number\": 2}]";
          case VSR ->
              "{\"image\": \"a.png\", \"caption\": \"x\", \"label\": 1, \"relation\": \"on\"}\n";
          case VL_CHECKLIST -> "[[\"a.png\", {\"POS\": [\"x\"], \"NEG\": [\"y\"]}]]";
        };
    read(
        text.getBytes(StandardCharsets.UTF_8),
        "benchmark.json",
        150,
        file -> assertThat(PublishedBenchmark.read(format, file).items()).isNotEmpty());
  }

  @Test
  void scores() throws IOException {
    String text =
        "{\"id\": \"1\", \"itc\": [[0.5, 0.25]], \"itm\": [[2, -1]]}\n"
            + "{\"id\": 7, \"c0_i0\": 1, \"c0_i1\": 2, \"c1_i0\": 3, \"c1_i1\": 4}\n";
    read(
        text.getBytes(StandardCharsets.UTF_8),
        "scores.jsonl",
        500,
        file -> assertThat(ItemScores.read(file).byItem()).isNotEmpty());
  }
}
