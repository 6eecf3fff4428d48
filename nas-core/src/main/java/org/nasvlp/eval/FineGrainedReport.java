package org.nasvlp.eval;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Fine-grained scores of one scorer.
 *
 * @param byAttribute scores of each attribute, in the order of the attributes' first appearance in
 *     the benchmark; unmodifiable
 * @param all micro-average: every pair counts alike
 * @param macro macro-average: every attribute counts alike; its {@code pairs} is the total
 */
public record FineGrainedReport(
    Map<String, AttributeScores> byAttribute, AttributeScores all, AttributeScores macro) {

  /** Copies the map, keeping its order. */
  public FineGrainedReport {
    byAttribute = Collections.unmodifiableMap(new LinkedHashMap<>(byAttribute));
  }
}
