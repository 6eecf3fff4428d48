package org.nasvlp.spark;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.Partitioner;
import org.apache.spark.api.java.function.Function2;
import scala.Tuple2;

/**
 * What tells one shard from another before either is made: a digest of all that decides its bytes,
 * but the images themselves, for which their own digests stand.
 */
record ShardPlan(int shorterSide, int background)
    implements Function2<Integer, Iterator<Tuple2<Long, Item>>, Iterator<String>> {
  /** To be raised when the same pairs get other bytes. */
  private static final int FORMAT = 1;

  @Override
  public Iterator<String> call(Integer shard, Iterator<Tuple2<Long, Item>> items) {
    MessageDigest digest = ImageFiles.sha256();
    digest.update(
        ByteBuffer.allocate(12).putInt(FORMAT).putInt(shorterSide).putInt(background).array());
    while (items.hasNext()) {
      Tuple2<Long, Item> item = items.next();
      digest.update(ByteBuffer.allocate(8).putLong(item._1()).array());
      digest.update(item._2().sha256());
      text(digest, item._2().name());
      text(digest, item._2().caption());
    }
    return List.of(HexFormat.of().formatHex(digest.digest())).iterator();
  }

  /** The plan of a whole preparation. */
  static String of(List<String> shards) {
    MessageDigest digest = ImageFiles.sha256();
    shards.forEach(shard -> text(digest, shard));
    return HexFormat.of().formatHex(digest.digest());
  }

  private static void text(MessageDigest digest, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    digest.update(ByteBuffer.allocate(4).putInt(bytes.length).array());
    digest.update(bytes);
  }

  /** Sends each pair, by its number, to its shard. */
  static final class ByNumber extends Partitioner {
    private final int shards;
    private final int pairsPerShard;

    ByNumber(int shards, int pairsPerShard) {
      this.shards = shards;
      this.pairsPerShard = pairsPerShard;
    }

    @Override
    public int numPartitions() {
      return shards;
    }

    @Override
    public int getPartition(Object number) {
      return (int) ((Long) number / pairsPerShard);
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof ByNumber that
          && that.shards == shards
          && that.pairsPerShard == pairsPerShard;
    }

    @Override
    public int hashCode() {
      return 31 * shards + pairsPerShard;
    }
  }
}
