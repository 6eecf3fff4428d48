package org.nasvlp.fuzz;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.zip.CRC32;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.FileSums;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.checkpoint.TorchFile;
import org.nasvlp.checkpoint.TorchFiles;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.Fixtures;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.image.WebpTest;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.eval.BenchmarkFormat;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.eval.ItemScores;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.model.NasModel;
import org.nasvlp.train.Shapes;

/**
 * Each reader of the library as a function of bytes, for a fuzzer ({@code tools/fuzz}) and for the
 * cases that it has found. A reader reads, or says what is wrong with which file; anything else is
 * a defect.
 */
public final class Readers {
  /** The readers. */
  public enum Reader {
    PNG("picture.png"),
    JPEG("picture.jpg"),
    GIF("picture.gif"),
    BMP("picture.bmp"),
    WEBP("picture.webp"),
    TAR("shard.tar"),
    TAR_GZ("shard.tar.gz"),
    JSON_LIST("list.json"),
    JSON_LINES("list.jsonl"),
    CSV("list.csv"),
    TSV("list.tsv"),
    CONFIG_JSON("config.json"),
    CONFIG_YAML("config.yaml"),
    TOKENIZER("tokenizer.json"),
    SAFETENSORS("weights.safetensors"),
    TORCH_ZIP("weights.pth"),
    /** What {@link #TORCH_ZIP} has for data.pkl; records and checksums are right. */
    TORCH_PICKLE("weights.bin"),
    /** The first byte chooses the file of a checkpoint that the others replace. */
    CHECKPOINT("checkpoint"),
    PAIRS("pairs.json"),
    SCORES("scores.jsonl"),
    ARO_RELATION("relation.json"),
    ARO_ATTRIBUTION("attribution.json"),
    COCO_ORDER("order.json"),
    FLICKR30K_ORDER("flickr.json"),
    WINOGROUND("examples.jsonl"),
    VALSE("valse.json"),
    SUGARCREPE("crepe.json"),
    SVO_PROBES("svo.csv"),
    VL_CHECKLIST("checklist.json"),
    SUGARCREPE_PP("plus.json"),
    COLA("cola.json"),
    COMVG("comvg.csv"),
    WHATS_UP("whatsup.json"),
    COLORSWAP("colorswap.json"),
    MMVP_VLM("Questions.csv"),
    NEGBENCH("negbench.csv"),
    CREPE("systematicity.csv"),
    BIVLC("bivlc.json"),
    COUNTBENCH("count.json"),
    VSR("vsr.jsonl");

    private final String file;

    Reader(String file) {
      this.file = file;
    }

    /** The name under which seeds and found cases are kept. */
    public String id() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  private static final List<String> CHECKPOINT_FILES =
      List.of("model.safetensors", "dictionary.safetensors", "tokenizer.json");

  private static @Nullable Path folder;
  private static @Nullable Reader reader;

  private Readers() {}

  /** What Jazzer calls first: makes the files, and loads classes before inputs are timed. */
  public static void fuzzerInitialize() throws IOException {
    reader = Reader.valueOf(System.getProperty("reader"));
    for (byte[] seed : seeds(reader)) {
      read(reader, seed);
    }
  }

  /** What Jazzer calls with an input: the reader that the system property {@code reader} names. */
  public static void fuzzerTestOneInput(byte[] data) {
    read(Objects.requireNonNull(reader), data);
  }

  /**
   * Reads.
   *
   * @throws AssertionError if the reader ends in any other way than it promises
   */
  public static synchronized void read(Reader reader, byte[] data) {
    Path place = place();
    Path file = place.resolve(reader.file);
    try {
      switch (reader) {
        case PNG -> decode(file, withSums(data));
        case JPEG, GIF, BMP, WEBP -> decode(file, data);
        case TAR -> pairs(Files.write(file, withChecksums(data)));
        case TAR_GZ -> pairs(Files.write(file, gzip(withChecksums(data))));
        case JSON_LIST, JSON_LINES, CSV, TSV -> pairs(Files.write(file, data));
        case CONFIG_JSON -> configured(() -> NasConfig.fromJson(utf8(data), file.toString()));
        case CONFIG_YAML -> configured(() -> NasConfig.load(Files.write(file, data)));
        case TOKENIZER -> tokenizer(Files.write(file, data));
        case SAFETENSORS -> {
          try (Arena arena = Arena.ofConfined()) {
            Safetensors.read(Files.write(file, data), arena);
          }
        }
        case TORCH_ZIP -> torch(Files.write(file, data));
        case TORCH_PICKLE ->
            torch(Files.write(file, TorchFiles.zip("a", data, Map.of("data/0", new byte[64]))));
        case CHECKPOINT -> checkpoint(place, data);
        case PAIRS -> {
          try (ImageTextDataset test =
              ImageTextDataset.open(place.resolve("test.tar"), Fixtures.WHITE)) {
            FineGrainedBenchmark.load(Files.write(file, data), test);
          }
        }
        case SCORES -> ItemScores.read(Files.write(file, data));
        default ->
            PublishedBenchmark.read(
                BenchmarkFormat.valueOf(reader.name()), Files.write(file, data));
      }
    } catch (IOException | BadSampleException e) {
      // The file's own name: which one of many is bad has to be told.
      String name =
          reader == Reader.CHECKPOINT
              ? CHECKPOINT_FILES.get(Math.floorMod(data[0], CHECKPOINT_FILES.size()))
              : reader.file;
      String message = String.valueOf(e.getMessage());
      if (!message.contains(name) && !message.contains("checkpoint")) {
        throw new AssertionError("the message does not name " + name + ": " + message, e);
      }
    } catch (RuntimeException | Error e) {
      if (e instanceof AssertionError) {
        throw e;
      }
      throw new AssertionError("a reader may not end so: " + e, e);
    }
  }

  private static void decode(Path file, byte[] data) throws BadSampleException {
    RgbImage image = RgbImage.decode(data, file.toString(), Fixtures.WHITE);
    if (image.rgb().length != 3L * image.width() * image.height()) {
      throw new AssertionError("the pixels are not those of the size");
    }
  }

  private static void pairs(Path file) throws IOException, BadSampleException {
    try (ImageTextDataset pairs = ImageTextDataset.open(file, Fixtures.WHITE)) {
      @Nullable BadSampleException last = null;
      for (long i = 0; i < Math.min(pairs.size(), 50); i++) {
        try {
          if (pairs.get(i).caption().isBlank()) {
            throw new AssertionError("an empty caption is no caption");
          }
          pairs.caption(i);
        } catch (BadSampleException e) {
          last = e;
        }
      }
      if (last != null) {
        throw last;
      }
    }
  }

  private interface Loading {
    NasConfig load() throws IOException;
  }

  /** What a configuration can't be told by is its name: it throws arguments' exceptions. */
  private static void configured(Loading loading) throws IOException {
    NasConfig config;
    try {
      config = loading.load();
    } catch (IllegalArgumentException e) {
      throw new IOException(e.getMessage(), e);
    }
    if (!NasConfig.fromJson(config.toJson(), "again").equals(config)) {
      throw new AssertionError("the configuration is not what it writes");
    }
  }

  private static void tokenizer(Path file) throws IOException {
    try (CaptionTokenizer tokenizer = CaptionTokenizer.load(file, 8)) {
      tokenizer.encode(List.of("a red dog", "a BLUE, dög…"));
    }
  }

  private static void torch(Path file) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      TorchFile.open(file, arena)
          .tensors()
          .forEach(
              (name, tensor) -> {
                // Every byte is in memory that may be read.
                byte[] bytes = tensor.data().toArray(ValueLayout.JAVA_BYTE);
                if (bytes.length != tensor.data().byteSize()) {
                  throw new AssertionError(name + " has other elements than it says");
                }
              });
    }
  }

  private static void checkpoint(Path place, byte[] data) throws IOException {
    if (data.length == 0) {
      return;
    }
    Path whole = place.resolve("whole");
    Path checkpoint = Files.createDirectories(place.resolve("checkpoint"));
    Files.deleteIfExists(checkpoint.resolve(FileSums.NAME));
    String replaced = CHECKPOINT_FILES.get(Math.floorMod(data[0], CHECKPOINT_FILES.size()));
    try (var files = Files.list(whole)) {
      for (Path file : files.toList()) {
        String name = file.getFileName().toString();
        if (name.equals(FileSums.NAME)) {
          continue;
        }
        Files.write(
            checkpoint.resolve(name),
            name.equals(replaced)
                ? Arrays.copyOfRange(data, 1, data.length)
                : Files.readAllBytes(file));
        FileSums.add(checkpoint, List.of(name));
      }
    }
    NasModel.load(checkpoint).close();
  }

  /** A folder with the files that readers need besides; made once. */
  private static Path place() {
    if (folder != null) {
      return folder;
    }
    try {
      Path memory = Path.of("/dev/shm");
      Path made =
          Files.isWritable(memory)
              ? Files.createTempDirectory(memory, "nas-fuzz")
              : Files.createTempDirectory("nas-fuzz");
      Runtime.getRuntime().addShutdownHook(new Thread(() -> delete(made)));
      Files.write(made.resolve("a.png"), Fixtures.png(0x112233));
      Files.write(made.resolve("b.png"), Fixtures.png(0x332211));
      new Fixtures.Tar()
          .pair("a", 0x112233, "a red dog")
          .pair("b", 0x332211, "a blue dog")
          .write(made.resolve("test.tar"));
      Path whole = Files.createDirectory(made.resolve("whole"));
      try (CaptionTokenizer tokenizer = Shapes.tokenizer(made, 8);
          NasModel model = NasModel.create(Shapes.config(1), tokenizer)) {
        float[] tokens =
            new float[4 * model.config().dictionary().codewords() * model.config().model().width()];
        for (int i = 0; i < tokens.length; i++) {
          tokens[i] = (float) Math.sin(0.7 * i);
        }
        model.startDictionary(tokens);
        model.write(whole);
      }
      folder = made;
      return made;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void delete(Path folder) {
    try (var all = Files.walk(folder)) {
      for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String utf8(byte[] data) {
    return new String(data, StandardCharsets.UTF_8);
  }

  private static byte[] gzip(byte[] data) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(data);
    }
    return out.toByteArray();
  }

  /** With right sums of all chunks, which no mutation would find. */
  static byte[] withSums(byte[] png) {
    byte[] fixed = png.clone();
    ByteBuffer buffer = ByteBuffer.wrap(fixed);
    int at = 8;
    while (at + 12 <= fixed.length) {
      long length = Integer.toUnsignedLong(buffer.getInt(at));
      if (length > fixed.length - at - 12) {
        break;
      }
      CRC32 crc = new CRC32();
      crc.update(fixed, at + 4, (int) length + 4);
      buffer.putInt(at + 8 + (int) length, (int) crc.getValue());
      at += 12 + (int) length;
    }
    return fixed;
  }

  /** With right sums of all blocks that look like headers. */
  static byte[] withChecksums(byte[] tar) {
    byte[] fixed = tar.clone();
    for (int at = 0; at + 512 <= fixed.length; at += 512) {
      if (!"ustar".equals(new String(fixed, at + 257, 5, StandardCharsets.ISO_8859_1))) {
        continue;
      }
      Arrays.fill(fixed, at + 148, at + 156, (byte) ' ');
      int sum = 0;
      for (int i = at; i < at + 512; i++) {
        sum += Byte.toUnsignedInt(fixed[i]);
      }
      byte[] digits = "%06o\0 ".formatted(sum).getBytes(StandardCharsets.ISO_8859_1);
      System.arraycopy(digits, 0, fixed, at + 148, 8);
    }
    return fixed;
  }

  /** Whole files of a reader, from which a fuzzer begins. */
  public static List<byte[]> seeds(Reader reader) throws IOException {
    BufferedImage colour = Fixtures.pattern(9, 7, BufferedImage.TYPE_INT_RGB);
    return switch (reader) {
      case PNG ->
          List.of(
              Fixtures.encode(colour, "png"),
              Fixtures.encode(Fixtures.pattern(9, 7, BufferedImage.TYPE_BYTE_INDEXED), "png"),
              Fixtures.encode(Fixtures.pattern(9, 7, BufferedImage.TYPE_INT_ARGB), "png"),
              Fixtures.encode(Fixtures.pattern(9, 7, BufferedImage.TYPE_USHORT_GRAY), "png"));
      case JPEG ->
          List.of(
              Fixtures.encode(colour, "jpg"),
              Fixtures.encode(Fixtures.pattern(9, 7, BufferedImage.TYPE_BYTE_GRAY), "jpg"));
      case GIF ->
          List.of(Fixtures.encode(Fixtures.pattern(9, 7, BufferedImage.TYPE_BYTE_INDEXED), "gif"));
      case BMP ->
          List.of(
              Fixtures.encode(colour, "bmp"),
              Fixtures.encode(Fixtures.pattern(9, 7, BufferedImage.TYPE_BYTE_INDEXED), "bmp"));
      case WEBP ->
          List.of(
              WebpTest.losslessFile(9, 7),
              Base64.getDecoder()
                  .decode("UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoBAAEAAgA0JaQAA3AA/vuUAAA="),
              Base64.getDecoder()
                  .decode(
                      "UklGRkoAAABXRUJQVlA4WAoAAAAQAAAAAAAAAAAAQUxQSAwAAAARBxAR/Q9ERP8DAABWUDggGAAA"
                          + "ABQBAJ0BKgEAAQAAAP4AAA3AAP7mtQAAAA=="));
      case TAR, TAR_GZ ->
          List.of(
              new Fixtures.Tar()
                  .pair("a", 0x112233, "a red dog")
                  .add("b.png", Fixtures.png(7))
                  .add("b.json", "{\"caption\": \"a dog\", \"image_id\": 7}")
                  .add("b.txt", "a dog")
                  .bytes(),
              new Fixtures.Tar()
                  .pair("k".repeat(120) + "é", 0x112233, "a red dog")
                  .link("c.png", "a.png")
                  .bytes());
      case JSON_LIST ->
          texts(
              "[{\"image\": \"a.png\", \"caption\": [\"a red dog\", \"a dog\"], \"image_id\": 3}]",
              """
              {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1,
              "id": 2, "caption": "a red dog"}]}\
              """,
              """
              {"images": [{"filename": "a.png", "split": "train", "imgid": 1,
              "sentences": [{"raw": "a red dog"}]}], "dataset": "x"}\
              """);
      case JSON_LINES ->
          texts(
              """
              {"image": "a.png", "caption": "a red dog"}
              {"image": "b.png", "caption": ["a blue dog", "b"], "image_id": "b"}
              """);
      case CSV -> texts("image,caption\na.png,\"a \"\"red\"\" dog, big\"\nb.png,a blue dog\n");
      case TSV -> texts("image\tcaption\na.png\ta red dog\nb.png\t\"a blue\tdog\"\n");
      case CONFIG_JSON ->
          texts(NasConfig.preset("tiny").toJson(), "{\"preset\": \"emoji\", \"data\": {}}");
      case CONFIG_YAML ->
          texts(
              """
              preset: tiny
              model: {imageSize: 96, patchSize: 8, stem: CONVOLUTION}
              data:
                batchSize: 32
                background: 0xFFFFFF
              training: {steps: 20000, seed: 7, minutes: 1.5e-3}
              """);
      case TOKENIZER -> List.of(Files.readAllBytes(Fixtures.tokenizerFile()));
      case SAFETENSORS ->
          List.of(Files.readAllBytes(place().resolve("whole").resolve("dictionary.safetensors")));
      case TORCH_ZIP ->
          List.of(
              resource("/torch/state.pt"),
              TorchFiles.zip("a", torchPickle(), Map.of("data/0", new byte[64])));
      case TORCH_PICKLE -> List.of(torchPickle());
      case CHECKPOINT -> {
        Map<Integer, byte[]> files = new LinkedHashMap<>();
        for (int i = 0; i < CHECKPOINT_FILES.size(); i++) {
          ByteArrayOutputStream out = new ByteArrayOutputStream();
          out.write(i);
          out.writeBytes(
              Files.readAllBytes(place().resolve("whole").resolve(CHECKPOINT_FILES.get(i))));
          files.put(i, out.toByteArray());
        }
        yield List.copyOf(files.values());
      }
      case PAIRS ->
          texts(
              """
              [{"attribute": "colour", "a": {"key": "a", "caption": "a red dog",
              "reworded": "a dog that is red"}, "b": {"key": "b", "caption": "a blue dog"}}]\
              """);
      case SCORES ->
          texts(
              """
              {"id": "1", "scores": {"itc": [[0.5, 0.25]], "itm": [[1, -1]]}}
              {"id": "2", "scores": {"itc": [[0.5, 0.25]], "itm": [[1e3, -1]]}}
              """,
              "{\"label\": 0, \"c0_i0\": 1, \"c0_i1\": 0.5, \"c1_i0\": 2, \"c1_i1\": 3}\n");
      case ARO_RELATION ->
          texts(
              """
              [{"image_id": 1, "image_path": "a.png", "bbox_x": 1, "bbox_y": 2, "bbox_w": 4,
              "bbox_h": 3, "relation_name": "on", "true_caption": "the dog on the mat",
              "false_caption": "the mat on the dog"}]\
              """);
      case ARO_ATTRIBUTION ->
          texts(
              """
              [{"image_id": 1, "image_path": "a.png", "bbox_x": 1, "bbox_y": 2, "bbox_w": 4,
              "bbox_h": 3, "attributes": ["red", "wet"], "true_caption": "the red dog and the wet mat",
              "false_caption": "the wet dog and the red mat"}]\
              """);
      case COCO_ORDER, FLICKR30K_ORDER ->
          texts(
              """
              {"dataset": "coco", "images": [{"filename": "a.png", "filepath": "val2014",
              "split": "test", "imgid": 1, "cocoid": 1,
              "sentences": [{"raw": "A small brown dog is on the red sofa.", "sentid": 1}]}]}\
              """,
              "[{\"image\": \"val2014/a.png\", \"caption\": [\"a small dog is on the sofa\"]}]");
      case WINOGROUND ->
          texts(
              """
              {"id": 0, "image_0": "a", "image_1": "b", "caption_0": "a dog sees a cat", \
              "caption_1": "a cat sees a dog", "tag": "x", "secondary_tag": "", \
              "num_main_preds": 1, "collapsed_tag": "Object"}
              """);
      case VALSE ->
          texts(
              """
              {"one": {"image_file": "a.png", "caption": "two cats", "foil": "three cats",
              "linguistic_phenomena": "counting", "mturk": {"foil": 0, "caption": 3, "other": 0}}}\
              """);
      case SUGARCREPE ->
          texts(
              """
              {"0": {"filename": "a.png", "caption": "a red cup", "negative_caption": "a blue cup"}}\
              """);
      case SVO_PROBES ->
          texts(
              """
              sentence,pos_triplet,neg_triplet,pos_url,neg_url,pos_image_id,neg_image_id,subj_neg,verb_neg,obj_neg
              A man rides.,"man,ride,horse","man,feed,horse",u,v,a,b,False,True,False
              """);
      case VL_CHECKLIST ->
          texts("[[\"a.png\", {\"POS\": [\"a white cat\"], \"NEG\": [\"a black cat\"]}]]");
      case SUGARCREPE_PP ->
          texts(
              """
              [{"id": 0, "filename": "a.png", "caption": "a cup", "caption2": "one cup",
              "negative_caption": "a cap"}]\
              """);
      case COLA -> texts("[[\"http://h/a.png\", \"a cup\", \"http://h/b.png\", \"a cap\"]]");
      case COMVG ->
          texts(
              """
              id,sentence,pos_triplet,neg_triplet,pos_image_id,neg_image_id,neg_value,sentence_id
              1,a man sits,"man,sit,mat","('dog', 'sit', 'mat')",1,2,subject,215
              """);
      case WHATS_UP ->
          texts(
              "[{\"image_path\": \"a.png\", \"caption_options\": [\"a cup on a mat\", \"a mat\"]}]",
              "[[285, \"a bear on the left\", \"a bear on the right\"]]");
      case COLORSWAP ->
          texts(
              """
              [{"id": 0, "caption_1": "a red cup", "caption_2": "a blue cup",
              "image_1": "a.png", "image_2": "b.png", "image_source": "x"}]\
              """);
      case MMVP_VLM -> texts("Question ID,Type,Statement\n1,Texts,\"a, b\"\n2,Texts,c\n");
      case NEGBENCH ->
          texts(
              """
              correct_answer,caption_0,caption_1,correct_answer_template,image_path
              1,a dog,no dog,negative,a.png
              """);
      case CREPE ->
          texts(
              """
              image_id,caption,hard_negs,x,y,width,height
              5,a dog's bed,"['a cat\\'s bed', ""a dog's bath""]",1,2,30,40
              """);
      case BIVLC ->
          texts(
              """
              [{"image": "a.png", "caption": "a red cup", "negative_image": "b.png",
              "negative_caption": "a blue cup", "type": "replace"}]\
              """);
      case COUNTBENCH ->
          texts("[{\"image_url\": \"http://h/a.png\", \"text\": \"two cups\", \"number\": 2}]");
      case VSR ->
          texts(
              """
              {"image": "a.png", "caption": "a cup on a mat", "label": 1, "relation": "on"}
              {"image": "b.png", "caption": "a mat on a cup", "label": 0, "relation": "on"}
              """);
    };
  }

  private static byte[] resource(String name) throws IOException {
    try (InputStream in = Objects.requireNonNull(Readers.class.getResourceAsStream(name))) {
      return in.readAllBytes();
    }
  }

  private static byte[] torchPickle() {
    return new TorchFiles.Pickle(4)
        .ops("}")
        .text("model")
        .ops("}(")
        .text("module.w")
        .tensor("FloatStorage", "0", 16, 2, new long[] {2, 3}, new long[] {1, 2})
        .text("module.v")
        .global("torch._utils", "_rebuild_parameter")
        .ops("(")
        .tensor("FloatStorage", "0", 16, 0, new long[] {16}, new long[] {1})
        .op(0x88)
        .global("collections", "OrderedDict")
        .ops(")RtR")
        .ops("us")
        .text("args")
        .global("argparse", "Namespace")
        .ops(")")
        .op(0x81)
        .ops("}bs")
        .end();
  }

  private static List<byte[]> texts(String... texts) {
    return Arrays.stream(texts).map(Fixtures::utf8).toList();
  }

  /** Writes the seeds of each reader into {@code FOLDER/READER}, and tells the readers' names. */
  public static void main(String[] args) throws IOException {
    for (Reader reader : Reader.values()) {
      Path folder = Files.createDirectories(Path.of(args[0]).resolve(reader.id()));
      List<byte[]> seeds = seeds(reader);
      for (int i = 0; i < seeds.size(); i++) {
        Files.write(folder.resolve("seed-" + i), seeds.get(i));
      }
      System.out.println(reader);
    }
  }
}
