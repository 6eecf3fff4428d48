package org.nasvlp.spark;

import java.io.IOException;
import java.util.Arrays;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.SerializableConfiguration;

/**
 * Image-caption pairs on a cluster of Apache Spark: packed into a data set, trained on, scored by a
 * model, embedded by it.
 *
 * <p>A path without a scheme means what it means to the cluster's Hadoop: a file of its default
 * file system. All methods are for Spark's own driver, not for a client of Spark Connect.
 * Thread-safe.
 */
public final class SparkNas {
  /** Column of {@link #score}: how probably the caption matches the image, double in 0..1. */
  public static final String MATCH = "match";

  /** Column of {@link #score}: cosine of the contrastive embeddings, double. */
  public static final String COSINE = "cosine";

  /** Column of {@link #embed}: the image's embedding, floats of length 1. */
  public static final String IMAGE_EMBEDDING = "image_embedding";

  /** Column of {@link #embed}: the caption's embedding, floats of length 1. */
  public static final String CAPTION_EMBEDDING = "caption_embedding";

  /** Column of {@link #score} and {@link #embed}: why something is null; null if nothing is. */
  public static final String ERROR = "error";

  private SparkNas() {}

  /**
   * Checks pairs and packs them into WebDataset shards {@code pairs-000000.tar} and so on, with a
   * {@code manifest.json} that says what is in them and which rows were refused, and why. A row is
   * refused if its image cannot be read or decoded, its caption is missing or empty, it has no id
   * where there is a column of ids, or both its image's bytes and its caption are those of a row
   * before it.
   *
   * <p>The same rows and options give the same bytes on the same Java runtime, in whatever order
   * the rows come and however many executors there are. A call that was broken off is taken up by
   * the same call: finished shards stay, others are made again. Two calls at once need two folders.
   *
   * @param pairs must give the same rows each time that Spark computes it
   * @throws IOException if no row can be used, the folder holds shards of other pairs, options or
   *     makers, or it cannot be written
   * @throws IllegalArgumentException if a column is missing or of another type
   */
  public static Prepared prepare(Dataset<Row> pairs, PrepareOptions options) throws IOException {
    return new Preparation(pairs, options).run();
  }

  /**
   * Trains a model on several executors, one rank in each, as one stage whose tasks run all at
   * once: what they learn is what one process would. They exchange gradients by Gloo, at an address
   * and a free port of rank 0's executor; nothing of that is encrypted. When a task fails or an
   * executor is lost Spark ends the others, and begins the stage anew, up to {@code
   * spark.stage.maxConsecutiveAttempts} times (4): it goes on from the newest checkpoint in the
   * output, to the same bits. LibTorch has {@code spark.task.cpus} threads in each.
   *
   * @return how it ended
   * @throws org.nasvlp.train.TrainingException if it cannot start or go on, with the reason of the
   *     rank that failed; if Spark has too few free slots; if two ranks are in one executor
   */
  public static Trained train(SparkSession spark, TrainOptions options) {
    return Barrier.train(spark.sparkContext(), options, Barrier.SLOTS_SECONDS);
  }

  /**
   * The rows with three columns more: {@link #MATCH}, {@link #COSINE} and {@link #ERROR}. Where
   * image or caption cannot be used the first two are null and the third says why. Each executor
   * loads the model once, for all its tasks.
   *
   * @param checkpoint its folder, which each executor must be able to read; a file system that is
   *     not local is copied from
   * @throws IllegalArgumentException if a column is missing, of another type, or there already
   */
  public static Dataset<Row> score(Dataset<Row> pairs, String checkpoint, ScoreOptions options) {
    return ask(
        Asking.Question.SCORE, pairs, checkpoint, options, MATCH, COSINE, DataTypes.DoubleType);
  }

  /**
   * The rows with three columns more: {@link #IMAGE_EMBEDDING}, {@link #CAPTION_EMBEDDING} and
   * {@link #ERROR}. The embedding of an image or caption that cannot be used is null, and the third
   * says why. Otherwise as {@link #score}.
   */
  public static Dataset<Row> embed(Dataset<Row> pairs, String checkpoint, ScoreOptions options) {
    return ask(
        Asking.Question.EMBED,
        pairs,
        checkpoint,
        options,
        IMAGE_EMBEDDING,
        CAPTION_EMBEDDING,
        DataTypes.createArrayType(DataTypes.FloatType, false));
  }

  private static Dataset<Row> ask(
      Asking.Question question,
      Dataset<Row> pairs,
      String checkpoint,
      ScoreOptions options,
      String first,
      String second,
      DataType type) {
    int image = Columns.imageIndex(pairs, options.imageColumn());
    int caption = Columns.textIndex(pairs, options.captionColumn());
    for (String name : new String[] {first, second, ERROR}) {
      if (Arrays.stream(pairs.schema().fieldNames()).anyMatch(name::equalsIgnoreCase)) {
        throw new IllegalArgumentException(
            "there is a column " + name + " already; rename or drop it");
      }
    }
    StructType schema =
        pairs.schema().add(first, type).add(second, type).add(ERROR, DataTypes.StringType);
    SerializableConfiguration configuration =
        new SerializableConfiguration(pairs.sparkSession().sparkContext().hadoopConfiguration());
    Asking asking = new Asking(question, checkpoint, options, image, caption, configuration);
    return pairs.mapPartitions(asking, Encoders.row(schema));
  }
}
