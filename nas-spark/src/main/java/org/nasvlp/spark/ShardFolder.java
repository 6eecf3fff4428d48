package org.nasvlp.spark;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.source.ShardStream;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The folder of a preparation. Beside the shards stands {@code _parts}, with a file for each shard
 * that says what is in it: a shard is finished when that file is of the wanted plan and the shard
 * has the length that it names. A shard gets its name last of all.
 */
final class ShardFolder {
  static final String MANIFEST = "manifest.json";

  private static final String ENDING = ".tar";

  private final FileSystem files;
  private final Path folder;
  private final Path parts;

  private ShardFolder(FileSystem files, Path folder) {
    this.files = files;
    this.folder = folder;
    this.parts = new Path(folder, "_parts");
  }

  static ShardFolder open(String folder, Configuration configuration) throws IOException {
    Path path = new Path(folder);
    FileSystem files = path.getFileSystem(configuration);
    // The plain one of local files: no checksum file beside each shard.
    return new ShardFolder(files instanceof LocalFileSystem local ? local.getRaw() : files, path);
  }

  /** What a finished shard holds. */
  record Part(String name, String plan, long pairs, long bytes, String sha256)
      implements java.io.Serializable {}

  static String shardName(int shard) {
    return "pairs-%06d%s".formatted(shard, ENDING);
  }

  Path path(String name) {
    return new Path(folder, name);
  }

  /**
   * Makes the folder if it does not exist.
   *
   * @throws IOException if it holds shards of somebody else, which a reader would take for a part
   *     of the data set
   */
  void prepare() throws IOException {
    files.mkdirs(parts);
    for (FileStatus file : files.listStatus(folder)) {
      String name = file.getPath().getName();
      if (name.endsWith(ENDING) && !files.exists(partPath(name))) {
        throw new IOException(
            file.getPath() + " was not made here; remove it or name another output folder");
      }
    }
  }

  /** Removes shards of a longer preparation that did not end, and what killed tasks left. */
  void removeLeftovers(int shards) throws IOException {
    for (FileStatus file : files.listStatus(parts)) {
      String name = file.getPath().getName();
      if (!name.endsWith(".json")) {
        files.delete(file.getPath(), false);
        continue;
      }
      String shard = name.substring(0, name.length() - ".json".length());
      if (shard.compareTo(shardName(shards)) >= 0) {
        files.delete(path(shard), false);
        files.delete(file.getPath(), false);
      }
    }
  }

  /** The shard if it is finished and of this plan, else null. */
  @Nullable Part finished(int shard, String plan) throws IOException {
    String name = shardName(shard);
    try {
      JsonNode node = read(partPath(name));
      Part part =
          new Part(
              name,
              node.path("plan").asString(""),
              node.path("pairs").asLong(-1),
              node.path("bytes").asLong(-1),
              node.path("sha256").asString(""));
      return part.plan().equals(plan) && files.getFileStatus(path(name)).getLen() == part.bytes()
          ? part
          : null;
    } catch (FileNotFoundException | JacksonException e) {
      return null;
    }
  }

  /** The plan of the manifest, null if there is none. */
  @Nullable String manifestPlan() throws IOException {
    try {
      return read(path(MANIFEST)).path("plan").asString("");
    } catch (FileNotFoundException e) {
      return null;
    } catch (JacksonException e) {
      throw new IOException(path(MANIFEST) + " is not JSON; remove it, and run this again", e);
    }
  }

  /** Writes the pairs of a shard. */
  interface Contents {
    long write(ShardStream shard) throws IOException;
  }

  /** Makes a shard, or makes it again. */
  Part write(int shard, String plan, Contents contents) throws IOException {
    String name = shardName(shard);
    Path temporary = temporary(name);
    try {
      Tally tally = new Tally(files.create(temporary, true));
      long pairs;
      try (ShardStream stream = new ShardStream(tally)) {
        pairs = contents.write(stream);
      }
      Part part = new Part(name, plan, pairs, tally.bytes(), tally.sha256());
      Part there = finished(shard, plan);
      if (there != null) {
        // By another try of the same task, which was thought dead.
        return there;
      }
      files.delete(path(name), false);
      replace(partPath(name), Manifest.text(part));
      rename(temporary, path(name));
      return part;
    } finally {
      files.delete(temporary, false);
    }
  }

  void replace(Path path, String text) throws IOException {
    Path temporary = temporary(path.getName());
    try {
      try (FSDataOutputStream out = files.create(temporary, true)) {
        out.write(text.getBytes(StandardCharsets.UTF_8));
      }
      files.delete(path, false);
      rename(temporary, path);
    } finally {
      files.delete(temporary, false);
    }
  }

  private void rename(Path from, Path to) throws IOException {
    if (!files.rename(from, to)) {
      throw new IOException(from + " cannot be renamed to " + to);
    }
  }

  private Path partPath(String name) {
    return new Path(parts, name + ".json");
  }

  private Path temporary(String name) {
    return new Path(parts, name + "." + UUID.randomUUID() + ".tmp");
  }

  private JsonNode read(Path path) throws IOException {
    try (FSDataInputStream in = files.open(path)) {
      return JsonMapper.shared().readTree(in.readAllBytes());
    }
  }
}
