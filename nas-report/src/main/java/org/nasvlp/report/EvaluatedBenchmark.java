package org.nasvlp.report;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.eval.BenchmarkItem;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.ItemScores;
import org.nasvlp.eval.PublishedBenchmark;

/**
 * What scores reach on a published benchmark, for a page on it.
 *
 * @param title the benchmark's name
 * @param benchmark the items; null where only their scores are known
 * @param scores of the items
 * @param reports what each way of scoring reaches, in the order of the tables
 * @param pictures gives the items' images; null where there are none to show
 * @param imageSize pixels of a side of what the model sees; pictures are shown so
 */
public record EvaluatedBenchmark(
    String title,
    @Nullable PublishedBenchmark benchmark,
    ItemScores scores,
    Map<String, BenchmarkReport> reports,
    @Nullable Pictures pictures,
    int imageSize) {

  /** Copies the map. */
  public EvaluatedBenchmark {
    reports = Collections.unmodifiableMap(new LinkedHashMap<>(reports));
  }

  /** Reads an item's images. */
  @FunctionalInterface
  public interface Pictures {
    /**
     * An item's images.
     *
     * @throws BadSampleException if one of them cannot be read
     */
    List<RgbImage> of(BenchmarkItem item) throws BadSampleException;
  }
}
