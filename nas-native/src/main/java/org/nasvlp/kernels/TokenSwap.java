package org.nasvlp.kernels;

import java.util.Objects;

/**
 * Parameters of a token swap, which makes hard negative images through the codebook: in each image
 * the tokens most similar to the caption and to the image as a whole are replaced by near but
 * different codewords (NAS, arXiv 2412.10029).
 *
 * @param images number of images B, ≥ 0
 * @param tokens patch tokens of an image N, ≥ 1
 * @param chosen tokens to choose in each image M, 1..N
 * @param neighbours width of the neighbour lists R, 1..1024
 * @param textWeight weight λ of the similarity to the caption, 0..1; that to the image has 1 − λ
 * @param seed seed of the draws
 * @param step training step, taken as 32 unsigned bits
 * @param mode how a token is replaced
 */
public record TokenSwap(
    int images,
    int tokens,
    int chosen,
    int neighbours,
    double textWeight,
    long seed,
    int step,
    Mode mode) {

  /** How a chosen token v with code z is replaced by substitute z'. */
  public enum Mode {
    /** By the codeword e_z'. */
    QUANTISED,
    /** By (v − e_z) + e_z', in float32: the token keeps its residual. */
    RESIDUAL
  }

  /** Checks the ranges. */
  public TokenSwap {
    Objects.requireNonNull(mode, "mode");
    if (images < 0) {
      throw new IllegalArgumentException("images is " + images + "; it must be at least 0");
    }
    if (tokens < 1) {
      throw new IllegalArgumentException("tokens is " + tokens + "; it must be at least 1");
    }
    if (chosen < 1 || chosen > tokens) {
      throw new IllegalArgumentException(
          "chosen is " + chosen + "; it must be in 1.." + tokens + ", the tokens of an image");
    }
    if (neighbours < 1 || neighbours > Codebook.MAX_NEIGHBOURS) {
      throw new IllegalArgumentException(
          "neighbours is " + neighbours + "; it must be in 1.." + Codebook.MAX_NEIGHBOURS);
    }
    if (!(textWeight >= 0 && textWeight <= 1)) {
      throw new IllegalArgumentException("textWeight is " + textWeight + "; it must be in 0..1");
    }
  }
}
