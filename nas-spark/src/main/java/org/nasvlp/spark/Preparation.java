package org.nasvlp.spark;

import static org.apache.spark.sql.functions.asc;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.concat;
import static org.apache.spark.sql.functions.count_distinct;
import static org.apache.spark.sql.functions.first;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.max;
import static org.apache.spark.sql.functions.min;
import static org.apache.spark.sql.functions.row_number;
import static org.apache.spark.sql.functions.sum;
import static org.apache.spark.sql.functions.when;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.expressions.Window;
import org.apache.spark.sql.expressions.WindowSpec;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.util.SerializableConfiguration;
import org.jspecify.annotations.Nullable;
import org.nasvlp.spark.ShardFolder.Part;
import scala.Tuple2;

/** One call of {@link SparkNas#prepare}, as seen by the driver. */
final class Preparation {
  /** Refused rows that the manifest names. */
  private static final int NAMED = 100;

  private final Dataset<Row> pairs;
  private final PrepareOptions options;
  private final SerializableConfiguration configuration;

  Preparation(Dataset<Row> pairs, PrepareOptions options) {
    this.pairs = pairs;
    this.options = options;
    this.configuration =
        new SerializableConfiguration(pairs.sparkSession().sparkContext().hadoopConfiguration());
  }

  Prepared run() throws IOException {
    Dataset<Row> rows = examined();
    ShardFolder folder = ShardFolder.open(options.output(), configuration.value());
    PrepareOptions.HardNegatives asked = options.hardNegatives();
    CaptionEditing editing =
        asked == null ? null : new CaptionEditing(asked, folder, configuration);
    folder.prepare();
    rows.persist(StorageLevel.MEMORY_AND_DISK());
    try {
      return run(rows, folder, editing);
    } finally {
      rows.unpersist();
    }
  }

  private Prepared run(Dataset<Row> rows, ShardFolder folder, @Nullable CaptionEditing editing)
      throws IOException {
    Map<String, Long> kinds = new HashMap<>();
    rows.groupBy("kind")
        .count()
        .collectAsList()
        .forEach(row -> kinds.put(row.isNullAt(0) ? "" : row.getString(0), row.getLong(1)));
    List<Row> named =
        rows.where(col("kind").isNotNull())
            .select("name", "kind", "reason", "caption")
            .orderBy("name", "caption", "kind", "reason")
            .limit(NAMED)
            .collectAsList();
    Long usable = kinds.remove("");
    if (usable == null) {
      throw new IOException(nothingUsable(named));
    }
    long refused = kinds.values().stream().mapToLong(Long::longValue).sum();
    Dataset<Row> kept = rows.where(col("kind").isNull());
    long needed = Math.ceilDiv(usable, options.pairsPerShard());
    if (needed > 1_000_000) {
      throw new IllegalArgumentException(
          "%,d shards are too many: raise pairsPerShard (%,d)"
              .formatted(needed, options.pairsPerShard()));
    }
    int shards = (int) needed;
    JavaPairRDD<Long, Item> byShard =
        kept.orderBy("id", "sha256", "caption")
            .select(Arrays.stream(Item.COLUMNS).map(c -> col(c)).toArray(Column[]::new))
            .toJavaRDD()
            .zipWithIndex()
            .mapToPair(row -> new Tuple2<>(row._2(), Item.of(row._1())))
            .repartitionAndSortWithinPartitions(
                new ShardPlan.ByNumber(shards, options.pairsPerShard()));
    List<String> plans =
        byShard
            .mapPartitionsWithIndex(
                new ShardPlan(options.shorterSide(), options.background()), true)
            .collect();
    String plan = ShardPlan.of(plans);
    String before = folder.manifestPlan();
    if (before != null && !before.equals(plan)) {
      throw new IOException(
          "%s is of other pairs or options; remove %s or name another output folder"
              .formatted(folder.path(ShardFolder.MANIFEST), options.output()));
    }
    Map<Integer, String> missing = new HashMap<>();
    for (int shard = 0; shard < shards; shard++) {
      if (folder.finished(shard, plans.get(shard)) == null) {
        missing.put(shard, plans.get(shard));
      }
    }
    if (!missing.isEmpty()) {
      byShard
          .mapPartitionsWithIndex(new ShardTask(options, missing, configuration), true)
          .collect();
    }
    folder.removeLeftovers(shards);
    List<Part> parts = new ArrayList<>();
    for (int shard = 0; shard < shards; shard++) {
      Part part = folder.finished(shard, plans.get(shard));
      if (part == null) {
        throw new IOException(
            folder.path(ShardFolder.shardName(shard))
                + " was removed or changed meanwhile; run this again");
      }
      parts.add(part);
    }
    folder.replace(
        folder.path(ShardFolder.MANIFEST),
        Manifest.text(
            plan, options, parts, statistics(kept, usable), usable + refused, kinds, named));
    return new Prepared(
        usable + refused,
        usable,
        refused,
        shards,
        missing.size(),
        folder.path(ShardFolder.MANIFEST).toString(),
        editing == null ? null : editing.run(byShard));
  }

  /** Every row with what is known of it; of several of one image and caption the first is kept. */
  private Dataset<Row> examined() {
    Columns.imageIndex(pairs, options.imageColumn());
    Columns.textIndex(pairs, options.captionColumn());
    List<Column> columns = new ArrayList<>();
    columns.add(Columns.of(options.imageColumn()));
    columns.add(Columns.of(options.captionColumn()));
    DataType id = DataTypes.StringType;
    if (options.idColumn() != null) {
      id = pairs.schema().fields()[Columns.idIndex(pairs, options.idColumn())].dataType();
      columns.add(Columns.of(options.idColumn()));
    }
    Examination examination =
        new Examination(options.background(), options.idColumn() != null, configuration);
    WindowSpec same = Window.partitionBy("sha256", "caption").orderBy(asc("id"), asc("path"));
    Column repeats = col("kind").isNull().and(col("place").gt(1));
    return pairs
        .select(columns.toArray(Column[]::new))
        .mapPartitions(examination, Encoders.row(Examination.schema(id)))
        .withColumn("place", row_number().over(same))
        .withColumn("first", first("name").over(same))
        .withColumn(
            "reason",
            when(repeats, concat(lit("the same image and caption as "), col("first")))
                .otherwise(col("reason")))
        .withColumn("kind", when(repeats, Examination.DUPLICATE).otherwise(col("kind")))
        .drop("place", "first");
  }

  private static Manifest.Statistics statistics(Dataset<Row> kept, long pairs) {
    Row row =
        kept.agg(
                count_distinct(col("sha256")),
                count_distinct(col("caption")),
                sum("characters"),
                min("characters"),
                max("characters"))
            .head();
    TreeMap<Integer, Long> words = new TreeMap<>();
    kept.groupBy("words")
        .count()
        .collectAsList()
        .forEach(count -> words.put(count.getInt(0), count.getLong(1)));
    return new Manifest.Statistics(
        pairs, row.getLong(0), row.getLong(1), row.getLong(2), row.getInt(3), row.getInt(4), words);
  }

  private static String nothingUsable(List<Row> named) {
    StringBuilder text = new StringBuilder("no row can be used");
    named.stream()
        .limit(10)
        .forEach(
            row ->
                text.append("\n  ").append(row.getString(0)).append(": ").append(row.getString(2)));
    return named.isEmpty() ? "there is no row" : text.toString();
  }
}
