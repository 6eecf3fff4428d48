package org.nasvlp.data;

import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;

/**
 * The pairs of a training step, B of them.
 *
 * @param step the step, counted from 0
 * @param keys the pairs' names in the data set
 * @param sampleIds the pairs' indices in the data set, which seed all randomness about them
 * @param imageIds equal for pairs of the same picture
 * @param captions the captions as they are tokenised: {@link CaptionTokenizer#normalize} of the
 *     data set's
 * @param images B × 3 × S × S floats in −1 to 1, channels red, green, blue
 * @param tokens the captions' tokens
 */
public record Batch(
    long step,
    String[] keys,
    long[] sampleIds,
    long[] imageIds,
    String[] captions,
    float[] images,
    TokenizedCaptions tokens) {}
