package org.nasvlp.eval;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Caption choice, image choice and Winoground's scores (arXiv 2204.03162) from plain numbers. */
final class FineGrainedMetrics {
  private FineGrainedMetrics() {}

  /**
   * Scores of one pair (a, b).
   *
   * @param aa image a with caption a
   * @param ab image a with caption b
   * @param ba image b with caption a
   * @param bb image b with caption b
   * @param reworded image a with a rewording of caption a; NaN without one
   * @param otherReworded image b with a rewording of caption b; NaN without one
   */
  record PairScores(
      String attribute,
      double aa,
      double ab,
      double ba,
      double bb,
      double reworded,
      double otherReworded) {

    /** Without rewordings. */
    PairScores(String attribute, double aa, double ab, double ba, double bb) {
      this(attribute, aa, ab, ba, bb, Double.NaN, Double.NaN);
    }
  }

  static FineGrainedReport report(List<PairScores> pairs) {
    Map<String, Tally> tallies = new LinkedHashMap<>();
    Tally all = new Tally();
    for (PairScores pair : pairs) {
      tallies.computeIfAbsent(pair.attribute(), name -> new Tally()).add(pair);
      all.add(pair);
    }
    Map<String, AttributeScores> byAttribute = new LinkedHashMap<>();
    tallies.forEach((attribute, tally) -> byAttribute.put(attribute, tally.scores()));
    Map<String, RewordedScores> reworded = new LinkedHashMap<>();
    tallies.forEach(
        (attribute, tally) -> {
          if (tally.rewordings > 0) {
            reworded.put(attribute, tally.reworded());
          }
        });
    return new FineGrainedReport(
        byAttribute, all.scores(), macro(byAttribute, pairs.size()), reworded);
  }

  /** Every attribute counts alike. */
  static AttributeScores macro(Map<String, AttributeScores> byAttribute, int pairs) {
    double captionChoice = 0;
    double imageChoice = 0;
    double text = 0;
    double image = 0;
    double group = 0;
    for (AttributeScores scores : byAttribute.values()) {
      captionChoice += scores.captionChoice();
      imageChoice += scores.imageChoice();
      text += scores.text();
      image += scores.image();
      group += scores.group();
    }
    int n = byAttribute.size();
    return new AttributeScores(
        pairs, captionChoice / n, imageChoice / n, text / n, image / n, group / n);
  }

  private static final class Tally {
    private int pairs;
    private int captionChoices;
    private int imageChoices;
    private int text;
    private int image;
    private int group;
    private int rewordings;
    private int rewordedChoices;
    private int bothChoices;

    void add(PairScores s) {
      boolean captionForA = s.aa() > s.ab();
      boolean captionForB = s.bb() > s.ba();
      boolean imageForA = s.aa() > s.ba();
      boolean imageForB = s.bb() > s.ab();
      pairs++;
      captionChoices += one(captionForA) + one(captionForB);
      imageChoices += one(imageForA) + one(imageForB);
      text += one(captionForA && captionForB);
      image += one(imageForA && imageForB);
      group += one(captionForA && captionForB && imageForA && imageForB);
      addReworded(s.reworded(), s.aa(), s.ab());
      addReworded(s.otherReworded(), s.bb(), s.ba());
    }

    private void addReworded(double reworded, double caption, double wrong) {
      if (!Double.isNaN(reworded)) {
        rewordings++;
        rewordedChoices += one(reworded > wrong);
        bothChoices += one(reworded > wrong && caption > wrong);
      }
    }

    RewordedScores reworded() {
      double n = rewordings;
      return new RewordedScores(rewordings, rewordedChoices / n, bothChoices / n);
    }

    AttributeScores scores() {
      double n = pairs;
      return new AttributeScores(
          pairs, captionChoices / (2 * n), imageChoices / (2 * n), text / n, image / n, group / n);
    }

    private static int one(boolean right) {
      return right ? 1 : 0;
    }
  }
}
