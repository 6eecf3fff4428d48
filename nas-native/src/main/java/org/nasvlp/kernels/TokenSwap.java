package org.nasvlp.kernels;

import java.util.Objects;

/**
 * Parameters of a token swap, which makes hard negative images through the codebook (NAS, arXiv
 * 2412.10029): in each image some tokens are replaced by near but different codewords. Which
 * tokens, what comes in their place and how it is written are rules of their own; {@link
 * Codebook#swap} says what they compute.
 *
 * @param images number of images B, ≥ 0
 * @param tokens patch tokens of an image N, ≥ 1
 * @param chosen tokens to choose in each image M, at most, 1..N
 * @param neighbours width of the neighbour lists R, 1..1024
 * @param choose which tokens
 * @param substitute what comes in their place
 * @param write how it is written
 * @param donors whether tokens of other images with the substitute's code come before codewords
 * @param textWeight weight λ of the similarity to the caption, 0..1; that to the image has 1 − λ;
 *     for {@link Choose#RELEVANCE}
 * @param seed seed of the draws
 * @param step training step, taken as 32 unsigned bits
 */
public record TokenSwap(
    int images,
    int tokens,
    int chosen,
    int neighbours,
    Choose choose,
    Substitute substitute,
    Write write,
    boolean donors,
    double textWeight,
    long seed,
    int step) {

  /** Which tokens of an image are chosen. */
  public enum Choose {
    /** Those most similar to the caption and to the image as a whole. */
    RELEVANCE,
    /** Those whose neighbours gain most evidence for the word put in. */
    GAIN
  }

  /** What comes in the place of a chosen token. */
  public enum Substitute {
    /** A neighbour that the image lacks, drawn at random. */
    DRAW,
    /** The neighbour that speaks most for the word put in. */
    MOST_EVIDENCE,
    /** The neighbour that speaks least for the word put in, and so most for the one taken out. */
    LEAST_EVIDENCE
  }

  /** How a chosen token v with code z is replaced by substitute z'. */
  public enum Write {
    /** By the codeword e_z'. */
    CODEWORD,
    /** By (v − e_z) + e_z', in float32: the token keeps its residual. */
    RESIDUAL
  }

  /** Checks the ranges. */
  public TokenSwap {
    Objects.requireNonNull(choose, "choose");
    Objects.requireNonNull(substitute, "substitute");
    Objects.requireNonNull(write, "write");
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

  /** Whether a rule reads evidence. */
  public boolean byEvidence() {
    return choose == Choose.GAIN || substitute != Substitute.DRAW;
  }

  /** Whether a rule draws, and so reads sample ids. */
  public boolean byDraws() {
    return substitute == Substitute.DRAW || donors;
  }

  /**
   * Starts from the sizes, by relevance and draws, writing codewords, without donors, at weight
   * 0.5, seed 0 and step 0.
   *
   * @param images number of images B
   * @param tokens patch tokens of an image N
   * @param chosen tokens to choose in each image M
   * @param neighbours width of the neighbour lists R
   */
  public static Builder builder(int images, int tokens, int chosen, int neighbours) {
    return new Builder(images, tokens, chosen, neighbours);
  }

  /** Collects what a swap is to do. */
  public static final class Builder {
    private final int images;
    private final int tokens;
    private final int chosen;
    private final int neighbours;
    private Choose choose = Choose.RELEVANCE;
    private Substitute substitute = Substitute.DRAW;
    private Write write = Write.CODEWORD;
    private boolean donors;
    private double textWeight = 0.5;
    private long seed;
    private int step;

    private Builder(int images, int tokens, int chosen, int neighbours) {
      this.images = images;
      this.tokens = tokens;
      this.chosen = chosen;
      this.neighbours = neighbours;
    }

    /** Which tokens. */
    public Builder choose(Choose rule) {
      choose = rule;
      return this;
    }

    /** What comes in their place. */
    public Builder substitute(Substitute rule) {
      substitute = rule;
      return this;
    }

    /** How it is written. */
    public Builder write(Write rule) {
      write = rule;
      return this;
    }

    /** Whether tokens of other images come before codewords. */
    public Builder donors(boolean whether) {
      donors = whether;
      return this;
    }

    /** Weight λ of the similarity to the caption. */
    public Builder textWeight(double weight) {
      textWeight = weight;
      return this;
    }

    /** Seed of the draws, and the training step they depend on. */
    public Builder draws(long seed, int step) {
      this.seed = seed;
      this.step = step;
      return this;
    }

    /** The parameters, checked. */
    public TokenSwap build() {
      return new TokenSwap(
          images,
          tokens,
          chosen,
          neighbours,
          choose,
          substitute,
          write,
          donors,
          textWeight,
          seed,
          step);
    }
  }
}
