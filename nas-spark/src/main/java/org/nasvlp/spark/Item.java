package org.nasvlp.spark;

import java.io.IOException;
import java.io.Serializable;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Row;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;

/**
 * A pair on its way into a shard. Its image is a path, or bytes where the input has no paths.
 *
 * @param sha256 of the image file, 32 bytes
 */
record Item(
    String name, @Nullable String path, byte @Nullable [] bytes, byte[] sha256, String caption)
    implements Serializable {
  /** The columns of such a row. */
  static final String[] COLUMNS = {"name", "path", "bytes", "sha256", "caption"};

  static Item of(Row row) {
    return new Item(
        row.getString(0), row.getString(1), row.getAs(2), row.getAs(3), row.getString(4));
  }

  byte[] image(Configuration configuration) throws BadSampleException, IOException {
    return bytes == null ? ImageFiles.bytes(path, configuration) : bytes;
  }
}
