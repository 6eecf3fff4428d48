package org.nasvlp.eval;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.scoring.ImageTextScorer;

/**
 * A published benchmark of fine differences, read from its authors' files. Immutable and
 * thread-safe; images are read while {@link #score} runs, not before.
 */
public final class PublishedBenchmark {
  /** Items scored at a time: what bounds the decoded images in memory. */
  private static final int CHUNK = 64;

  private static final List<String> ENDINGS = List.of("", ".png", ".jpg", ".jpeg");

  private final BenchmarkFormat format;
  private final List<BenchmarkItem> items;
  private final Map<String, Integer> dropped;

  PublishedBenchmark(
      BenchmarkFormat format, List<BenchmarkItem> items, Map<String, Integer> dropped) {
    this.format = format;
    this.items = List.copyOf(items);
    this.dropped = Collections.unmodifiableMap(new LinkedHashMap<>(dropped));
  }

  /**
   * Reads a benchmark's items.
   *
   * @param data the benchmark's file; for SugarCrepe, VALSE and VL-CheckList also a folder of
   *     {@code .json} files, which are the categories: of VL-CheckList with all folders below, of
   *     the others these files alone, or those of its folder {@code data}, which their repositories
   *     have
   * @throws IOException naming the file and the entry, where it is cut short, of another form (then
   *     also what it looks like), holds an id twice, or a path that leads out of the folder of
   *     images
   */
  public static PublishedBenchmark read(BenchmarkFormat format, Path data) throws IOException {
    return BenchmarkReader.read(format, data);
  }

  /** Whose files these are. */
  public BenchmarkFormat format() {
    return format;
  }

  /** The items, in the files' order. */
  public List<BenchmarkItem> items() {
    return items;
  }

  /** Entries of the files that are no items, as their authors have it: how many, by reason. */
  public Map<String, Integer> dropped() {
    return dropped;
  }

  /** The categories, in the order of their first appearance. */
  public Set<String> categories() {
    Set<String> categories = new LinkedHashSet<>();
    items.forEach(item -> categories.add(item.category()));
    return Collections.unmodifiableSet(categories);
  }

  /**
   * This with the first items of each category alone, as VL-CheckList's authors take the first
   * 1,000 of each file.
   *
   * @param most above 0
   */
  public PublishedBenchmark firstOfEach(int most) {
    if (most < 1) {
      throw new IllegalArgumentException("most is " + most + ": it must be at least 1");
    }
    Map<String, Integer> taken = new LinkedHashMap<>();
    return new PublishedBenchmark(
        format,
        items.stream()
            .filter(item -> taken.merge(item.category(), 1, Integer::sum) <= most)
            .toList(),
        dropped);
  }

  /**
   * The ids of the items with a wrong caption that a tokenizer turns into the same tokens as a
   * right one, because it cuts both at its limit or knows too few words. No model can tell these
   * apart.
   */
  public Set<String> sameTokens(CaptionTokenizer tokenizer) {
    Set<String> ids = new LinkedHashSet<>();
    for (BenchmarkItem item : items) {
      List<long[]> rows =
          item.captions().stream().map(text -> tokenizer.encode(List.of(text)).ids()).toList();
      int right = format.task() == BenchmarkFormat.Task.TWO_RIGHT ? 2 : 1;
      if (IntStream.range(right, rows.size())
          .filter(c -> !item.captions().get(c).equals(item.captions().getFirst()))
          .anyMatch(
              c ->
                  rows.subList(0, right).stream()
                      .anyMatch(row -> Arrays.equals(row, rows.get(c))))) {
        ids.add(item.id());
      }
    }
    return Collections.unmodifiableSet(ids);
  }

  /**
   * What a model's scores are, and which items have none.
   *
   * @param scores of the items whose images could be read
   * @param unreadable for each other item, what was wrong with its image
   */
  public record Scored(ItemScores scores, Map<String, String> unreadable) {
    /** Copies the map. */
    public Scored {
      unreadable = Collections.unmodifiableMap(new LinkedHashMap<>(unreadable));
    }
  }

  /**
   * Scores all items whose images can be read.
   *
   * @param images folder that the items' paths are relative to
   * @param background RGB colour, {@code 0xRRGGBB}, behind transparent pixels
   * @param scorers ways of scoring by name: {@code itc}, {@code itm} (log-odds of a match), or
   *     others
   * @param progress told, now and then, how many items are done
   * @throws IOException if the folder does not exist
   * @throws IllegalStateException if a scorer gives NaN or a wrong number of scores
   */
  public Scored score(
      Path images, int background, Map<String, ImageTextScorer> scorers, IntConsumer progress)
      throws IOException {
    return score(images, Map.of(), background, scorers, progress);
  }

  /**
   * The same for images in several places.
   *
   * @param roots for the first folder of items' paths, for example {@code vg}, the folder that
   *     holds what is in it; all other paths are relative to {@code images}
   * @throws IOException if a folder does not exist
   */
  public Scored score(
      Path images,
      Map<String, Path> roots,
      int background,
      Map<String, ImageTextScorer> scorers,
      IntConsumer progress)
      throws IOException {
    for (Path folder :
        Stream.concat(Stream.of(images), roots.values().stream()).toArray(Path[]::new)) {
      if (!Files.isDirectory(folder)) {
        throw new IOException(folder + ": no such folder; it should hold the benchmark's images");
      }
    }
    ImageFiles files = new ImageFiles(images, roots, background);
    Map<String, Map<String, double[][]>> scores = new LinkedHashMap<>();
    Map<String, String> unreadable = new LinkedHashMap<>();
    for (int from = 0; from < items.size(); from += CHUNK) {
      int to = Math.min(items.size(), from + CHUNK);
      new Chunk(files, items.subList(from, to)).score(scorers, scores, unreadable);
      progress.accept(to);
    }
    return new Scored(new ItemScores(scores), unreadable);
  }

  /**
   * What scores reach.
   *
   * <ul>
   *   <li>caption choice, image choice and word order: {@code accuracy}, the right one scores
   *       higher than each other; an order that is the caption's own is no other;
   *   <li>two right captions (SugarCrepe++): {@code accuracy}, both score higher than the wrong
   *       one;
   *   <li>pairs (Winoground and others): {@code text} (both captions chosen), {@code image}, {@code
   *       group};
   *   <li>What'sUp: {@code accuracy}, and of the controlled images {@code pair}, two images of the
   *       same objects in opposite places both right, and {@code set}, all four right;
   *   <li>VSR, by {@code itm} alone: {@code accuracy} of captions taken for true above a match
   *       probability of one half and for false below it, and the area under the ROC curve of true
   *       captions against false ones;
   *   <li>SVO-Probes for {@code itm}: also {@code positive}, the share of the distinct sentences
   *       and right images that match (an even chance does not), {@code negative}, the share of the
   *       distinct sentences and wrong images that do not, and the mean of both;
   *   <li>VALSE: {@code acc_r}, the caption scores higher than the foil, and the area under the ROC
   *       curve of captions against foils; for {@code itm} also {@code acc} of each taken alone as
   *       match or mismatch, {@code p_c} of the captions, {@code p_f} of the foils and the lower of
   *       these two. An even chance counts as wrong.
   * </ul>
   *
   * @param way of scoring, one of {@link ItemScores#ways}
   * @param leftOut categories left out of the macro average
   * @throws IllegalArgumentException if no item has such scores, if scores are of an item that the
   *     benchmark lacks or of another shape than it needs, for a category that it lacks, or for a
   *     way that the benchmark cannot be scored by ({@link BenchmarkFormat#scoredBy})
   */
  public BenchmarkReport report(ItemScores scores, String way, Set<String> leftOut) {
    for (String category : leftOut) {
      if (!categories().contains(category)) {
        throw new IllegalArgumentException(
            "%s has no category '%s' to leave out".formatted(format.title(), category));
      }
    }
    if (!format.scoredBy(way)) {
      throw new IllegalArgumentException(
          "%s asks whether a caption is true of its image, which only itm scores say; %s have no"
                  .formatted(format.title(), way)
              + " threshold");
    }
    Set<String> ids = new LinkedHashSet<>(scores.byItem().keySet());
    items.forEach(item -> ids.remove(item.id()));
    if (!ids.isEmpty()) {
      throw new IllegalArgumentException(
          "%d scores are of items that %s lacks, the first with id %s; are they of other files?"
              .formatted(ids.size(), format.title(), ids.iterator().next()));
    }
    Map<String, List<BenchmarkMetrics.Scored>> byCategory = new LinkedHashMap<>();
    List<BenchmarkMetrics.Scored> all = new ArrayList<>();
    for (BenchmarkItem item : items) {
      double[][] matrix = scores.of(item.id(), way);
      if (matrix != null) {
        checkShape(item, matrix, way);
        BenchmarkMetrics.Scored scored = new BenchmarkMetrics.Scored(item, matrix);
        byCategory.computeIfAbsent(item.category(), name -> new ArrayList<>()).add(scored);
        all.add(scored);
      }
    }
    if (all.isEmpty()) {
      throw new IllegalArgumentException(
          "no item of %s has %s scores".formatted(format.title(), way));
    }
    BenchmarkMetrics metrics = BenchmarkMetrics.of(format, way, all);
    Set<String> notAveraged = notAveraged(byCategory, leftOut);
    Map<String, List<Share>> shares = new LinkedHashMap<>();
    byCategory.forEach((category, of) -> shares.put(category, metrics.shares(of)));
    Map<String, List<Double>> rates = new LinkedHashMap<>();
    byCategory.forEach((category, of) -> rates.put(category, metrics.rates(of)));
    return new BenchmarkReport(
        metrics.shareNames(),
        shares,
        metrics.shares(all),
        BenchmarkReport.macro(BenchmarkReport.values(shares), notAveraged),
        notAveraged,
        all.size(),
        items.size() - all.size(),
        new Rates(
            metrics.rateNames(),
            rates,
            metrics.rates(all),
            BenchmarkReport.macro(rates, notAveraged)),
        format.leastItems(),
        (int) all.stream().filter(of -> BenchmarkMetrics.isTied(format.task(), of)).count());
  }

  /**
   * By how much an item is right: the least lead of a right combination over a wrong one that it is
   * held against, in the unit of the scores. Above 0 exactly where the item counts as right in
   * {@code accuracy} or {@code acc_r}, of pairs in {@code group}; 0 is a tie. Infinite where there
   * is nothing to be held against.
   *
   * @param scores images by captions, of the shape that {@link ItemScores} has
   */
  public double margin(BenchmarkItem item, double[][] scores) {
    return BenchmarkMetrics.margin(format.task(), new BenchmarkMetrics.Scored(item, scores));
  }

  /**
   * An item's images, as {@link #score} reads them.
   *
   * @param images folder that the items' paths are relative to
   * @param roots for the first folder of items' paths the folder that holds what is in it
   * @param background RGB colour, {@code 0xRRGGBB}, behind transparent pixels
   * @throws BadSampleException if one of them cannot be read
   */
  public static List<RgbImage> pictures(
      BenchmarkItem item, Path images, Map<String, Path> roots, int background)
      throws BadSampleException {
    ImageFiles files = new ImageFiles(images, roots, background);
    List<RgbImage> pictures = new ArrayList<>();
    for (BenchmarkItem.Picture picture : item.pictures()) {
      pictures.add(files.read(picture));
    }
    return pictures;
  }

  /**
   * Winoground's metrics from scores alone, without its categories.
   *
   * @throws IllegalArgumentException if an item's scores are not two images by two captions, or no
   *     item has such scores
   */
  public static BenchmarkReport winoground(ItemScores scores, String way) {
    PublishedBenchmark benchmark =
        new PublishedBenchmark(
            BenchmarkFormat.WINOGROUND,
            scores.byItem().keySet().stream()
                .map(id -> new BenchmarkItem(id, "all", List.of(), List.of()))
                .toList(),
            Map.of());
    return benchmark.report(scores, way, Set.of());
  }

  /** The categories that the macro average leaves out. */
  private Set<String> notAveraged(
      Map<String, List<BenchmarkMetrics.Scored>> byCategory, Set<String> leftOut) {
    Set<String> all = new LinkedHashSet<>(leftOut);
    all.retainAll(byCategory.keySet());
    if (format.averagesLargeOnly()) {
      byCategory.forEach(
          (category, of) -> {
            if (of.size() < format.leastItems()) {
              all.add(category);
            }
          });
    }
    return format.averagesLargeOnly() && all.containsAll(byCategory.keySet()) ? leftOut : all;
  }

  private void checkShape(BenchmarkItem item, double[][] s, String way) {
    int captions = format.task().captions(item);
    if (s.length != format.task().images()
        || Arrays.stream(s).anyMatch(row -> row.length != captions)) {
      throw new IllegalArgumentException(
          "the %s scores of item %s are %s; %s needs %d x %d (images by captions)"
              .formatted(
                  way,
                  item.id(),
                  Arrays.deepToString(s),
                  format.title(),
                  format.task().images(),
                  captions));
    }
  }

  /** Some items, with the images among them decoded once. */
  private static final class Chunk {
    private final ImageFiles files;
    private final List<BenchmarkItem> items;
    private final Map<BenchmarkItem.Picture, Integer> imageIndex = new LinkedHashMap<>();
    private final List<RgbImage> images = new ArrayList<>();
    private final Map<String, Integer> captionIndex = new LinkedHashMap<>();

    Chunk(ImageFiles files, List<BenchmarkItem> items) {
      this.files = files;
      this.items = items;
    }

    void score(
        Map<String, ImageTextScorer> scorers,
        Map<String, Map<String, double[][]>> scores,
        Map<String, String> unreadable) {
      List<BenchmarkItem> readable = new ArrayList<>();
      List<int[]> combinations = new ArrayList<>();
      for (BenchmarkItem item : items) {
        try {
          for (BenchmarkItem.Picture picture : item.pictures()) {
            if (!imageIndex.containsKey(picture)) {
              images.add(files.read(picture));
              imageIndex.put(picture, images.size() - 1);
            }
          }
        } catch (BadSampleException e) {
          unreadable.put(item.id(), e.getMessage());
          continue;
        }
        readable.add(item);
        for (BenchmarkItem.Picture picture : item.pictures()) {
          for (String caption : item.captions()) {
            int index = captionIndex.computeIfAbsent(caption, text -> captionIndex.size());
            combinations.add(new int[] {imageIndex.get(picture), index});
          }
        }
      }
      if (readable.isEmpty()) {
        return;
      }
      List<String> captions = List.copyOf(captionIndex.keySet());
      int[] image = combinations.stream().mapToInt(pair -> pair[0]).toArray();
      int[] caption = combinations.stream().mapToInt(pair -> pair[1]).toArray();
      readable.forEach(item -> scores.put(item.id(), new LinkedHashMap<>()));
      scorers.forEach(
          (way, scorer) -> {
            double[] given = scorer.score(images, captions, image, caption);
            if (given.length != image.length) {
              throw new IllegalStateException(
                  "the %s scorer gave %d scores for %d combinations"
                      .formatted(way, given.length, image.length));
            }
            int next = 0;
            for (BenchmarkItem item : readable) {
              double[][] matrix = new double[item.pictures().size()][item.captions().size()];
              for (double[] row : matrix) {
                for (int c = 0; c < row.length; c++) {
                  row[c] = given[next++];
                  if (Double.isNaN(row[c])) {
                    throw new IllegalStateException(
                        "the %s scorer gave NaN for item %s: the model's parameters or features are"
                                .formatted(way, item.id())
                            + " not finite");
                  }
                }
              }
              scores.get(item.id()).put(way, matrix);
            }
          });
    }
  }

  /** Where items' images are. */
  private record ImageFiles(Path folder, Map<String, Path> roots, int background) {
    private Path place(String path) {
      int end = path.indexOf('/');
      Path root = end < 0 ? null : roots.get(path.substring(0, end));
      return root == null ? folder.resolve(path) : root.resolve(path.substring(end + 1));
    }

    RgbImage read(BenchmarkItem.Picture picture) throws BadSampleException {
      Path file = place(picture.path());
      for (String ending : ENDINGS) {
        Path candidate = place(picture.path() + ending);
        if (Files.isRegularFile(candidate)) {
          file = candidate;
          break;
        }
      }
      RgbImage image = RgbImage.read(file, background);
      BenchmarkItem.Crop crop = picture.crop();
      if (crop == null) {
        return image;
      }
      int x1 = (int) Math.min(image.width(), (long) crop.x() + crop.width());
      int y1 = (int) Math.min(image.height(), (long) crop.y() + crop.height());
      if (crop.x() >= x1 || crop.y() >= y1) {
        throw new BadSampleException(
            file.toString(),
            "has %d x %d pixels; the item's rectangle lies outside"
                .formatted(image.width(), image.height()));
      }
      return image.crop(crop.x(), crop.y(), x1 - crop.x(), y1 - crop.y());
    }
  }
}
