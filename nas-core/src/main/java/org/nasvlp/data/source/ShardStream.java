package org.nasvlp.data.source;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;

/**
 * A WebDataset shard that is being written, pair by pair: {@code NAME.png} or {@code NAME.jpg},
 * {@code NAME.txt} with the caption and, where the pair came from another data set, {@code
 * NAME.json} with {@code image_id} and {@code key}. The same pairs give the same bytes. Not
 * thread-safe.
 */
public final class ShardStream implements AutoCloseable {
  private final TarArchiveOutputStream tar;

  /**
   * Begins a shard.
   *
   * @param out closed with this
   */
  public ShardStream(OutputStream out) {
    tar = new TarArchiveOutputStream(out, StandardCharsets.UTF_8.name());
  }

  /** Whether a shard can hold an image file as it is: a PNG or a JPEG. */
  public static boolean holds(byte[] image) {
    return ending(image) != null;
  }

  /**
   * Adds a pair.
   *
   * @param number of the pair in its data set, which names its entries
   * @param image a PNG or JPEG file
   * @param imageId the same for pairs of one picture
   * @param key what the pair was called before
   * @throws IllegalArgumentException if the image is neither PNG nor JPEG
   */
  public void add(long number, byte[] image, String caption, long imageId, String key)
      throws IOException {
    String name = "%09d".formatted(number);
    String about =
        JsonMapper.shared()
            .writeValueAsString(
                JsonNodeFactory.instance.objectNode().put("image_id", imageId).put("key", key));
    addPair(name, key, image, caption);
    add(name + ".json", about.getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Adds a pair whose image is no other pair's.
   *
   * @param key of the pair, which names its entries
   * @param image a PNG or JPEG file
   * @throws IllegalArgumentException if the image is neither PNG nor JPEG
   */
  public void add(String key, byte[] image, String caption) throws IOException {
    addPair(key, key, image, caption);
  }

  private void addPair(String name, String key, byte[] image, String caption) throws IOException {
    String ending = ending(image);
    if (ending == null) {
      throw new IllegalArgumentException(key + ": neither PNG nor JPEG; hand over a PNG of it");
    }
    add(name + "." + ending, image);
    add(name + ".txt", caption.getBytes(StandardCharsets.UTF_8));
  }

  /** Bytes so far. */
  public long bytesWritten() {
    return tar.getBytesWritten();
  }

  /** Ends the shard, and closes what it is written to. */
  @Override
  public void close() throws IOException {
    tar.close();
  }

  private static @Nullable String ending(byte[] image) {
    if (image.length > 3 && (image[0] & 0xFF) == 0x89 && image[1] == 'P') {
      return "png";
    }
    return image.length > 3 && (image[0] & 0xFF) == 0xFF && (image[1] & 0xFF) == 0xD8
        ? "jpg"
        : null;
  }

  private void add(String name, byte[] bytes) throws IOException {
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
