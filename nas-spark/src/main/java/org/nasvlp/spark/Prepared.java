package org.nasvlp.spark;

import org.jspecify.annotations.Nullable;

/**
 * What {@link SparkNas#prepare} did; more is in the manifest.
 *
 * @param rows of the input
 * @param pairs in the shards
 * @param refused rows that are in no shard
 * @param shards of the whole preparation
 * @param written shards that this call wrote; the others were there
 * @param manifest path of {@code manifest.json}
 * @param captionEdits path of the file of hard negative captions; null where none were asked for
 */
public record Prepared(
    long rows,
    long pairs,
    long refused,
    int shards,
    int written,
    String manifest,
    @Nullable String captionEdits) {}
