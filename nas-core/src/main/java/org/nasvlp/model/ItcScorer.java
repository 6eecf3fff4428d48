package org.nasvlp.model;

import java.util.List;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.scoring.Embedder;
import org.nasvlp.scoring.ImageTextScorer;

/** Scores by the cosine of the contrastive embeddings. */
record ItcScorer(Embedder embedder) implements ImageTextScorer {
  @Override
  public double[] score(
      List<RgbImage> images, List<String> captions, int[] imageIndex, int[] captionIndex) {
    float[][] image = embedder.images(images);
    float[][] text = embedder.texts(captions);
    double[] scores = new double[imageIndex.length];
    for (int k = 0; k < scores.length; k++) {
      float[] a = image[imageIndex[k]];
      float[] b = text[captionIndex[k]];
      for (int i = 0; i < a.length; i++) {
        scores[k] += (double) a[i] * b[i];
      }
    }
    return scores;
  }
}
