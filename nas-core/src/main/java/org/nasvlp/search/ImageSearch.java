package org.nasvlp.search;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.model.NasModel;
import org.nasvlp.scoring.Embedder;
import org.nasvlp.scoring.ImageTextScorer;

/**
 * Finds pictures for a caption: contrast (ITC) finds candidates in an index, and matching (ITM)
 * looks at each of them. Candidates are ordered by the sum of both logits, which is what the
 * evaluation's re-ranking does. As thread-safe as the model and the pictures.
 */
public final class ImageSearch {
  private final Embedder embedder;
  private final ImageTextScorer matcher;
  private final double temperature;
  private final EmbeddingIndex index;
  private final Pictures pictures;

  /** Pictures by the keys of the index. */
  @FunctionalInterface
  public interface Pictures {
    /**
     * A picture.
     *
     * @throws BadSampleException if it cannot be read (any more)
     */
    RgbImage read(String key) throws BadSampleException;
  }

  /**
   * A picture that was found.
   *
   * @param key of the picture
   * @param similarity cosine of its embedding and the caption's
   * @param match how probably the caption matches it, by the match head: 0 to 1
   * @param score what the pictures are ordered by: the contrast's logit and the match head's
   */
  public record Found(String key, double similarity, double match, double score) {}

  /**
   * What a search found.
   *
   * @param pictures best first
   * @param unreadable candidates that could not be read any more, each with the reason
   */
  public record Result(List<Found> pictures, List<String> unreadable) {
    /** Copies the lists. */
    public Result {
      pictures = List.copyOf(pictures);
      unreadable = List.copyOf(unreadable);
    }
  }

  /**
   * A search with a model.
   *
   * @param model stays open for as long as the search is used
   * @param index of {@link NasModel#encodeImage} of the pictures, by the same model
   */
  public ImageSearch(NasModel model, EmbeddingIndex index, Pictures pictures) {
    this(model.embedder(), model.itmScorer(), model.temperature(), index, pictures);
  }

  /**
   * A search with encoders and a match head from anywhere.
   *
   * @param matcher gives the log-odds of match against mismatch
   * @param temperature of the contrast: a cosine over it is a logit
   */
  public ImageSearch(
      Embedder embedder,
      ImageTextScorer matcher,
      double temperature,
      EmbeddingIndex index,
      Pictures pictures) {
    this.embedder = embedder;
    this.matcher = matcher;
    this.temperature = temperature;
    this.index = index;
    this.pictures = pictures;
  }

  /**
   * Finds pictures.
   *
   * @param caption what they should show
   * @param top how many to return, at most
   * @param candidates how many the match head looks at, {@code top} or more: the more, the slower
   *     and the better
   * @throws IllegalArgumentException for a blank caption, for {@code top} below 1 or above {@code
   *     candidates}
   */
  public Result find(String caption, int top, int candidates) {
    if (caption.isBlank()) {
      throw new IllegalArgumentException("the caption is blank");
    }
    if (top < 1 || candidates < top) {
      throw new IllegalArgumentException(
          "top is %d and candidates %d: 1 <= top <= candidates is needed"
              .formatted(top, candidates));
    }
    if (index.size() == 0) {
      return new Result(List.of(), List.of());
    }
    List<EmbeddingIndex.Hit> hits = index.search(embedder.texts(List.of(caption))[0], candidates);
    List<EmbeddingIndex.Hit> readable = new ArrayList<>();
    List<RgbImage> images = new ArrayList<>();
    List<String> unreadable = new ArrayList<>();
    for (EmbeddingIndex.Hit hit : hits) {
      try {
        images.add(pictures.read(hit.key()));
        readable.add(hit);
      } catch (BadSampleException e) {
        unreadable.add(e.getMessage());
      }
    }
    int[] each = new int[images.size()];
    Arrays.setAll(each, i -> i);
    double[] logits =
        images.isEmpty()
            ? new double[0]
            : matcher.score(images, List.of(caption), each, new int[images.size()]);
    List<Found> found = new ArrayList<>();
    for (int i = 0; i < images.size(); i++) {
      EmbeddingIndex.Hit hit = readable.get(i);
      found.add(
          new Found(
              hit.key(),
              hit.similarity(),
              1 / (1 + Math.exp(-logits[i])),
              hit.similarity() / temperature + logits[i]));
    }
    // Stable: of equal scores the one that contrast prefers stays first.
    found.sort(Comparator.comparingDouble(Found::score).reversed());
    return new Result(found.subList(0, Math.min(top, found.size())), unreadable);
  }
}
