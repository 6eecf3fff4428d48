package org.nasvlp.data.source;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
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
    List<TarShard> shards = openAll(files, options);
    if (shards.stream().allMatch(shard -> shard.usable() == 0)) {
      List<String> problems =
          shards.stream().flatMap(shard -> shard.firstProblems().stream()).limit(SHOWN).toList();
      shards.forEach(TarShard::close);
      throw DatasetOpener.nothingUsable(
          folder, "shards with key.png or key.jpg beside key.txt", problems);
    }
    return new ShardFolder(folder, shards);
  }

  /** Opens several at a time, for a shard's headers are many small reads. */
  private static List<TarShard> openAll(List<Path> files, DatasetOptions options)
      throws IOException {
    TarShard[] shards = new TarShard[files.size()];
    Exception[] failures = new Exception[files.size()];
    var firstFailure = new AtomicInteger(files.size());
    IntStream.range(0, files.size())
        .parallel()
        .filter(shard -> shard < firstFailure.get())
        .forEach(
            shard -> {
              try {
                shards[shard] = TarShard.open(files.get(shard), options);
              } catch (IOException | RuntimeException e) {
                failures[shard] = e;
                firstFailure.accumulateAndGet(shard, Math::min);
              }
            });
    if (firstFailure.get() == files.size()) {
      return List.of(shards);
    }
    Arrays.stream(shards).filter(Objects::nonNull).forEach(TarShard::close);
    Exception failure = failures[firstFailure.get()];
    if (failure instanceof IOException unreadable) {
      throw unreadable;
    }
    throw (RuntimeException) failure;
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
