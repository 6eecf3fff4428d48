package org.nasvlp.spark;

import java.util.Arrays;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** Checks of what a caller hands over, before any job starts. */
final class Columns {
  private Columns() {}

  static void check(String name, int value, int low, int high) {
    if (value < low || value > high) {
      throw new IllegalArgumentException(
          "%s is %,d: it must be %,d to %,d".formatted(name, value, low, high));
    }
  }

  /**
   * The place of a column.
   *
   * @throws IllegalArgumentException if it is missing, there twice, or of none of the types
   */
  static int index(Dataset<Row> rows, String column, DataType... types) {
    StructType schema = rows.schema();
    long named = Arrays.stream(schema.fieldNames()).filter(column::equals).count();
    if (named != 1) {
      throw new IllegalArgumentException(
          "%s column %s; the columns are %s"
              .formatted(
                  named == 0 ? "there is no" : "there is more than one",
                  column,
                  String.join(", ", schema.fieldNames())));
    }
    int index = schema.fieldIndex(column);
    DataType type = schema.fields()[index].dataType();
    if (!Arrays.asList(types).contains(type)) {
      throw new IllegalArgumentException(
          "column %s is of %s; it must be of %s"
              .formatted(
                  column,
                  type.simpleString(),
                  String.join(" or ", Arrays.stream(types).map(DataType::simpleString).toList())));
    }
    return index;
  }

  /** A column by its name, whatever is in that. */
  static Column of(String name) {
    return functions.col("`" + name.replace("`", "``") + "`");
  }

  static int imageIndex(Dataset<Row> rows, String column) {
    return index(rows, column, DataTypes.StringType, DataTypes.BinaryType);
  }

  static int textIndex(Dataset<Row> rows, String column) {
    return index(rows, column, DataTypes.StringType);
  }

  static int idIndex(Dataset<Row> rows, String column) {
    return index(rows, column, DataTypes.StringType, DataTypes.LongType, DataTypes.IntegerType);
  }
}
