package org.nasvlp.kernels;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * What a {@link TokenSwap} reads, in memory of the backend or as Java arrays: B images of N tokens,
 * K codewords of width d, neighbour lists of length R, E rows of evidence. What the rules do not
 * read may be null.
 *
 * @param tokens float32[B × N × d]
 * @param codes code of each token, int32[B × N], each 0..K−1
 * @param neighbourLists int32[K × R] of {@link Codebook#neighbours}
 * @param text similarity of each token to the caption, float32[B × N]; for {@link
 *     TokenSwap.Choose#RELEVANCE}
 * @param image similarity of each token to the whole image, float32[B × N]; for {@link
 *     TokenSwap.Choose#RELEVANCE}
 * @param evidence how much each code speaks for the word put in, against the one taken out,
 *     float64[E × K]; for the rules by evidence, unless E is 0
 * @param evidenceRows E, ≥ 0
 * @param evidenceOf row of evidence of each image, int32[B], −1: the image has none and is left as
 *     it is; for the rules by evidence
 * @param sampleIds ids that draws depend on, int64[B]; for {@link TokenSwap.Substitute#DRAW} and
 *     donors
 */
public record SwapInput(
    MemorySegment tokens,
    MemorySegment codes,
    MemorySegment neighbourLists,
    MemorySegment text,
    MemorySegment image,
    MemorySegment evidence,
    int evidenceRows,
    MemorySegment evidenceOf,
    MemorySegment sampleIds) {

  /** Checks what every rule reads. */
  public SwapInput {
    Objects.requireNonNull(tokens, "tokens");
    Objects.requireNonNull(codes, "codes");
    Objects.requireNonNull(neighbourLists, "neighbourLists");
    if (evidenceRows < 0) {
      throw new IllegalArgumentException(
          "evidenceRows is " + evidenceRows + "; it must be at least 0");
    }
  }

  /** What every rule reads. */
  public static SwapInput of(
      MemorySegment tokens, MemorySegment codes, MemorySegment neighbourLists) {
    return new SwapInput(tokens, codes, neighbourLists, null, null, null, 0, null, null);
  }

  /**
   * What every rule reads, as Java arrays for {@link Codebook#swap(TokenSwap, SwapInput)}; they are
   * not copied before.
   *
   * @param tokens B × N × d
   * @param codes code of each token, B × N, each 0..K−1
   * @param neighbourLists K × R of {@link Codebook#neighbours(int, boolean[])}
   */
  public static SwapInput of(float[] tokens, int[] codes, int[] neighbourLists) {
    return of(
        MemorySegment.ofArray(tokens),
        MemorySegment.ofArray(codes),
        MemorySegment.ofArray(neighbourLists));
  }

  /** With similarities, for {@link TokenSwap.Choose#RELEVANCE}. */
  public SwapInput withSimilarities(MemorySegment text, MemorySegment image) {
    return new SwapInput(
        tokens, codes, neighbourLists, text, image, evidence, evidenceRows, evidenceOf, sampleIds);
  }

  /** With similarities in Java arrays, B × N each. */
  public SwapInput withSimilarities(float[] text, float[] image) {
    return withSimilarities(MemorySegment.ofArray(text), MemorySegment.ofArray(image));
  }

  /** With evidence, for {@link TokenSwap.Choose#GAIN} and the substitutes by evidence. */
  public SwapInput withEvidence(MemorySegment evidence, int rows, MemorySegment evidenceOf) {
    return new SwapInput(
        tokens, codes, neighbourLists, text, image, evidence, rows, evidenceOf, sampleIds);
  }

  /**
   * With evidence in Java arrays.
   *
   * @param evidence E × K, row by row
   * @param rows E, ≥ 0
   * @param evidenceOf row of evidence of each image, B, −1: the image has none
   */
  public SwapInput withEvidence(double[] evidence, int rows, int[] evidenceOf) {
    return withEvidence(MemorySegment.ofArray(evidence), rows, MemorySegment.ofArray(evidenceOf));
  }

  /** With ids, for {@link TokenSwap.Substitute#DRAW} and donors. */
  public SwapInput withSampleIds(MemorySegment sampleIds) {
    return new SwapInput(
        tokens, codes, neighbourLists, text, image, evidence, evidenceRows, evidenceOf, sampleIds);
  }

  /** With ids in a Java array, B. */
  public SwapInput withSampleIds(long[] sampleIds) {
    return withSampleIds(MemorySegment.ofArray(sampleIds));
  }
}
