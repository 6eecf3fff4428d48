package org.nasvlp.kernels;

/**
 * What a {@link TokenSwap} makes of Java arrays: B images of N tokens of width d, of which M are
 * chosen. The arrays are the caller's.
 *
 * @param positions B × M: the chosen positions in the order they were chosen in, then −1
 * @param substitutes B × M: the codes that came in their place, −1 where a token stayed
 * @param swapped B × N × d float32: the hard negative images
 * @param scores B × N: what tokens were chosen by
 * @param mask B × N: whether a token was replaced
 */
@SuppressWarnings("ArrayRecordComponent") // a result that is read, not compared
public record SwapResult(
    int[] positions, int[] substitutes, float[] swapped, double[] scores, boolean[] mask) {}
