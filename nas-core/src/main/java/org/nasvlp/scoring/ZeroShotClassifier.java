package org.nasvlp.scoring;

import java.util.ArrayList;
import java.util.List;
import org.nasvlp.data.image.RgbImage;

/**
 * Tells pictures apart by the names of classes, without training: each class is the mean of its
 * captions' embeddings, and a picture is most probably of the class that its own embedding is
 * nearest to (Radford et al., arXiv 2103.00020). Immutable; as thread-safe as its embedder.
 */
public final class ZeroShotClassifier {
  /** What stands for the class in a template. */
  public static final String CLASS = "{}";

  private final Embedder embedder;
  private final double temperature;
  private final List<String> classes;
  private final float[][] embeddings;

  /**
   * A classifier.
   *
   * @param embedder such as {@code NasModel.embedder()}
   * @param temperature of the contrast, such as {@code NasModel.temperature()}: a cosine over it is
   *     a logit
   * @param classes their names, two or more
   * @param templates captions that hold {@value #CLASS}, one or more, such as "a picture of a {}"
   * @throws IllegalArgumentException naming the template that lacks {@value #CLASS}, or what is too
   *     few
   */
  public ZeroShotClassifier(
      Embedder embedder, double temperature, List<String> classes, List<String> templates) {
    if (classes.size() < 2 || templates.isEmpty()) {
      throw new IllegalArgumentException(
          "%d classes and %d templates: 2 and 1 are needed at least"
              .formatted(classes.size(), templates.size()));
    }
    if (!(temperature > 0)) {
      throw new IllegalArgumentException("temperature is " + temperature + ": it must be above 0");
    }
    List<String> captions = new ArrayList<>();
    for (String name : classes) {
      for (String template : templates) {
        if (!template.contains(CLASS)) {
          throw new IllegalArgumentException("the template '" + template + "' lacks " + CLASS);
        }
        captions.add(template.replace(CLASS, name));
      }
    }
    this.embedder = embedder;
    this.temperature = temperature;
    this.classes = List.copyOf(classes);
    float[][] all = embedder.texts(captions);
    embeddings = new float[classes.size()][];
    for (int i = 0; i < embeddings.length; i++) {
      embeddings[i] = mean(List.of(all).subList(i * templates.size(), (i + 1) * templates.size()));
    }
  }

  /** The mean of vectors of length 1, with length 1 again. */
  private static float[] mean(List<float[]> vectors) {
    double[] sum = new double[vectors.getFirst().length];
    for (float[] vector : vectors) {
      for (int i = 0; i < sum.length; i++) {
        sum[i] += vector[i];
      }
    }
    double square = 0;
    for (double number : sum) {
      square += number * number;
    }
    float[] mean = new float[sum.length];
    for (int i = 0; i < mean.length; i++) {
      mean[i] = (float) (sum[i] / Math.sqrt(square));
    }
    return mean;
  }

  /** The classes, in the order of the probabilities. */
  public List<String> classes() {
    return classes;
  }

  /**
   * How probably each picture is of each class.
   *
   * @return per picture a probability of each class; they add up to 1
   */
  public double[][] classify(List<RgbImage> images) {
    float[][] pictures = embedder.images(images);
    double[][] probabilities = new double[pictures.length][embeddings.length];
    for (int i = 0; i < pictures.length; i++) {
      double most = Double.NEGATIVE_INFINITY;
      for (int c = 0; c < embeddings.length; c++) {
        double cosine = 0;
        for (int d = 0; d < pictures[i].length; d++) {
          cosine += (double) pictures[i][d] * embeddings[c][d];
        }
        probabilities[i][c] = cosine / temperature;
        most = Math.max(most, probabilities[i][c]);
      }
      double sum = 0;
      for (int c = 0; c < embeddings.length; c++) {
        probabilities[i][c] = Math.exp(probabilities[i][c] - most);
        sum += probabilities[i][c];
      }
      for (int c = 0; c < embeddings.length; c++) {
        probabilities[i][c] /= sum;
      }
    }
    return probabilities;
  }
}
