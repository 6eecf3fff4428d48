package org.nasvlp.train;

import org.jspecify.annotations.Nullable;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.NvaTrace;

/**
 * A pair with the hard negatives that training makes of it, and what the model makes of them.
 *
 * @param pair the pair itself
 * @param match probability that its image matches its caption
 * @param edit its hard negative caption; null without one
 * @param editMatch probability that the image matches that caption; NaN without one
 * @param swap its hard negative image; null without one
 */
public record HardNegativeExample(
    ImageTextPair pair,
    double match,
    @Nullable CaptionEdit edit,
    double editMatch,
    @Nullable NvaTrace swap) {}
