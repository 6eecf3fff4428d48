package org.nasvlp.spark;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.spark.api.java.function.Function2;
import org.apache.spark.util.SerializableConfiguration;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.source.ShardStream;
import scala.Tuple2;

/**
 * Writes a shard.
 *
 * @param missing the plans of the shards that are to be made, by number
 */
record ShardTask(
    PrepareOptions options, Map<Integer, String> missing, SerializableConfiguration configuration)
    implements Function2<Integer, Iterator<Tuple2<Long, Item>>, Iterator<String>> {

  /** The names of the shards that were made: one or none. */
  @Override
  public Iterator<String> call(Integer shard, Iterator<Tuple2<Long, Item>> items)
      throws IOException {
    String plan = missing.get(shard);
    if (plan == null) {
      return List.<String>of().iterator();
    }
    ShardFolder folder = ShardFolder.open(options.output(), configuration.value());
    return List.of(folder.write(shard, plan, stream -> write(items, stream)).name()).iterator();
  }

  private long write(Iterator<Tuple2<Long, Item>> items, ShardStream stream) throws IOException {
    long pairs = 0;
    while (items.hasNext()) {
      Tuple2<Long, Item> numbered = items.next();
      Item item = numbered._2();
      try {
        byte[] file = item.image(configuration.value());
        if (!MessageDigest.isEqual(ImageFiles.sha256().digest(file), item.sha256())) {
          throw new IOException(item.name() + ": the image was changed meanwhile; run this again");
        }
        byte[] fit =
            ImageFiles.fit(
                file,
                item.name(),
                ShardStream.holds(file),
                options.shorterSide(),
                options.background());
        // Images of the same bytes have the same id, so that none is a negative of itself.
        long imageId = ByteBuffer.wrap(item.sha256()).getLong();
        stream.add(numbered._1(), fit, item.caption(), imageId, item.name());
        pairs++;
      } catch (BadSampleException e) {
        throw new IOException(e.getMessage() + ", though it was usable before; run this again", e);
      }
    }
    return pairs;
  }
}
