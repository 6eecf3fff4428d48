package org.nasvlp.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.DataConfig;
import org.nasvlp.data.source.DatasetOptions;
import org.nasvlp.data.source.ShardWriter;
import org.nasvlp.data.text.CaptionTokenizer;
import tools.jackson.databind.json.JsonMapper;

/** Real pictures through every form of a data set: a training sees the same batches. */
class EveryFormTest {
  private static final Path EMOJI = Path.of("../data/noto-emoji");
  private static final int PAIRS = 53;

  @TempDir private Path top;
  private final List<String> captions = new ArrayList<>();
  private Path images;

  private static String name(int i) {
    return "%03d.png".formatted(i);
  }

  @BeforeEach
  void unpack() throws Exception {
    images = Files.createDirectory(top.resolve("images"));
    try (ImageTextDataset emoji =
        ImageTextDataset.open(EMOJI.resolve("test.tar"), Fixtures.WHITE)) {
      for (int i = 0; i < PAIRS; i++) {
        Files.write(images.resolve(name(i)), emoji.encodedImage(i));
        captions.add(emoji.get(i).caption());
      }
    }
  }

  private record Seen(String caption, int image, List<Float> pixels, List<Long> tokens) {}

  /** Two epochs of batches; images by the order in which they are first met. */
  private static List<List<Seen>> batches(ImageTextDataset dataset) throws Exception {
    DataConfig config =
        DataConfig.defaults(8).toBuilder()
            .minCropScale(0.5)
            .background(Fixtures.WHITE)
            .maxBadShare(0)
            .build();
    List<List<Seen>> batches = new ArrayList<>();
    try (dataset;
        CaptionTokenizer tokenizer = CaptionTokenizer.load(EMOJI.resolve("tokenizer.json"), 16);
        BatchLoader loader =
            new BatchLoader(dataset, tokenizer, 12, config, 5, 0, FirstPairs.NONE)) {
      Map<Long, Integer> met = new HashMap<>();
      for (int step = 0; step < 2 * PAIRS / 8; step++) {
        Batch batch = loader.next();
        List<Seen> seen = new ArrayList<>();
        int each = batch.images().length / 8;
        int length = batch.tokens().length();
        for (int b = 0; b < 8; b++) {
          List<Float> pixels = new ArrayList<>();
          for (int i = 0; i < each; i++) {
            pixels.add(batch.images()[b * each + i]);
          }
          List<Long> tokens = new ArrayList<>();
          for (int t = 0; t < length; t++) {
            tokens.add(batch.tokens().ids()[b * length + t]);
          }
          int image = met.computeIfAbsent(batch.imageIds()[b], id -> met.size());
          seen.add(new Seen(batch.captions()[b], image, pixels, tokens));
        }
        batches.add(seen);
      }
      assertThat(loader.skipped().skipped()).isZero();
    }
    return batches;
  }

  private Path write(String name, String text) throws Exception {
    return Files.writeString(top.resolve(name), text);
  }

  private static String json(Object value) {
    return JsonMapper.shared().writeValueAsString(value);
  }

  @Test
  void everyFormGivesTheSameBatches() throws Exception {
    DatasetOptions options = DatasetOptions.of(Fixtures.WHITE).withImages(images);
    Map<String, ImageTextDataset> forms = new LinkedHashMap<>();
    List<Map<String, Object>> list = new ArrayList<>();
    List<Map<String, Object>> cocoImages = new ArrayList<>();
    List<Map<String, Object>> annotations = new ArrayList<>();
    List<Map<String, Object>> karpathy = new ArrayList<>();
    StringBuilder lines = new StringBuilder();
    StringBuilder csv = new StringBuilder("filepath,title\n");
    StringBuilder tsv = new StringBuilder("title\tfilepath\n");
    for (int i = 0; i < PAIRS; i++) {
      String caption = captions.get(i);
      list.add(Map.of("image", name(i), "caption", List.of(caption), "image_id", i));
      lines.append(json(list.getLast())).append('\n');
      cocoImages.add(Map.of("id", 1000 + i, "file_name", name(i)));
      annotations.add(Map.of("image_id", 1000 + i, "id", i, "caption", caption));
      karpathy.add(
          Map.of(
              "filename",
              name(i),
              "split",
              "train",
              "imgid",
              i,
              "sentences",
              List.of(Map.of("raw", caption))));
      csv.append(name(i)).append(",\"").append(caption.replace("\"", "\"\"")).append("\"\n");
      tsv.append(caption).append('\t').append(name(i)).append('\n');
    }
    forms.put("JSON", ImageTextDataset.open(write("list.json", json(list)), options));
    forms.put("JSON lines", ImageTextDataset.open(write("list.jsonl", lines.toString()), options));
    forms.put(
        "COCO",
        ImageTextDataset.open(
            write("coco.json", json(Map.of("images", cocoImages, "annotations", annotations))),
            options));
    forms.put(
        "Karpathy",
        ImageTextDataset.open(write("karpathy.json", json(Map.of("images", karpathy))), options));
    forms.put("CSV", ImageTextDataset.open(write("pairs.csv", csv.toString()), options));
    forms.put("TSV", ImageTextDataset.open(write("pairs.tsv", tsv.toString()), options));
    Files.copy(top.resolve("list.json"), images.resolve("captions.json"));
    forms.put("folder", ImageTextDataset.open(images, Fixtures.WHITE));
    int last;
    Path shards = top.resolve("shards");
    try (ImageTextDataset from = ImageTextDataset.open(top.resolve("list.json"), options)) {
      ShardWriter.Result written = ShardWriter.write(from, shards, "part", 60_000, done -> {});
      assertThat(written.pairs()).isEqualTo(PAIRS);
      last = written.shards().size() - 1;
      assertThat(last).isPositive();
    }
    forms.put("folder of shards", ImageTextDataset.open(shards, Fixtures.WHITE));
    forms.put(
        "pattern of shards",
        ImageTextDataset.open(
            shards.resolve("part-{000000..%06d}.tar".formatted(last)), Fixtures.WHITE));
    forms.put(
        "mixture",
        ImageTextDataset.open(
            write("mix.json", "{\"sources\": [{\"path\": \"shards\"}]}"), Fixtures.WHITE));
    List<List<Seen>> expected = null;
    for (Map.Entry<String, ImageTextDataset> form : forms.entrySet()) {
      List<List<Seen>> seen = batches(form.getValue());
      expected = expected == null ? seen : expected;
      assertThat(seen).as(form.getKey()).isEqualTo(expected);
    }
  }
}
