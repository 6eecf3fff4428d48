package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.train.Evaluation;
import org.nasvlp.train.StepReport;
import org.nasvlp.train.TrainingStart;

/** Reads the event files by a reader of its own, from the formats' descriptions. */
class TensorBoardListenerTest {
  @TempDir private Path folder;

  /** An event as far as this program writes it. */
  private record Logged(
      double time, long step, String version, boolean start, Map<String, Float> values) {}

  /** The fields of a protobuf message: numbers of any kind as their bits, others as bytes. */
  private record Field(int number, long bits, ByteBuffer bytes) {
    String text() {
      return StandardCharsets.UTF_8.decode(bytes.duplicate()).toString();
    }

    static List<Field> of(ByteBuffer message) {
      ByteBuffer in = message.duplicate().order(ByteOrder.LITTLE_ENDIAN);
      List<Field> fields = new ArrayList<>();
      while (in.hasRemaining()) {
        int key = (int) varint(in);
        ByteBuffer bytes = ByteBuffer.allocate(0);
        long bits = 0;
        switch (key & 7) {
          case 0 -> bits = varint(in);
          case 1 -> bits = in.getLong();
          case 2 -> {
            int length = (int) varint(in);
            bytes = in.slice(in.position(), length);
            in.position(in.position() + length);
          }
          case 5 -> bits = in.getInt();
          default -> throw new AssertionError("wire type " + (key & 7));
        }
        fields.add(new Field(key >>> 3, bits, bytes));
      }
      return fields;
    }

    private static long varint(ByteBuffer in) {
      long value = 0;
      for (int shift = 0; ; shift += 7) {
        byte part = in.get();
        value |= (part & 0x7FL) << shift;
        if (part >= 0) {
          return value;
        }
      }
    }
  }

  private static List<Path> files(Path board) throws IOException {
    try (Stream<Path> files = Files.list(board)) {
      return files.sorted().toList();
    }
  }

  /** The events of a file; both checksums of each record are right, and nothing is left over. */
  private static List<Logged> read(Path file) throws IOException {
    return messages(file).stream().map(TensorBoardListenerTest::event).toList();
  }

  private static List<ByteBuffer> messages(Path file) throws IOException {
    ByteBuffer in = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    List<ByteBuffer> messages = new ArrayList<>();
    while (in.hasRemaining()) {
      ByteBuffer length = in.slice(in.position(), 8);
      int size = Math.toIntExact(in.getLong());
      assertThat(unmasked(in.getInt())).isEqualTo(checksum(length));
      ByteBuffer message = in.slice(in.position(), size);
      in.position(in.position() + size);
      assertThat(unmasked(in.getInt())).isEqualTo(checksum(message));
      messages.add(message);
    }
    return messages;
  }

  /** The values of a file's last event, each as its fields. */
  private static List<List<Field>> lastValues(Path file) throws IOException {
    Field summary =
        Field.of(messages(file).getLast()).stream()
            .filter(field -> field.number() == 5)
            .findFirst()
            .orElseThrow();
    return Field.of(summary.bytes()).stream().map(value -> Field.of(value.bytes())).toList();
  }

  /** Step and tag of every value that is no scalar. */
  static List<String> otherTags(Path board) throws IOException {
    List<String> tags = new ArrayList<>();
    for (Path file : files(board)) {
      for (ByteBuffer message : messages(file)) {
        for (Field field : Field.of(message)) {
          if (field.number() == 5) {
            for (Field value : Field.of(field.bytes())) {
              List<Field> of = Field.of(value.bytes());
              if (of.getLast().number() != 2) {
                tags.add(event(message).step() + " " + of.getFirst().text());
              }
            }
          }
        }
      }
    }
    return tags;
  }

  private static double[] doubles(Field packed) {
    ByteBuffer bytes = packed.bytes().duplicate().order(ByteOrder.LITTLE_ENDIAN);
    double[] values = new double[bytes.remaining() / Double.BYTES];
    bytes.asDoubleBuffer().get(values);
    return values;
  }

  private static int checksum(ByteBuffer bytes) {
    CRC32C checksum = new CRC32C();
    checksum.update(bytes.duplicate());
    return (int) checksum.getValue();
  }

  private static int unmasked(int masked) {
    int turned = masked - 0xa282ead8;
    return (turned >>> 17) | (turned << 15);
  }

  private static Logged event(ByteBuffer message) {
    double time = 0;
    long step = 0;
    String version = "";
    boolean start = false;
    Map<String, Float> values = new LinkedHashMap<>();
    for (Field field : Field.of(message)) {
      switch (field.number()) {
        case 1 -> time = Double.longBitsToDouble(field.bits());
        case 2 -> step = field.bits();
        case 3 -> version = field.text();
        case 5 ->
            Field.of(field.bytes())
                .forEach(
                    value -> {
                      List<Field> of = Field.of(value.bytes());
                      assertThat(value.number()).isEqualTo(1);
                      if (of.getLast().number() != 2) {
                        return; // no scalar
                      }
                      assertThat(of).extracting(Field::number).containsExactly(1, 2);
                      values.put(
                          of.getFirst().text(), Float.intBitsToFloat((int) of.getLast().bits()));
                    });
        case 7 -> start = Field.of(field.bytes()).equals(List.of(statusStart()));
        default -> throw new AssertionError("field " + field.number());
      }
    }
    return new Logged(time, step, version, start, values);
  }

  private static Field statusStart() {
    return new Field(1, 1, ByteBuffer.allocate(0));
  }

  /** The steps in each file of a folder, in the order of the files. */
  static List<List<Long>> steps(Path board) throws IOException {
    List<List<Long>> all = new ArrayList<>();
    for (Path file : files(board)) {
      all.add(
          read(file).stream()
              .filter(event -> event.values().containsKey("loss/total"))
              .map(Logged::step)
              .toList());
    }
    return all;
  }

  private static void start(TensorBoardListener listener, long done) {
    listener.onStart(new TrainingStart(done, 1500, 1, 10, 0, "cpu", "java"));
  }

  @Test
  void stepsAndEvaluationsAreScalars() throws IOException {
    Path board = folder.resolve("run").resolve("tensorboard");
    try (TensorBoardListener listener = new TensorBoardListener(board)) {
      start(listener, 0);
      listener.onStep(Samples.step(1, 1500));
      listener.onEvaluated(
          300, new Evaluation(Samples.evaluation(), Map.of(), Map.of("mine", 0.5)));
      // Nothing is held back: a run that is killed has all.
      assertThat(read(files(board).getFirst())).hasSize(4);
    }
    Path file = files(board).getFirst();
    assertThat(file.getFileName().toString()).startsWith("events.out.tfevents.");
    List<Logged> events = read(file);
    assertThat(events.get(0).version()).isEqualTo("brain.Event:2");
    assertThat(events.get(1).start()).isTrue();
    assertThat(events.get(1).step()).isEqualTo(1);
    Logged step = events.get(2);
    assertThat(step.step()).isEqualTo(1);
    assertThat(step.time()).isBetween(1.7e9, 1e10);
    assertThat(step.values())
        .isEqualTo(
            Map.ofEntries(
                Map.entry("loss/total", 12.345f),
                Map.entry("loss/itc", 3.104f),
                Map.entry("loss/itm", 0.62f),
                Map.entry("hard_negatives/nva", 60f),
                Map.entry("training/learning_rate", 1e-4f),
                Map.entry("training/gradient_norm", 2f),
                Map.entry("training/temperature", 0.07f),
                Map.entry("training/pairs_per_second", 57.6f),
                Map.entry("dictionary/live_codes", 412f),
                Map.entry("dictionary/perplexity", 233.4f),
                Map.entry("dictionary/restarts", 7f)));
    Logged evaluation = events.get(3);
    assertThat(evaluation.step()).isEqualTo(300);
    assertThat(evaluation.values())
        .isEqualTo(
            Map.of(
                "evaluation/itc", 0.66f,
                "evaluation/itc-group", 0.33f,
                "evaluation/itm", 0.9f,
                "evaluation/itm-group", 0.5f,
                "evaluation/mine", 0.5f,
                "caption_choice_itc/age", 0.25f,
                "caption_choice_itc/colour", 0.75f,
                "caption_choice_itc/skin tone", 0.9876f,
                "caption_choice_itm/colour", 1f));
  }

  /** By the fields' numbers in TensorFlow's summary.proto and histogram.proto. */
  @Test
  void theUseOfCodewordsIsAHistogram() throws IOException {
    try (TensorBoardListener listener = new TensorBoardListener(folder)) {
      start(listener, 0);
      listener.onCodewordUse(8, new double[] {0.75, 0, 0.125, 0.125});
    }
    List<Field> value = lastValues(files(folder).getFirst()).getFirst();
    assertThat(value).extracting(Field::number).containsExactly(1, 5);
    assertThat(value.getFirst().text()).isEqualTo("dictionary/use");
    List<Field> histogram = Field.of(value.getLast().bytes());
    assertThat(histogram)
        .extracting(Field::number)
        .containsExactly(2, 3, 4, 5, 6, 7); // the least is 0
    assertThat(histogram.subList(0, 4))
        .extracting(field -> Double.longBitsToDouble(field.bits()))
        // 4 codewords used 3, 0, 0.5 and 0.5 times as often as the mean.
        .containsExactly(3.0, 4.0, 4.0, 9.5);
    double[] limits = doubles(histogram.get(4));
    double[] counts = doubles(histogram.get(5));
    assertThat(limits).hasSize(30).isSorted();
    assertThat(limits[29]).isCloseTo(3, within(1e-12));
    assertThat(Arrays.stream(counts).sum()).isEqualTo(4);
    assertThat(counts[0]).isEqualTo(1);
    assertThat(counts[5] + counts[4]).isEqualTo(2);
    assertThat(counts[29]).isEqualTo(1);
  }

  @Test
  void codewordsThatAreNotUsedYetAreAHistogram() throws IOException {
    try (TensorBoardListener listener = new TensorBoardListener(folder)) {
      start(listener, 0);
      listener.onCodewordUse(1, new double[] {0, 0});
    }
    List<Field> value = lastValues(files(folder).getFirst()).getFirst();
    double[] counts = doubles(Field.of(value.getLast().bytes()).getLast());
    assertThat(counts[0]).isEqualTo(2);
  }

  @Test
  void picturesAreImages() throws IOException {
    RgbImage picture = new RgbImage(2, 1, new byte[] {1, 2, 3, 4, 5, 6});
    try (TensorBoardListener listener = new TensorBoardListener(folder)) {
      start(listener, 0);
      listener.pictures(9, "swap", List.of(picture, picture));
    }
    List<List<Field>> values = lastValues(files(folder).getFirst());
    assertThat(values).extracting(of -> of.getFirst().text()).containsExactly("swap/0", "swap/1");
    List<Field> image = Field.of(values.getFirst().getLast().bytes());
    assertThat(values.getFirst().getLast().number()).isEqualTo(4);
    assertThat(image).extracting(Field::number).containsExactly(1, 2, 3, 4);
    assertThat(image.subList(0, 3)).extracting(Field::bits).containsExactly(1L, 2L, 3L);
    byte[] png = new byte[image.getLast().bytes().remaining()];
    image.getLast().bytes().duplicate().get(png);
    BufferedImage read = ImageIO.read(new ByteArrayInputStream(png));
    assertThat(read.getRGB(1, 0) & 0xFFFFFF).isEqualTo(0x040506);
  }

  /** TensorBoard reads the files by name and, at a start, forgets its step and all later ones. */
  @Test
  void aResumedRunTakesBackTheStepsItDoesAgain() throws IOException {
    for (long done : new long[] {0, 2, 2}) {
      try (TensorBoardListener listener = new TensorBoardListener(folder)) {
        start(listener, done);
        for (long step = done + 1; step <= done + 3; step++) {
          listener.onStep(Samples.step(step, 1500));
        }
      }
    }
    assertThat(steps(folder))
        .containsExactly(List.of(1L, 2L, 3L), List.of(3L, 4L, 5L), List.of(3L, 4L, 5L));
    List<Long> shown = new ArrayList<>();
    for (Path file : files(folder)) {
      for (Logged event : read(file)) {
        if (event.start()) {
          shown.removeIf(step -> step >= event.step());
        } else if (!event.values().isEmpty()) {
          shown.add(event.step());
        }
      }
    }
    assertThat(shown).containsExactly(1L, 2L, 3L, 4L, 5L);
  }

  @Test
  void longRunsAreThinnedAsTheirLog() throws IOException {
    try (TensorBoardListener listener = new TensorBoardListener(folder)) {
      start(listener, 99_998);
      for (long step = 99_999; step <= 100_020; step++) {
        listener.onStep(Samples.step(step, 200_000));
      }
    }
    assertThat(steps(folder)).containsExactly(List.of(99_999L, 100_000L, 100_010L, 100_020L));
  }

  @Test
  void aFolderThatCannotBeWrittenIsNamed() throws IOException {
    Path file = Files.createFile(folder.resolve("tensorboard"));
    try (TensorBoardListener listener = new TensorBoardListener(file)) {
      assertThatThrownBy(() -> start(listener, 0))
          .hasRootCauseInstanceOf(IOException.class)
          .hasMessageContaining(file.toString())
          .hasMessageContaining("resume the run without --tensorboard");
      StepReport step = Samples.step(1, 2);
      assertThatThrownBy(() -> listener.onStep(step)).isInstanceOf(IllegalStateException.class);
    }
  }
}
