package org.nasvlp.data.source;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageCaption;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;

/** Several shards, one after the other. */
final class ShardFolder implements ImageTextDataset {
  private static final int SHOWN = 10;

  private final Path folder;
  private final List<TarShard> shards;
  private final long[] starts;

  private ShardFolder(Path folder, List<TarShard> shards) {
    this.folder = folder;
    this.shards = List.copyOf(shards);
    this.starts = new long[shards.size() + 1];
    for (int i = 0; i < shards.size(); i++) {
      starts[i + 1] = starts[i] + shards.get(i).size();
    }
  }

  static ShardFolder open(Path folder, List<Path> files, DatasetOptions options)
      throws IOException {
    List<TarShard> shards = new ArrayList<>();
    try {
      List<String> problems = new ArrayList<>();
      long usable = 0;
      for (Path file : files) {
        TarShard shard = TarShard.open(file, options);
        shards.add(shard);
        usable += shard.usable();
        if (problems.size() < SHOWN) {
          problems.addAll(shard.firstProblems());
        }
      }
      if (usable == 0) {
        throw DatasetOpener.nothingUsable(
            folder,
            "shards with key.png or key.jpg beside key.txt",
            problems.subList(0, Math.min(SHOWN, problems.size())));
      }
      return new ShardFolder(folder, shards);
    } catch (IOException | RuntimeException e) {
      shards.forEach(TarShard::close);
      throw e;
    }
  }

  @Override
  public long size() {
    return starts[starts.length - 1];
  }

  @Override
  public ImageTextPair get(long index) throws BadSampleException {
    int shard = shardOf(index);
    return shards.get(shard).get(index - starts[shard]);
  }

  @Override
  public byte[] encodedImage(long index) throws BadSampleException {
    int shard = shardOf(index);
    return shards.get(shard).encodedImage(index - starts[shard]);
  }

  @Override
  public ImageCaption caption(long index) throws BadSampleException {
    int shard = shardOf(index);
    return shards.get(shard).caption(index - starts[shard]);
  }

  private int shardOf(long index) {
    Objects.checkIndex(index, size());
    int found = Arrays.binarySearch(starts, index);
    // Every shard has at least one entry, so no two starts are equal.
    return found >= 0 ? found : -found - 2;
  }

  @Override
  public String name() {
    return folder.toString();
  }

  @Override
  public void close() {
    shards.forEach(TarShard::close);
  }
}
