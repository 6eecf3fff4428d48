package org.nasvlp.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionText;

/**
 * Looks at each row: reads and decodes its image, cleans its caption. A row that no shard can hold
 * gets a kind and a reason.
 *
 * @param hasId whether the rows have a third column, of ids
 */
record Examination(int background, boolean hasId, SerializableConfiguration configuration)
    implements MapPartitionsFunction<Row, Row> {
  static final String DUPLICATE = "duplicate";

  private static final String NO_ID = "no id";
  private static final String UNREADABLE = "image unreadable";
  private static final String UNDECODABLE = "image undecodable";
  private static final String BAD_CAPTION = "caption unusable";

  /** What a row becomes; the digest of one that is refused is of what is known of it. */
  static StructType schema(DataType id) {
    return new StructType()
        .add("id", id)
        .add("name", DataTypes.StringType)
        .add("path", DataTypes.StringType)
        .add("bytes", DataTypes.BinaryType)
        .add("sha256", DataTypes.BinaryType)
        .add("caption", DataTypes.StringType)
        .add("words", DataTypes.IntegerType)
        .add("characters", DataTypes.IntegerType)
        .add("kind", DataTypes.StringType)
        .add("reason", DataTypes.StringType);
  }

  @Override
  public Iterator<Row> call(Iterator<Row> rows) {
    Stream<Row> stream = StreamSupport.stream(Spliterators.spliteratorUnknownSize(rows, 0), false);
    return stream.map(this::examine).iterator();
  }

  private Row examine(Row row) {
    Object image = row.get(0);
    String caption = row.getString(1);
    Object id = hasId ? row.get(2) : null;
    String path = image instanceof String text ? text : null;
    byte[] digest = null;
    String kind = null;
    String reason = null;
    String clean = null;
    try {
      kind = UNREADABLE;
      byte[] bytes = ImageFiles.bytes(image, configuration.value());
      digest = ImageFiles.sha256().digest(bytes);
      kind = UNDECODABLE;
      RgbImage.decode(bytes, "image", background);
      kind = BAD_CAPTION;
      if (caption == null) {
        throw new BadSampleException("caption", "there is none");
      }
      clean = CaptionText.clean(caption, "caption");
      kind = NO_ID;
      if (hasId && id == null) {
        throw new BadSampleException("id", "there is none");
      }
      kind = null;
    } catch (BadSampleException e) {
      reason = e.reason();
    } catch (IOException e) {
      // It may pass: Spark tries again, and ends the job with this message if it does not.
      throw new UncheckedIOException(image + " cannot be read: " + e.getMessage(), e);
    }
    String name = name(id, path, digest);
    if (kind == null && !hasId) {
      id = HexFormat.of().formatHex(digest);
    }
    if (kind != null) {
      String known = name + "\0" + kind + "\0" + reason + "\0" + caption;
      digest = ImageFiles.sha256().digest(known.getBytes(StandardCharsets.UTF_8));
    }
    return RowFactory.create(
        id,
        name,
        path,
        kind == null && path == null ? image : null,
        digest,
        kind == null ? clean : caption,
        clean == null ? 0 : clean.split(" ", -1).length,
        clean == null ? 0 : clean.codePointCount(0, clean.length()),
        kind,
        reason);
  }

  private static String name(@Nullable Object id, @Nullable String path, byte @Nullable [] digest) {
    if (id != null) {
      return id.toString();
    }
    if (path != null) {
      return path;
    }
    return digest == null ? "(no image)" : "sha256:" + HexFormat.of().formatHex(digest);
  }
}
