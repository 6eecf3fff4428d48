/**
 * Image–caption pairs: reading them from tar shards and JSON lists, decoding and augmenting the
 * images, tokenising the captions and making batches.
 *
 * <p>Everything random here comes from {@link org.nasvlp.random.Draws#draw}, a pure function of
 * (seed, step, sample, position). This package uses the positions {@code 0x40000000} to {@code
 * 0x5FFFFFFF} only.
 */
package org.nasvlp.data;
