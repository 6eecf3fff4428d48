package org.nasvlp.spark;

/**
 * What {@link SparkNas#prepare} did; more is in the manifest.
 *
 * @param rows of the input
 * @param pairs in the shards
 * @param refused rows that are in no shard
 * @param shards of the whole preparation
 * @param written shards that this call wrote; the others were there
 * @param manifest path of {@code manifest.json}
 */
public record Prepared(
    long rows, long pairs, long refused, int shards, int written, String manifest) {}
