package org.nasvlp.spark;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.Fixtures;

/** Rows with ids, paths of pictures and captions, in an order that is none. */
final class Pictures {
  static final StructType PATHS =
      new StructType()
          .add("id", DataTypes.LongType)
          .add("image", DataTypes.StringType)
          .add("caption", DataTypes.StringType);

  static final StructType BYTES =
      new StructType()
          .add("id", DataTypes.LongType)
          .add("image", DataTypes.BinaryType)
          .add("caption", DataTypes.StringType);

  private final Path folder;
  private final List<Row> rows = new ArrayList<>();

  Pictures(Path folder) {
    this.folder = folder;
  }

  /** Pictures of three forms, no two the same; the id is the place, the caption says it. */
  static Pictures drawn(Path folder, int count, int width, int height) throws IOException {
    Pictures pictures = new Pictures(folder);
    String[] forms = {"png", "jpg", "gif"};
    for (int i = 0; i < count; i++) {
      // Ids in an order of their own.
      int id = i * 7 % count;
      pictures.add(id, pictures.draw(id, forms[id % 3], width, height), "picture number " + id);
    }
    return pictures;
  }

  Path draw(int id, String form, int width, int height) throws IOException {
    BufferedImage image = Fixtures.pattern(width, height, BufferedImage.TYPE_INT_RGB);
    for (int x = 0; x < width; x++) {
      image.setRGB(x, 0, id * 0x030507);
    }
    return Files.write(
        folder.resolve("%03d.%s".formatted(id, form)),
        Fixtures.encode(image, form.equals("jpg") ? "jpeg" : form));
  }

  void add(@Nullable Number id, @Nullable Object image, @Nullable String caption) {
    rows.add(
        RowFactory.create(
            id == null ? null : id.longValue(), image == null ? null : image.toString(), caption));
  }

  Dataset<Row> paths(SparkSession spark) {
    return spark.createDataFrame(rows, PATHS);
  }

  /** The same with the files' bytes in the place of their paths. */
  Dataset<Row> bytes(SparkSession spark) throws IOException {
    List<Row> read = new ArrayList<>();
    for (Row row : rows) {
      byte[] bytes = row.isNullAt(1) ? null : Files.readAllBytes(Path.of(row.getString(1)));
      read.add(RowFactory.create(row.get(0), bytes, row.get(2)));
    }
    return spark.createDataFrame(read, BYTES);
  }
}
