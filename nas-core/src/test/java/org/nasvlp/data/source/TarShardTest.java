package org.nasvlp.data.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.nasvlp.data.Fixtures.WHITE;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.Fixtures;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;

class TarShardTest {
  @TempDir private Path folder;

  private ImageTextDataset open(Fixtures.Tar tar) throws IOException {
    return ImageTextDataset.open(tar.write(folder.resolve("s.tar")), WHITE);
  }

  private static String problem(ImageTextDataset dataset, long index) {
    try {
      return "usable: " + dataset.get(index).key();
    } catch (BadSampleException e) {
      return e.getMessage();
    }
  }

  @Test
  void pairsAreReadInTheirOrder() throws Exception {
    byte[] jpeg = Fixtures.encode(Fixtures.pattern(9, 5, BufferedImage.TYPE_INT_RGB), "jpg");
    Fixtures.Tar tar =
        new Fixtures.Tar()
            .add("README", "no data")
            .pair("b", 0x102030, "\uFEFF  a red\n dog \n")
            .add("b.json", "{\"image_id\": 77, \"attributes\": {\"colour\": [\"red\"]}}")
            .add("a.txt", "the cat")
            .add("a.jpeg", jpeg)
            .add("a.cls", "3")
            .add("dir/c.PNG", Fixtures.png(0))
            .add("dir/c.txt", "grüße 👍🏽")
            .add("dir/._c.png", "resource fork")
            .add("c.d.png", "key c, extension d.png: no image");
    try (ImageTextDataset dataset = open(tar)) {
      assertThat(dataset.size()).isEqualTo(3);
      assertThat(dataset.name()).endsWith("s.tar");
      ImageTextPair first = dataset.get(0);
      assertThat(first.key()).isEqualTo("b");
      assertThat(first.caption()).isEqualTo("a red dog");
      assertThat(first.imageId()).isEqualTo(77);
      assertThat(first.image().green(3, 3)).isEqualTo(0x20);
      ImageTextPair second = dataset.get(1);
      assertThat(second.caption()).isEqualTo("the cat");
      assertThat(second.image().width()).isEqualTo(9);
      assertThat(dataset.get(2).key()).isEqualTo("dir/c");
      assertThat(dataset.get(2).caption()).isEqualTo("grüße 👍🏽");
      assertThatThrownBy(() -> dataset.get(3)).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> dataset.get(-1)).isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  @Test
  void imageIds() throws Exception {
    Fixtures.Tar tar =
        new Fixtures.Tar()
            .pair("0", 1, "one")
            .pair("1", 1, "one")
            .add("1.json", "{}")
            .pair("2", 1, "one")
            .add("2.json", "{\"image_id\": \"x\"}")
            .pair("3", 1, "one")
            .add("3.json", "{\"image_id\": \"x\"}")
            .pair("4", 1, "one")
            .add("4.json", "{\"image_id\": 1.5}")
            .pair("5", 1, "one")
            .add("5.json", "{\"image_id\": ")
            .pair("6", 1, "one")
            .add("6.json", "[]");
    try (ImageTextDataset dataset = open(tar)) {
      Set<Long> ids = new HashSet<>();
      for (int i = 0; i < 3; i++) {
        ids.add(dataset.get(i).imageId());
      }
      assertThat(ids).hasSize(3);
      assertThat(dataset.get(3).imageId()).isEqualTo(dataset.get(2).imageId());
      assertThat(problem(dataset, 4)).contains("4.json", "image_id", "1.5");
      assertThat(problem(dataset, 5)).contains("s.tar: 5.json", "not valid JSON");
      assertThat(problem(dataset, 6)).contains("6.json", "not a JSON object");
    }
  }

  @Test
  void badPairsKeepAnIndexAndSayWhy() throws Exception {
    Fixtures.Tar tar =
        new Fixtures.Tar()
            .pair("good", 1, "a dog")
            .add("alone.png", Fixtures.png(1))
            .add("silent.txt", "a cat")
            .pair("empty", 1, " \n")
            .add("latin.png", Fixtures.png(1))
            .add("latin.txt", new byte[] {'c', 'a', 'f', (byte) 0xE9})
            .add("broken.png", Arrays.copyOf(Fixtures.png(1), 40))
            .add("broken.txt", "a cat")
            .add("two.png", Fixtures.png(1))
            .add("two.jpg", Fixtures.png(1))
            .add("two.txt", "a cat")
            .pair("twice", 1, "a cat")
            .add("twice.txt", "a dog")
            .link("link.png", "/etc/passwd")
            .add("link.txt", "a cat")
            .pair("../up", 1, "a cat")
            .pair("/abs", 1, "a cat")
            .pair("esc\u001b[2J", 1, "a cat");
    try (ImageTextDataset dataset = open(tar)) {
      List<String> problems = new ArrayList<>();
      for (long i = 0; i < dataset.size(); i++) {
        problems.add(problem(dataset, i));
      }
      assertThat(problems).hasSize(12);
      assertThat(problems.get(0)).isEqualTo("usable: good");
      assertThat(problems.get(1)).contains("s.tar: alone", "no caption", "alone.txt");
      assertThat(problems.get(2)).contains("s.tar: silent", "no image", "silent.png");
      assertThat(problems.get(3)).isEqualTo("s.tar: empty.txt: the caption is empty");
      assertThat(problems.get(4)).isEqualTo("s.tar: latin.txt: the caption is not valid UTF-8");
      assertThat(problems.get(5)).contains("s.tar: broken.png", "cut short");
      assertThat(problems.get(6)).contains("two.png", "two.jpg");
      assertThat(problems.get(7)).contains("s.tar: twice", "both");
      assertThat(problems.get(8)).contains("link.png", "link");
      assertThat(problems.get(9)).contains("../up.png", "outside");
      assertThat(problems.get(10)).contains("/abs.png", "outside");
      assertThat(problems.get(11)).contains("\\u001b", "control").doesNotContain("\u001b");
    }
  }

  @Test
  void longAndForeignNamesAreRead() throws Exception {
    String key = "folder/".repeat(30) + "ключ";
    try (ImageTextDataset dataset = open(new Fixtures.Tar().pair(key, 1, "a dog"))) {
      assertThat(dataset.size()).isEqualTo(1);
      assertThat(dataset.get(0).key()).isEqualTo(key);
    }
  }

  @Test
  void everyCutKeepsTheWholePairsBeforeItAndIsReported() throws Exception {
    Fixtures.Tar tar =
        new Fixtures.Tar().pair("a", 1, "one").pair("b", 2, "two").pair("c", 3, "three");
    int data = tar.open().length;
    byte[] whole = tar.bytes();
    assertThat(whole.length).isGreaterThan(data);
    Path file = folder.resolve("cut.tar");
    int endOfFirst = 2048;
    for (int length = endOfFirst; length < data + 512; length += 64) {
      Files.write(file, Arrays.copyOf(whole, length));
      try (ImageTextDataset dataset = ImageTextDataset.open(file, WHITE)) {
        int usable = 0;
        List<String> problems = new ArrayList<>();
        for (long i = 0; i < dataset.size(); i++) {
          String problem = problem(dataset, i);
          if (problem.startsWith("usable")) {
            usable++;
          } else {
            problems.add(problem);
          }
        }
        // A pair is an image of two blocks and a caption of two; captions are 3 to 5 bytes long.
        assertThat(usable).as("cut at %d", length).isEqualTo((length + 512 - 5 - 1) / 2048);
        assertThat(problems.getLast())
            .as("cut at %d", length)
            .startsWith("cut.tar: ")
            .contains("cut short", "fetch the file again");
      }
    }
    Files.write(file, Arrays.copyOf(whole, data + 512));
    try (ImageTextDataset dataset = ImageTextDataset.open(file, WHITE)) {
      assertThat(dataset.size()).isEqualTo(3);
    }
  }

  @Test
  void damagedHeaderIsReported() throws Exception {
    byte[] tar = new Fixtures.Tar().pair("a", 1, "one").pair("b", 2, "two").bytes();
    tar[2048 + 130] ^= 1;
    Path file = Files.write(folder.resolve("damaged.tar"), tar);
    try (ImageTextDataset dataset = ImageTextDataset.open(file, WHITE)) {
      assertThat(dataset.size()).isEqualTo(2);
      assertThat(problem(dataset, 0)).isEqualTo("usable: a");
      assertThat(problem(dataset, 1)).contains("damaged.tar: after a.txt", "byte 2048");
    }
  }

  @Test
  void dataBehindTheEndMarkAreRefused() throws Exception {
    Fixtures.Tar pairs = new Fixtures.Tar().pair("a", 1, "one").pair("b", 2, "two");
    int end = pairs.open().length;
    byte[] whole = pairs.bytes();
    byte[] zeroed = whole.clone();
    Arrays.fill(zeroed, 2048, 2560, (byte) 0);
    assertRefused(zeroed, "end mark at byte 2048", "byte 2560");
    byte[] joined = Arrays.copyOf(whole, 2 * whole.length);
    System.arraycopy(whole, 0, joined, whole.length, whole.length);
    assertRefused(joined, "end mark at byte " + end, "byte " + whole.length, "--concatenate");
    byte[] last = Arrays.copyOf(whole, 1 << 20);
    last[last.length - 1] = 1;
    assertRefused(last, "byte " + (last.length - 1));
    for (int more : new int[] {1, 512, 777, 100_000}) {
      Path padded =
          Files.write(folder.resolve("padded.tar"), Arrays.copyOf(whole, end + 512 + more));
      try (ImageTextDataset dataset = ImageTextDataset.open(padded, WHITE)) {
        assertThat(dataset.size()).isEqualTo(2);
      }
    }
  }

  private void assertRefused(byte[] tar, String... parts) throws IOException {
    Path plain = Files.write(folder.resolve("s.tar"), tar);
    Path packed = Files.write(folder.resolve("p.tar.gz"), gzip(tar));
    for (Path file : List.of(plain, packed)) {
      assertThatThrownBy(() -> ImageTextDataset.open(file, WHITE))
          .isInstanceOf(IOException.class)
          .message()
          .startsWith(file.toString())
          .contains(parts);
    }
  }

  @Test
  void joinedCompressedShardsAreRefused() throws Exception {
    byte[] one = gzip(new Fixtures.Tar().pair("a", 1, "one").bytes());
    byte[] two = gzip(new Fixtures.Tar().pair("b", 2, "two").bytes());
    ByteArrayOutputStream both = new ByteArrayOutputStream();
    both.writeBytes(one);
    both.writeBytes(two);
    byte[] joined = both.toByteArray();
    Path file = folder.resolve("s.tar.gz");
    for (int i = 0; i < 3; i++) {
      // Whole, then with the second's mark damaged, by which a lenient reader would end.
      Files.write(file, joined);
      assertThatThrownBy(() -> ImageTextDataset.open(file, WHITE))
          .isInstanceOf(IOException.class)
          .hasMessageStartingWith(file.toString());
      joined[one.length + i] ^= 0x55;
    }
  }

  private static byte[] gzip(byte[] bytes) throws IOException {
    ByteArrayOutputStream compressed = new ByteArrayOutputStream();
    try (GZIPOutputStream out = new GZIPOutputStream(compressed)) {
      out.write(bytes);
    }
    return compressed.toByteArray();
  }

  @Test
  void headersThatAreTooLongAreDamage() throws Exception {
    byte[] good = new Fixtures.Tar().pair("a", 1, "one").open();
    for (char type : "LKxg".toCharArray()) {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      bytes.writeBytes(good);
      bytes.writeBytes(bomb(type, 1 << 22));
      bytes.writeBytes(new Fixtures.Tar().pair("b", 2, "two").bytes());
      Path file = Files.write(folder.resolve("bomb.tar"), bytes.toByteArray());
      try (ImageTextDataset dataset = ImageTextDataset.open(file, WHITE)) {
        assertThat(dataset.size()).as("%s", type).isEqualTo(2);
        assertThat(problem(dataset, 0)).isEqualTo("usable: a");
        assertThat(problem(dataset, 1))
            .contains("bomb.tar: after a.txt", "header", "byte 2048", "1048576 bytes");
      }
    }
  }

  /** A header of another one's extension, with that many bytes of it. */
  private static byte[] bomb(char type, int length) {
    byte[] bytes = new byte[512 + length];
    System.arraycopy(Fixtures.utf8("././@LongLink"), 0, bytes, 0, 13);
    System.arraycopy(
        Fixtures.utf8(String.format("0000644\0%8s%8s%011o\0%012o", "", "", length, 0)),
        0,
        bytes,
        100,
        48);
    bytes[156] = (byte) type;
    System.arraycopy(Fixtures.utf8("ustar  \0"), 0, bytes, 257, 8);
    Arrays.fill(bytes, 148, 156, (byte) ' ');
    int sum = 0;
    for (int i = 0; i < 512; i++) {
      sum += bytes[i] & 0xFF;
    }
    System.arraycopy(Fixtures.utf8(String.format("%06o\0 ", sum)), 0, bytes, 148, 8);
    Arrays.fill(bytes, 512, bytes.length, (byte) 'x');
    System.arraycopy(Fixtures.utf8(length + " path="), 0, bytes, 512, 13);
    bytes[bytes.length - 1] = '\n';
    return bytes;
  }

  @Test
  void noUsablePairIsAnErrorThatShowsWhy() throws Exception {
    assertThatThrownBy(() -> open(new Fixtures.Tar().add("x.png", Fixtures.png(1))))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("s.tar holds no usable pair")
        .hasMessageContaining("x.txt");
    assertThatThrownBy(() -> open(new Fixtures.Tar()))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("no usable pair");
    Path empty = Files.createFile(folder.resolve("empty.tar"));
    assertThatThrownBy(() -> ImageTextDataset.open(empty, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("empty.tar");
    Path text = Files.writeString(folder.resolve("text.tar"), "hello ".repeat(500));
    assertThatThrownBy(() -> ImageTextDataset.open(text, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("text.tar")
        .hasMessageContaining("damaged");
  }

  private static List<Path> temporaries() throws IOException {
    try (var files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
      return files.filter(f -> f.getFileName().toString().startsWith("nas-shard-")).toList();
    }
  }

  @Test
  void compressedShardsGiveTheSamePairs() throws Exception {
    byte[] tar =
        new Fixtures.Tar()
            .add("a.png", Fixtures.png(0x010203))
            .add("a.txt", Fixtures.utf8("one"))
            .add("b.png", Fixtures.png(0x040506))
            .add("b.txt", Fixtures.utf8("two"))
            .bytes();
    byte[] gzip = gzip(tar);
    Path plainFolder = Files.createDirectory(folder.resolve("plain"));
    Path plain = Files.write(plainFolder.resolve("s-0.tar"), tar);
    Path packedFolder = Files.createDirectory(folder.resolve("packed"));
    Path packed = Files.write(packedFolder.resolve("s-0.tar.gz"), gzip);
    List<Path> before = temporaries();
    for (Path form : List.of(packed, packedFolder, packedFolder.resolve("s-{0..0}.tar.gz"))) {
      try (ImageTextDataset expected = ImageTextDataset.open(plain, WHITE);
          ImageTextDataset dataset = ImageTextDataset.open(form, WHITE)) {
        assertThat(dataset.size()).isEqualTo(2);
        for (int i = 0; i < 2; i++) {
          assertThat(dataset.caption(i)).isEqualTo(expected.caption(i));
          assertThat(dataset.get(i).image().rgb()).isEqualTo(expected.get(i).image().rgb());
        }
        // Unlinked while open: nothing is left of it, however the process ends.
        assertThat(temporaries()).isEqualTo(before);
      }
      assertThat(temporaries()).isEqualTo(before);
    }
    for (int length = 0; length < gzip.length; length += 9) {
      Files.write(packed, Arrays.copyOf(gzip, length));
      assertThatThrownBy(() -> ImageTextDataset.open(packed, WHITE))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("s-0.tar.gz: damaged or cut short");
    }
    gzip[gzip.length / 2] ^= 4;
    Files.write(packed, gzip);
    assertThatThrownBy(() -> ImageTextDataset.open(packed, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("damaged");
    assertThat(temporaries()).isEqualTo(before);
    Files.write(packedFolder.resolve("s-0.tar"), tar);
    assertThatThrownBy(() -> ImageTextDataset.open(packedFolder, WHITE))
        .hasMessageContaining("its other form");
  }

  @Test
  void whatACompressedShardUnpacksToIsLimited() throws Exception {
    byte[] tar = new Fixtures.Tar().pair("a", 1, "one").bytes();
    Path small = Files.write(folder.resolve("small.tar.gz"), gzip(tar));
    DatasetOptions options = DatasetOptions.of(WHITE);
    ImageTextDataset.open(small, options.withMaxUnpackedBytes(tar.length)).close();
    assertThatThrownBy(
            () -> ImageTextDataset.open(small, options.withMaxUnpackedBytes(tar.length - 1)))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith(small + ": its " + Files.size(small) + " bytes unpack to more than")
        .hasMessageContaining("--max-unpacked");
    Path bomb = Files.write(folder.resolve("bomb.tar.gz"), gzip(Arrays.copyOf(tar, 65 << 20)));
    List<Path> before = temporaries();
    assertThatThrownBy(() -> ImageTextDataset.open(bomb, options))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("unpack to more than " + (64 << 20));
    ImageTextDataset.open(bomb, options.withMaxUnpackedBytes(65 << 20)).close();
    assertThatThrownBy(() -> options.withMaxUnpackedBytes(-1))
        .hasMessageContaining("maxUnpackedBytes is -1");
    assertThat(temporaries()).isEqualTo(before);
  }

  @Test
  void aCopyThatWouldFillTheDiskIsNotMade() throws Exception {
    Path file = Files.write(folder.resolve("s.tar.gz"), gzip(new byte[1024]));
    List<Path> before = temporaries();
    assertThatThrownBy(() -> new UnpackedArchive(file, 0, Long.MAX_VALUE / 2))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith(file + " cannot be decompressed into ")
        .hasMessageContaining("bytes are free")
        .hasMessageContaining("-Djava.io.tmpdir");
    assertThat(temporaries()).isEqualTo(before);
  }

  @Test
  void theCopyHasNoNameWhileItIsRead() throws Exception {
    Path file = Files.write(folder.resolve("s.tar.gz"), gzip(new byte[100_000]));
    List<Path> before = temporaries();
    try (UnpackedArchive copy = new UnpackedArchive(file, 0)) {
      assertThat(copy.size()).isEqualTo(100_000);
      assertThat(temporaries()).isEqualTo(before);
    }
    try (UnpackedArchive empty =
        new UnpackedArchive(Files.write(folder.resolve("e.tar.gz"), gzip(new byte[0])), 0)) {
      assertThat(empty.size()).isZero();
    }
  }

  @Test
  void otherFilesAreRefused() throws Exception {
    assertThatThrownBy(() -> ImageTextDataset.open(folder.resolve("no.tar"), WHITE))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessageContaining("no.tar")
        .hasMessageContaining("does not exist");
    Path gz = Files.write(folder.resolve("s.tar.gz"), new byte[] {0x1F, (byte) 0x8B, 8});
    assertThatThrownBy(() -> ImageTextDataset.open(gz, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("s.tar.gz: damaged or cut short");
    Path zip = Files.write(folder.resolve("s.zip"), new byte[] {'P', 'K'});
    assertThatThrownBy(() -> ImageTextDataset.open(zip, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("s.zip");
    Path nothing = Files.createDirectory(folder.resolve("nothing"));
    assertThatThrownBy(() -> ImageTextDataset.open(nothing, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("captions.json");
    assertThatThrownBy(() -> ImageTextDataset.open(gz, 0x1000000))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void folderOfShards() throws Exception {
    Path shards = Files.createDirectory(folder.resolve("shards"));
    new Fixtures.Tar().pair("0", 1, "one").pair("1", 2, "two").write(shards.resolve("b.tar"));
    new Fixtures.Tar().pair("0", 3, "three").write(shards.resolve("a.tar"));
    Files.createFile(shards.resolve("c.tar"));
    try (ImageTextDataset dataset = ImageTextDataset.open(shards, WHITE)) {
      assertThat(dataset.size()).isEqualTo(4);
      assertThat(dataset.get(0).caption()).isEqualTo("three");
      assertThat(dataset.get(1).caption()).isEqualTo("one");
      assertThat(dataset.get(2).caption()).isEqualTo("two");
      assertThat(dataset.get(0).imageId()).isNotEqualTo(dataset.get(1).imageId());
      assertThat(problem(dataset, 3)).startsWith("c.tar: ");
    }
    Files.writeString(shards.resolve("list.json"), "[]");
    assertThatThrownBy(() -> ImageTextDataset.open(shards, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("list.json")
        .hasMessageContaining("a.tar");
  }

  @Test
  void theFirstShardThatCannotBeReadIsNamedAndNoneStaysOpen() throws Exception {
    Path shards = Files.createDirectory(folder.resolve("some"));
    for (int i = 0; i < 12; i++) {
      Path shard =
          new Fixtures.Tar()
              .pair("p" + i, i, "a dog")
              .write(shards.resolve("s%02d.tar".formatted(i)));
      if (i == 5 || i == 9) {
        byte[] bytes = Files.readAllBytes(shard);
        bytes[bytes.length - 1] = 1;
        Files.write(shard, bytes);
      }
    }
    assertThatThrownBy(() -> ImageTextDataset.open(shards, WHITE))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll("s05.tar", "follow the end mark");
    List<String> open = new ArrayList<>();
    Path descriptors = Path.of("/proc/self/fd");
    if (Files.exists(descriptors)) {
      try (Stream<Path> links = Files.list(descriptors)) {
        for (Path link : links.toList()) {
          try {
            open.add(Files.readSymbolicLink(link).toString());
          } catch (NoSuchFileException e) {
            // Another thread has closed it meanwhile.
          }
        }
      }
    }
    assertThat(open).noneMatch(name -> name.contains(shards.toString()));
  }

  @Test
  void closedIsSaid() throws Exception {
    ImageTextDataset dataset = open(new Fixtures.Tar().pair("a", 1, "one"));
    dataset.close();
    dataset.close();
    assertThatThrownBy(() -> dataset.get(0))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
  }

  @Test
  void manyThreadsAndInterruptsDoNotDisturbEachOther() throws Exception {
    Fixtures.Tar tar = new Fixtures.Tar();
    for (int i = 0; i < 50; i++) {
      tar.pair("k" + i, i * 1000, "caption " + i);
    }
    try (ImageTextDataset dataset = open(tar);
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<?>> results = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int thread = t;
        results.add(
            threads.submit(
                () -> {
                  for (int i = 0; i < 400; i++) {
                    int index = (i * 7 + thread) % 50;
                    if (i % 3 == 0) {
                      Thread.currentThread().interrupt();
                    }
                    ImageTextPair pair = dataset.get(index);
                    assertThat(pair.caption()).isEqualTo("caption " + index);
                    assertThat(Thread.interrupted()).isEqualTo(i % 3 == 0);
                  }
                  return null;
                }));
      }
      for (Future<?> result : results) {
        result.get();
      }
    }
  }
}
