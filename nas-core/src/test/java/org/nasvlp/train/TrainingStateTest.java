package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.config.HardNegativeLoss;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.NvaConfig;
import org.nasvlp.data.LoaderState;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.model.NasModel;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.objective.FeatureQueue;

/** A checkpoint by itself: no step is taken, the state is random numbers. */
class TrainingStateTest {
  private static final Progress PROGRESS =
      new Progress(
          7,
          40,
          12.5,
          11.5,
          new LoaderState(0, new byte[] {5}, new byte[] {4}, List.of("shape 2: torn"), 3),
          Map.of("itc", 0.5, "itm-group", 0.25),
          Map.of("itc", 7, "itm-group", 4),
          Map.of("itc", 0.25));

  @TempDir private Path folder;
  private CaptionTokenizer tokenizer;

  @BeforeEach
  void open() throws IOException {
    tokenizer = Shapes.tokenizer(folder, 8);
  }

  @AfterEach
  void close() {
    tokenizer.close();
  }

  /** With all that a checkpoint can hold: queue, momentum encoders and word counts. */
  private static NasConfig everything() {
    return Shapes.config(50)
        .withNta(nta -> nta.enabled(true).inContrast(true).exactLabels(true))
        .withNva(
            nva ->
                nva.ratio(0.5)
                    .neighbours(12)
                    .similarity(NvaConfig.Similarity.RAW)
                    .choose(NvaConfig.Choose.GAIN)
                    .substitute(NvaConfig.Substitute.EVIDENCE)
                    .donor(NvaConfig.Donor.TOKEN)
                    .loss(HardNegativeLoss.PAIRWISE));
  }

  /** A run's model and step, and their state. */
  private record Parts(NasModel model, TrainingStep step, TrainingState state)
      implements AutoCloseable {
    @Override
    public void close() {
      step.close();
      model.close();
    }
  }

  private Parts parts(NasConfig config, CaptionTokenizer with) throws InterruptedException {
    NasModel model = NasModel.create(config, with);
    NegativeTextAugmentation texts =
        config.nta().enabled()
            ? NegativeTextAugmentation.prepare(
                new Shapes(), with, ShapesEditor.factory(), config.nta(), List.of(), 3)
            : null;
    TrainingStep step = new TrainingStep(config, model, texts, 4, List.of(), Ranks.alone());
    return new Parts(model, step, new TrainingState(config, model, step));
  }

  private Parts parts(NasConfig config) throws InterruptedException {
    return parts(config, tokenizer);
  }

  private static float[] numbers(Random random, long count) {
    float[] values = new float[(int) count];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat();
    }
    return values;
  }

  private static void fill(Random random, Tensor tensor) {
    Torch.copyInto(tensor, MemorySegment.ofArray(numbers(random, tensor.numel())));
  }

  /** Random numbers in place of all that training changes. */
  private static void fill(Parts parts, long seed) {
    Random random = new Random(seed);
    fill(random, parts.model.parameters().values());
    fill(random, parts.step.optimizer().moments().first());
    fill(random, parts.step.optimizer().moments().second());
    if (parts.step.momentum() != null) {
      fill(random, parts.step.momentum().parameters().values());
    }
    FeatureQueue queue = parts.step.queue();
    if (queue != null) {
      fill(random, queue.images());
      fill(random, queue.texts());
      for (int i = 0; i < queue.ids().length; i++) {
        queue.ids()[i] = random.nextInt(32);
      }
      queue.restore(24, 24);
    }
    if (parts.step.words() != null) {
      parts.step.words().restore(random.doubles(parts.step.words().stateSize()).toArray());
    }
    int width = parts.model.config().model().width();
    parts.model.startDictionary(numbers(random, 200L * width));
  }

  private Path saved(NasConfig config) throws Exception {
    try (Parts parts = parts(config)) {
      fill(parts, 1);
      return parts.state.save(
          Files.createDirectories(folder.resolve("out")),
          PROGRESS,
          parts.step.optimizer().moments());
    }
  }

  private static Map<String, byte[]> files(Path checkpoint) throws IOException {
    Map<String, byte[]> files = new HashMap<>();
    try (var paths = Files.list(checkpoint)) {
      for (Path path : paths.toList()) {
        files.put(path.getFileName().toString(), Files.readAllBytes(path));
      }
    }
    return files;
  }

  private static void assertSame(Progress found, Progress expected) {
    assertThat(found).usingRecursiveComparison().isEqualTo(expected);
  }

  @Test
  void whatIsRestoredIsWhatWasSaved() throws Exception {
    Path checkpoint = saved(everything());
    assertThat(checkpoint.getFileName()).hasToString("step-00000007");
    assertThat(files(checkpoint))
        .containsOnlyKeys(
            "config.json",
            "tokenizer.json",
            "model.safetensors",
            "dictionary.safetensors",
            "training.safetensors",
            "state.json",
            "SHA256SUMS");
    try (Parts expected = parts(everything());
        Parts restored = parts(everything())) {
      fill(expected, 1);
      assertSame(restored.state.restore(checkpoint), PROGRESS);
      assertThat(floats(restored.model.parameters().values()))
          .isEqualTo(floats(expected.model.parameters().values()));
      assertThat(floats(restored.step.optimizer().moments().first()))
          .isEqualTo(floats(expected.step.optimizer().moments().first()));
      assertThat(floats(restored.step.optimizer().moments().second()))
          .isEqualTo(floats(expected.step.optimizer().moments().second()));
      assertThat(floats(restored.step.momentum().parameters().values()))
          .isEqualTo(floats(expected.step.momentum().parameters().values()));
      FeatureQueue queue = restored.step.queue();
      assertThat(floats(queue.images())).isEqualTo(floats(expected.step.queue().images()));
      assertThat(floats(queue.texts())).isEqualTo(floats(expected.step.queue().texts()));
      assertThat(queue.ids()).isEqualTo(expected.step.queue().ids());
      assertThat(queue.filled()).isEqualTo(24);
      assertThat(queue.next()).isEqualTo(24);
      assertThat(restored.step.words().state()).isEqualTo(expected.step.words().state());
      assertThat(restored.model.dictionary().state().codebook().codewords())
          .isEqualTo(expected.model.dictionary().state().codebook().codewords());
      // Saved once more it is the same to the byte.
      Path again =
          restored.state.save(
              Files.createDirectory(folder.resolve("again")),
              PROGRESS,
              restored.step.optimizer().moments());
      Map<String, byte[]> first = files(checkpoint);
      files(again).forEach((name, bytes) -> assertThat(bytes).as(name).isEqualTo(first.get(name)));
    }
  }

  private static float[] floats(Tensor tensor) {
    return Torch.toFloats(tensor);
  }

  @Test
  void aPlainRunHasNoQueueAndNoWords() throws Exception {
    NasConfig config = Shapes.config(50);
    Path checkpoint = saved(config);
    try (Arena arena = Arena.ofConfined()) {
      assertThat(Safetensors.read(checkpoint.resolve("training.safetensors"), arena))
          .doesNotContainKey("word_codes");
    }
    try (Parts restored = parts(config)) {
      assertThat(restored.step.words()).isNull();
      assertSame(restored.state.restore(checkpoint), PROGRESS);
    }
  }

  /** As versions before best checkpoints and sample counts wrote it. */
  @Test
  void fieldsThatAnOlderVersionLacksAreEmpty() throws Exception {
    Path checkpoint = saved(Shapes.config(50));
    Files.writeString(
        checkpoint.resolve("state.json"),
        """
        {"format":1,"step":7,"plannedSteps":0,"seconds":12.5,"queueFilled":24,"queueNext":24}
        """);
    Sums.seal(checkpoint);
    try (Parts restored = parts(Shapes.config(50))) {
      assertSame(
          restored.state.restore(checkpoint),
          new Progress(7, 0, 12.5, 12.5, null, Map.of(), Map.of(), Map.of()));
    }
  }

  private void assertRefused(
      Path checkpoint, NasConfig config, Class<? extends Exception> as, String... message)
      throws Exception {
    try (Parts parts = parts(config)) {
      assertThatThrownBy(() -> parts.state.restore(checkpoint))
          .isExactlyInstanceOf(as)
          .hasMessageContainingAll(message);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "null",
        "[]",
        "{}",
        "{'format':1,'step':7,",
        "{'format':1,'step':'seven'}",
        "{'format':1,'step':0,'plannedSteps':0,'seconds':1,'queueFilled':0,'queueNext':0}",
        "{'format':1,'step':-3,'plannedSteps':0,'seconds':1,'queueFilled':0,'queueNext':0}",
        "{'format':1,'step':3000000000,'plannedSteps':0,'seconds':1,'queueFilled':0,'queueNext':0}",
        "{'format':1,'step':7,'plannedSteps':0,'seconds':1,'queueFilled':33,'queueNext':0}",
        "{'format':1,'step':7,'plannedSteps':0,'seconds':1,'queueFilled':-1,'queueNext':0}",
        "{'format':1,'step':7,'plannedSteps':0,'seconds':1,'queueFilled':0,'queueNext':32}",
        "{'format':1,'step':7,'plannedSteps':0,'seconds':1,'queueFilled':0,'queueNext':-1}"
      })
  void aDamagedStateIsNamed(String json) throws Exception {
    Path checkpoint = saved(Shapes.config(50));
    Path file = Files.writeString(checkpoint.resolve("state.json"), json.replace('\'', '"'));
    Sums.seal(checkpoint);
    assertRefused(
        checkpoint,
        Shapes.config(50),
        TrainingException.class,
        file + " is damaged (",
        "): remove this checkpoint");
  }

  private static final String STATE =
      """
      {"format":1,"step":7,"plannedSteps":40,"seconds":12.5,"stepSeconds":11.5,"queueFilled":24,
      "queueNext":24,"samples":{"firstStep":0,"read":"BQ==","bad":"BA==","examples":[],
      "truncatedCaptions":3},"best":{"itc":0.5},"bestSteps":{"itc":3}}
      """;

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '@',
      textBlock =
          """
          "step":7;                 "step":7.5;                step
          "step":7;                 "step":"7";                step
          "step":7,;                @@;                        step
          "plannedSteps":40;        "plannedSteps":-1;         plannedSteps is -1
          "plannedSteps":40;        "plannedSteps":3000000000; plannedSteps is 3000000000
          "plannedSteps":40,;       @@;                        plannedSteps
          "seconds":12.5;           "seconds":-1;              seconds is -1
          "seconds":12.5;           "seconds":1e999;           seconds is Infinity
          "stepSeconds":11.5;       "stepSeconds":-1;          stepSeconds is -1
          "stepSeconds":11.5;       "stepSeconds":1e999;       stepSeconds is Infinity
          "queueFilled":24;         "queueFilled":-1;          queueFilled is -1
          "queueFilled":24;         "queueFilled":33;          queueFilled is 33
          "queueFilled":24;         "queueFilled":20;          queueFilled is 20
          "queueFilled":24,;        @@;                        queueFilled
          "queueNext":24;           "queueNext":-1;            queueNext is -1
          "queueNext":24;           "queueNext":32;            queueNext is 32
          "queueNext":24;           "queueNext":20;            queueNext is 20
          "queueNext":24;           "queueNext":16;            queueNext is 16
          "firstStep":0;            "firstStep":-1;            samples.firstStep is -1
          "firstStep":0;            "firstStep":8;             samples.firstStep is 8
          "read":"BQ==";            "read":null;               samples.read
          "read":"BQ==";            "read":"AQ==";             samples.bad
          "bad":"BA==";             "bad":null;                samples.bad
          "examples":[];            "examples":null;           examples
          "truncatedCaptions":3;    "truncatedCaptions":-3;    samples.truncatedCaptions is -3
          "itc":0.5;                "itc":null;                best.itc
          "itc":0.5;                "itc":1e999;               best.itc is Infinity
          "itc":0.5;                "../itc":0.5;              best
          "itc":3;                  "itc":8;                   bestSteps.itc is 8
          "itc":3;                  "itc":0;                   bestSteps.itc is 0
          "itc":3;                  "itc":null;                bestSteps.itc
          "itc":3;                  "itm":3;                   bestSteps
          "format":1;               "format":1,"other":2;      other
          "format":1;               "format":1,"step":7;       step
          """)
  void aFieldOfTheStateThatNoRunHasIsNamed(String from, String to, String told) throws Exception {
    Path checkpoint = saved(Shapes.config(50));
    Path file = Files.writeString(checkpoint.resolve("state.json"), STATE);
    Sums.seal(checkpoint);
    try (Parts parts = parts(Shapes.config(50))) {
      parts.state.restore(checkpoint);
    }
    assertThat(STATE).contains(from);
    Files.writeString(file, STATE.replace(from, to));
    Sums.seal(checkpoint);
    assertRefused(
        checkpoint,
        Shapes.config(50),
        TrainingException.class,
        file + " is damaged (",
        told,
        "): remove this checkpoint");
  }

  @Test
  void anotherFormatIsRefused() throws Exception {
    Path checkpoint = saved(Shapes.config(50));
    Path file = checkpoint.resolve("state.json");
    Files.writeString(file, Files.readString(file).replace("\"format\":1", "\"format\":2"));
    Sums.seal(checkpoint);
    assertRefused(
        checkpoint, Shapes.config(50), TrainingException.class, file + " has format 2", "reads 1");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "state.json",
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "dictionary.safetensors",
        "training.safetensors"
      })
  void aMissingFileIsNamed(String name) throws Exception {
    Path checkpoint = saved(Shapes.config(50));
    Files.delete(checkpoint.resolve(name));
    assertRefused(checkpoint, Shapes.config(50), NoSuchFileException.class, name);
  }

  @Test
  void tensorsCutShortAreNamed() throws Exception {
    Path checkpoint = saved(Shapes.config(50));
    Path file = checkpoint.resolve("training.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(bytes, bytes.length - 100));
    Sums.seal(checkpoint);
    assertRefused(checkpoint, Shapes.config(50), IOException.class, file.toString(), "cut short");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "adamw.first",
        "adamw.second",
        "momentum",
        "queue.images",
        "queue.texts",
        "queue.ids",
        "word_codes"
      })
  void tensorsOfAnotherShapeAreNamed(String name) throws Exception {
    Path checkpoint = saved(everything());
    Path file = checkpoint.resolve("training.safetensors");
    String refusal = file + " does not fit this run: " + name + " is missing or of another shape";
    Sums.change(
        file,
        name,
        entry ->
            new Safetensors.Entry(
                Safetensors.Type.U8, new long[] {entry.data().byteSize()}, entry.data()));
    assertRefused(checkpoint, everything(), TrainingException.class, refusal);
    Sums.change(
        file,
        name,
        entry ->
            new Safetensors.Entry(Safetensors.Type.U8, new long[] {8}, entry.data().asSlice(0, 8)));
    assertRefused(checkpoint, everything(), TrainingException.class, refusal);
    Sums.change(file, name, entry -> null);
    assertRefused(checkpoint, everything(), TrainingException.class, refusal);
  }

  @Test
  void wordCountsThatNoRunHasAreNamed() throws Exception {
    Path checkpoint = saved(everything());
    Path file = checkpoint.resolve("training.safetensors");
    for (String weight : List.of("-1", "0", "NaN")) {
      Sums.set(file, "word_codes", Double.parseDouble(weight));
      assertRefused(
          checkpoint,
          everything(),
          IOException.class,
          file + ": tensor word_codes holds " + weight,
          "earlier checkpoint");
    }
  }

  @Test
  void anotherConfigurationIsRefusedByItsPart() throws Exception {
    Path checkpoint = saved(Shapes.config(50));
    String remedy = "resume with the same configuration or choose another output";
    assertRefused(
        checkpoint,
        everything(),
        TrainingException.class,
        checkpoint + " was written with another nva: ",
        ", this run has ",
        remedy);
    Path file = checkpoint.resolve("config.json");
    String json = Files.readString(file);
    for (String part : List.of("objective", "optimizer", "data", "training.seed")) {
      Files.writeString(
          file,
          switch (part) {
            case "objective" -> json.replaceFirst("(\"queue\"\\s*:\\s*)32", "$164");
            case "optimizer" -> json.replaceFirst("(\"weightDecay\"\\s*:\\s*)0.02", "$10.03");
            case "data" -> json.replaceFirst("(\"loaderThreads\"\\s*:\\s*)2", "$13");
            default -> json.replaceFirst("(\"seed\"\\s*:\\s*)3", "$14");
          });
      Sums.seal(checkpoint);
      assertRefused(
          checkpoint,
          Shapes.config(50),
          TrainingException.class,
          checkpoint + " was written with another " + part + ": ",
          remedy);
    }
  }

  @Test
  void anotherLengthOfTheRunIsNotAnotherConfiguration() throws Exception {
    Path checkpoint = saved(Shapes.config(50));
    try (Parts parts = parts(Shapes.config(90))) {
      assertSame(parts.state.restore(checkpoint), PROGRESS);
    }
  }

  @Test
  void anotherTokenizerIsRefused() throws Exception {
    Path checkpoint = saved(Shapes.config(50));
    Path file = checkpoint.resolve("tokenizer.json");
    Files.writeString(file, Files.readString(file) + "\n");
    Sums.seal(checkpoint);
    assertRefused(
        checkpoint,
        Shapes.config(50),
        TrainingException.class,
        checkpoint + " was written with another tokenizer; resume with the same one");
  }
}
