package org.nasvlp.scoring;

import java.util.List;
import org.nasvlp.data.image.RgbImage;

/** The contrastive embeddings of a model, whose dot products order images and captions. */
public interface Embedder {
  /** An embedding of each image. */
  float[][] images(List<RgbImage> images);

  /** An embedding of each caption, of the same width. */
  float[][] texts(List<String> captions);
}
