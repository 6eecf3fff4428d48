package org.nasvlp.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.nasvlp.eval.ScoredPair;

/**
 * What a model confuses in pairs of one type: the choices between captions that are wrong by most,
 * and those that were close.
 *
 * @param attribute the type
 * @param pairs how many there are of it
 * @param wrong pairs with a wrong choice of a caption
 * @param worst of these the worst, by falling error
 * @param closest of the others the least sure, wrong or right
 */
record Confusions(
    String attribute, int pairs, int wrong, List<ScoredPair> worst, List<ScoredPair> closest) {
  /** Pairs of either kind that are shown of a type. */
  static final int SHOWN = 3;

  /** By type, in the order of the pairs. */
  static List<Confusions> of(List<ScoredPair> pairs) {
    Map<String, List<ScoredPair>> byAttribute = new LinkedHashMap<>();
    pairs.forEach(
        pair -> byAttribute.computeIfAbsent(pair.attribute(), name -> new ArrayList<>()).add(pair));
    return byAttribute.entrySet().stream()
        .map(entry -> of(entry.getKey(), entry.getValue()))
        .toList();
  }

  private static Confusions of(String attribute, List<ScoredPair> pairs) {
    List<ScoredPair> sorted =
        pairs.stream().sorted(Comparator.comparingDouble(ScoredPair::captionMargin)).toList();
    int wrong = (int) sorted.stream().filter(pair -> pair.captionMargin() <= 0).count();
    int worst = Math.min(SHOWN, wrong);
    List<ScoredPair> closest =
        sorted.stream()
            .skip(worst)
            .sorted(Comparator.comparingDouble(pair -> Math.abs(pair.captionMargin())))
            .limit(SHOWN)
            .toList();
    return new Confusions(attribute, pairs.size(), wrong, sorted.subList(0, worst), closest);
  }
}
