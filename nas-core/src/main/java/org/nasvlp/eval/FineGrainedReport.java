package org.nasvlp.eval;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Fine-grained scores of one scorer.
 *
 * @param byAttribute scores of each attribute, in the order of the attributes' first appearance in
 *     the benchmark; unmodifiable
 * @param all micro-average: every pair counts alike
 * @param macro macro-average: every attribute counts alike; its {@code pairs} is the total
 * @param reworded true rewordings of each attribute whose pairs have any; unmodifiable
 */
public record FineGrainedReport(
    Map<String, AttributeScores> byAttribute,
    AttributeScores all,
    AttributeScores macro,
    Map<String, RewordedScores> reworded) {

  /** Copies the maps, keeping their order. */
  public FineGrainedReport {
    byAttribute = Collections.unmodifiableMap(new LinkedHashMap<>(byAttribute));
    // Reports that were written before there were rewordings have none.
    reworded =
        reworded == null ? Map.of() : Collections.unmodifiableMap(new LinkedHashMap<>(reworded));
  }

  /** A report of pairs without rewordings. */
  public FineGrainedReport(
      Map<String, AttributeScores> byAttribute, AttributeScores all, AttributeScores macro) {
    this(byAttribute, all, macro, Map.of());
  }

  /** Rewordings, every attribute that has any counting alike; empty if none has. */
  public Optional<RewordedScores> rewordedMacro() {
    return RewordedScores.macro(reworded.values());
  }
}
