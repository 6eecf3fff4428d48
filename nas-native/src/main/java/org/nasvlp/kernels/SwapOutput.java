package org.nasvlp.kernels;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * What a {@link TokenSwap} writes, in memory of the backend: B images of N tokens of width d, of
 * which M are chosen.
 *
 * @param positions int32[B × M]: the chosen positions in the order they were chosen in, then −1
 * @param substitutes int32[B × M]: the codes that came in their place, −1 where a token stayed
 * @param swapped float32[B × N × d]; the tokens' own segment swaps in place, unless there are
 *     donors
 * @param scores float64[B × N], or null: what tokens were chosen by
 * @param mask uint8[B × N], or null: 1 where a token was replaced, else 0
 */
public record SwapOutput(
    MemorySegment positions,
    MemorySegment substitutes,
    MemorySegment swapped,
    MemorySegment scores,
    MemorySegment mask) {

  /** Checks what is always written. */
  public SwapOutput {
    Objects.requireNonNull(positions, "positions");
    Objects.requireNonNull(substitutes, "substitutes");
    Objects.requireNonNull(swapped, "swapped");
  }

  /** What is always written. */
  public static SwapOutput of(
      MemorySegment positions, MemorySegment substitutes, MemorySegment swapped) {
    return new SwapOutput(positions, substitutes, swapped, null, null);
  }

  /** With the scores. */
  public SwapOutput withScores(MemorySegment scores) {
    return new SwapOutput(positions, substitutes, swapped, scores, mask);
  }

  /** With the mask. */
  public SwapOutput withMask(MemorySegment mask) {
    return new SwapOutput(positions, substitutes, swapped, scores, mask);
  }
}
