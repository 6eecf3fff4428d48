package org.nasvlp.data.source;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * Packs a data set into WebDataset shards: for each pair the image's own file if it is a PNG or
 * JPEG, else a PNG of it, the caption, and the image id, under a running number. The same data set
 * gives the same bytes.
 */
public final class ShardWriter {
  private ShardWriter() {}

  /**
   * What was written.
   *
   * @param shards the files, in order
   * @param pairs pairs in them
   * @param skipped pairs that could not be used, as {@code sample: reason}
   */
  public record Result(List<Path> shards, long pairs, List<String> skipped) {
    /** Copies the lists. */
    public Result {
      shards = List.copyOf(shards);
      skipped = List.copyOf(skipped);
    }
  }

  /**
   * Writes shards {@code PREFIX-000000.tar}, {@code PREFIX-000001.tar} and so on. Each gets its
   * name when it is whole; after a failure whole shards stay, and nothing else.
   *
   * @param folder made if it does not exist
   * @param shardBytes about how large a shard grows, in bytes; a pair is never parted
   * @param progress told after each pair how many are done
   * @throws IOException if a shard of that prefix is there already or cannot be written
   * @throws IllegalArgumentException for fewer than one byte
   */
  public static Result write(
      ImageTextDataset dataset, Path folder, String prefix, long shardBytes, LongConsumer progress)
      throws IOException {
    if (shardBytes < 1) {
      throw new IllegalArgumentException("shardBytes is " + shardBytes + ": at least 1 is needed");
    }
    Files.createDirectories(folder);
    try (Stream<Path> files = Files.list(folder)) {
      Path there =
          files
              .filter(file -> file.getFileName().toString().startsWith(prefix + "-"))
              .filter(file -> file.getFileName().toString().endsWith(".tar"))
              .findFirst()
              .orElse(null);
      if (there != null) {
        throw new IOException(there + " exists already; name another folder or prefix");
      }
    }
    List<Path> shards = new ArrayList<>();
    List<String> skipped = new ArrayList<>();
    long index = 0;
    long pairs = 0;
    while (index < dataset.size()) {
      Path shard = folder.resolve("%s-%06d.tar".formatted(prefix, shards.size()));
      Path part = folder.resolve("." + shard.getFileName() + ".part");
      try {
        long before = pairs;
        try (OutputStream file = new BufferedOutputStream(Files.newOutputStream(part), 1 << 16);
            TarArchiveOutputStream tar =
                new TarArchiveOutputStream(file, StandardCharsets.UTF_8.name())) {
          while (index < dataset.size() && tar.getBytesWritten() < shardBytes) {
            try {
              add(tar, dataset, index, pairs);
              pairs++;
            } catch (BadSampleException e) {
              skipped.add(e.getMessage());
            }
            progress.accept(++index);
          }
          tar.finish();
        }
        if (pairs > before) {
          Files.move(part, shard, StandardCopyOption.ATOMIC_MOVE);
          shards.add(shard);
        }
      } finally {
        Files.deleteIfExists(part);
      }
    }
    return new Result(shards, pairs, skipped);
  }

  private static void add(
      TarArchiveOutputStream tar, ImageTextDataset dataset, long index, long number)
      throws IOException, BadSampleException {
    ImageTextPair pair = dataset.get(index);
    byte[] image = dataset.encodedImage(index);
    String ending = ending(image);
    if (ending == null) {
      image = pair.image().png();
      ending = "png";
    }
    String key = "%09d".formatted(number);
    String about =
        JsonMapper.shared()
            .writeValueAsString(
                JsonNodeFactory.instance
                    .objectNode()
                    .put("image_id", pair.imageId())
                    .put("key", pair.key()));
    add(tar, key + "." + ending, image);
    add(tar, key + ".txt", pair.caption().getBytes(StandardCharsets.UTF_8));
    add(tar, key + ".json", about.getBytes(StandardCharsets.UTF_8));
  }

  private static @Nullable String ending(byte[] image) {
    if (image.length > 3 && (image[0] & 0xFF) == 0x89 && image[1] == 'P') {
      return "png";
    }
    return image.length > 3 && (image[0] & 0xFF) == 0xFF && (image[1] & 0xFF) == 0xD8
        ? "jpg"
        : null;
  }

  private static void add(TarArchiveOutputStream tar, String name, byte[] bytes)
      throws IOException {
    TarArchiveEntry entry = new TarArchiveEntry(name, TarConstants.LF_NORMAL);
    entry.setSize(bytes.length);
    entry.setModTime(0L);
    entry.setMode(TarArchiveEntry.DEFAULT_FILE_MODE);
    entry.setIds(0, 0);
    tar.putArchiveEntry(entry);
    tar.write(bytes);
    tar.closeArchiveEntry();
  }
}
