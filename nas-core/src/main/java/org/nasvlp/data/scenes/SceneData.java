package org.nasvlp.data.scenes;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.nasvlp.data.scenes.SceneComposer.Described;
import org.nasvlp.data.source.ShardStream;
import org.nasvlp.internal.Json;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Makes a folder of composed scenes: {@code train.tar} (or {@code train/} with several shards),
 * {@code test.tar}, {@code pairs.json} and {@code tokenizer.json}. With the emoji's own pairs
 * beside them there are the mixtures {@code train.json} and {@code test.json} in place of the first
 * two.
 *
 * <p>A combination of things is either training's or the test's, so that no caption occurs in both.
 * Each test pair is two scenes that differ in one respect, with captions that differ in it alone;
 * each caption is true of one and false of the other.
 */
public final class SceneData {
  private static final int CHUNK = 2048;
  private static final String EMOJI_TOKENIZER = "tokenizer.json";

  private static final String CHANGES =
      """
      Composed scenes

      The pictures of scenes are composed of emoji, scaled and laid over backgrounds, and of drawn
      shapes. The notice of the emoji follows.

      """;

  private final SceneOptions options;
  private final SceneComposer composer;
  private final ScenePainter painter;

  private SceneData(SceneOptions options, Map<String, Sprite> emoji) {
    this.options = options;
    this.composer = new SceneComposer(List.copyOf(emoji.keySet()), options.seed());
    this.painter = new ScenePainter(options.side(), emoji);
  }

  /**
   * What was written.
   *
   * @param images training pictures
   * @param captions different captions among them
   * @param testImages test pictures
   * @param shards files of training pictures
   */
  public record Result(long images, long captions, long testImages, int shards) {}

  /**
   * Makes the folder. The same options give the same pictures and captions. It gets its name when
   * it is whole; after a failure nothing of it stays.
   *
   * @param folder to make; must not exist, or be empty
   * @param progress told how many pictures are done
   * @throws IOException if the folder is there already, the emoji cannot be read, or the disk is
   *     full
   */
  public static Result write(SceneOptions options, Path folder, LongConsumer progress)
      throws IOException {
    Path target = folder.toAbsolutePath();
    if (Files.exists(target)) {
      boolean empty = false;
      if (Files.isDirectory(target)) {
        try (Stream<Path> children = Files.list(target)) {
          empty = children.findAny().isEmpty();
        }
      }
      if (!empty) {
        throw new IOException(folder + ": exists and is not empty; remove it or name another one");
      }
    }
    Map<String, Sprite> emoji =
        options.emoji() == null ? Map.of() : EmojiSprites.read(options.emoji());
    Path part = target.resolveSibling("." + target.getFileName() + ".part");
    delete(part);
    try {
      Files.createDirectories(part);
      Result result = new SceneData(options, emoji).write(part, progress);
      Files.deleteIfExists(target);
      Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
      return result;
    } finally {
      delete(part);
    }
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    List<Path> all;
    try (Stream<Path> walk = Files.walk(folder)) {
      all = new ArrayList<>(walk.toList());
    }
    for (Path path : all.reversed()) {
      Files.deleteIfExists(path);
    }
  }

  private Result write(Path folder, LongConsumer progress) throws IOException {
    Set<String> captions = new HashSet<>();
    int shards = writeTraining(folder, captions, progress);
    writeTest(folder, captions, progress);
    long different = captions.size();
    Path own = options.emoji() == null ? null : options.emoji().resolve(EMOJI_TOKENIZER);
    if (options.emoji() != null) {
      copyNotices(options.emoji(), folder);
      if (options.emojiWeight() > 0) {
        mix(options.emoji(), folder);
      }
    }
    Files.writeString(
        folder.resolve("tokenizer.json"), SceneVocabulary.json(own, composer.everyWord()));
    return new Result(
        options.images(), different, 2L * options.pairs() * SceneType.values().length, shards);
  }

  private static void copyNotices(Path emoji, Path folder) throws IOException {
    for (String name : List.of("LICENSE", "LICENSE-UNICODE")) {
      if (Files.isRegularFile(emoji.resolve(name))) {
        Files.copy(emoji.resolve(name), folder.resolve(name));
      }
    }
    if (Files.isRegularFile(emoji.resolve("NOTICE"))) {
      Files.writeString(
          folder.resolve("NOTICE"), CHANGES + Files.readString(emoji.resolve("NOTICE")));
    }
  }

  /** Puts the emoji's own pairs beside the scenes, in training and in the test. */
  private void mix(Path emoji, Path folder) throws IOException {
    boolean one = Files.isRegularFile(folder.resolve("train.tar"));
    String train = one ? "scenes-train.tar" : "scenes-train";
    Files.move(folder.resolve(one ? "train.tar" : "train"), folder.resolve(train));
    Files.move(folder.resolve("test.tar"), folder.resolve("scenes-test.tar"));
    Files.copy(emoji.resolve("train.tar"), folder.resolve("emoji-train.tar"));
    Files.copy(emoji.resolve("test.tar"), folder.resolve("emoji-test.tar"));
    writeMixture(folder.resolve("train.json"), train, "emoji-train.tar", options.emojiWeight());
    writeMixture(folder.resolve("test.json"), "scenes-test.tar", "emoji-test.tar", 1);
    Path pairs = folder.resolve("pairs.json");
    Path emojiPairs = emoji.resolve("pairs.json");
    if (Json.read(pairs) instanceof ArrayNode all
        && Json.read(emojiPairs) instanceof ArrayNode more) {
      all.addAll(more);
      writeJson(pairs, all);
    } else {
      throw new IOException(emojiPairs + ": must be a JSON list of pairs");
    }
  }

  private static void writeMixture(Path file, String scenes, String emoji, int weight)
      throws IOException {
    ObjectNode mixture = JsonMapper.shared().createObjectNode();
    ArrayNode sources = mixture.putArray("sources");
    sources.addObject().put("path", scenes);
    sources.addObject().put("path", emoji).put("weight", weight);
    writeJson(file, mixture);
  }

  private static void writeJson(Path file, JsonNode json) throws IOException {
    Files.writeString(
        file, JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n");
  }

  private record Sample(byte[] png, String caption) {}

  private Sample training(long n) {
    Described drawn = composer.training(n);
    List<String> ways = drawn.statement().rewordings();
    return new Sample(
        painter.paint(drawn.scene()).png(), new Dice(~options.seed(), -1 - n).of(ways));
  }

  private int writeTraining(Path folder, Set<String> captions, LongConsumer progress)
      throws IOException {
    List<Path> shards = new ArrayList<>();
    long n = 0;
    while (n < options.images()) {
      Path shard = folder.resolve("train-%06d.tar".formatted(shards.size()));
      shards.add(shard);
      try (ShardStream out = shard(shard)) {
        while (n < options.images() && out.bytesWritten() < options.shardBytes()) {
          long from = n;
          int count = (int) Math.min(CHUNK, options.images() - n);
          List<Sample> samples =
              IntStream.range(0, count).parallel().mapToObj(i -> training(from + i)).toList();
          for (int i = 0; i < count; i++) {
            Sample sample = samples.get(i);
            out.add("%09d".formatted(from + i), sample.png(), sample.caption());
            if (captions.size() < 1 << 20) {
              captions.add(samples.get(i).caption());
            }
          }
          n += count;
          progress.accept(n);
        }
      }
    }
    if (shards.size() == 1) {
      Files.move(shards.getFirst(), folder.resolve("train.tar"));
    } else {
      Path train = Files.createDirectory(folder.resolve("train"));
      for (Path shard : shards) {
        Files.move(shard, train.resolve(shard.getFileName()));
      }
    }
    return shards.size();
  }

  private void writeTest(Path folder, Set<String> trained, LongConsumer progress)
      throws IOException {
    ArrayNode list = JsonMapper.shared().createArrayNode();
    long done = options.images();
    try (ShardStream out = shard(folder.resolve("test.tar"))) {
      for (SceneType type : SceneType.values()) {
        for (int i = 0; i < options.pairs(); i++) {
          SceneComposer.Pair pair = composer.test(type, i);
          ObjectNode entry = list.addObject();
          entry.put("attribute", type.label());
          String key = "%s-%06d".formatted(type.label(), i);
          entry.set("a", item(out, key + "-a", pair.a(), pair.form(), trained));
          entry.set("b", item(out, key + "-b", pair.b(), pair.form(), trained));
          done += 2;
        }
        progress.accept(done);
      }
    }
    writeJson(folder.resolve("pairs.json"), list);
  }

  private ObjectNode item(ShardStream out, String key, Described of, int form, Set<String> trained)
      throws IOException {
    String caption = of.statement().forms().get(form);
    if (trained.contains(caption)) {
      throw new IllegalStateException("a caption of training and of the test: " + caption);
    }
    out.add(key, painter.paint(of.scene()).png(), caption);
    List<String> others = new ArrayList<>(of.statement().rewordings());
    others.remove(caption);
    return JsonMapper.shared()
        .createObjectNode()
        .put("key", key)
        .put("caption", caption)
        .put(
            "reworded", others.get((int) (Integer.toUnsignedLong(key.hashCode()) % others.size())));
  }

  private static ShardStream shard(Path file) throws IOException {
    return new ShardStream(new BufferedOutputStream(Files.newOutputStream(file), 1 << 18));
  }
}
