package org.nasvlp.spark;

import java.io.Serializable;
import java.util.Map;

/**
 * How {@link SparkNas#train} ended.
 *
 * @param checkpoint the last one's folder
 * @param step steps done in all, earlier calls that were resumed included
 * @param stopped whether it was asked to stop before its planned end
 * @param losses the last step's, by name
 * @param skippedSamples distinct bad samples that were skipped, of all ranks
 * @param attempts how often Spark began it
 */
public record Trained(
    String checkpoint,
    long step,
    boolean stopped,
    Map<String, Double> losses,
    long skippedSamples,
    int attempts)
    implements Serializable {}
