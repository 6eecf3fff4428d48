package org.nasvlp.data.source;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.stream.Stream;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;

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
        try (ShardStream shardStream =
            new ShardStream(new BufferedOutputStream(Files.newOutputStream(part), 1 << 16))) {
          while (index < dataset.size() && shardStream.bytesWritten() < shardBytes) {
            try {
              add(shardStream, dataset, index, pairs);
              pairs++;
            } catch (BadSampleException e) {
              skipped.add(e.getMessage());
            }
            progress.accept(++index);
          }
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

  private static void add(ShardStream shard, ImageTextDataset dataset, long index, long number)
      throws IOException, BadSampleException {
    ImageTextPair pair = dataset.get(index);
    byte[] image = dataset.encodedImage(index);
    shard.add(
        number,
        ShardStream.holds(image) ? image : pair.image().png(),
        pair.caption(),
        pair.imageId(),
        pair.key());
  }
}
