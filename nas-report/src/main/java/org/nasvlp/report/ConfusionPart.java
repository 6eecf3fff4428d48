package org.nasvlp.report;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.eval.ScoredPair;

/** The part of a page that shows which pairs a model confuses. */
final class ConfusionPart {
  /** Types of differences at most: those with most pairs. */
  private static final int MOST_TYPES = 16;

  private final Html html;
  private final Learned learned;

  ConfusionPart(Html html, Learned learned) {
    this.html = html;
    this.learned = learned;
  }

  void write() {
    List<Confusions> all = Confusions.of(learned.pairs());
    List<Confusions> shown =
        all.stream()
            .sorted(Comparator.comparingInt(Confusions::pairs).reversed())
            .limit(MOST_TYPES)
            .toList();
    html.element("h2", "What it confuses", "id", "confused");
    html.element(
        "p",
        "Pairs of test pictures whose captions differ in one thing. Of each type the choices that"
            + " are wrong by most, and the closest calls. Beside a picture stand its own caption"
            + " and then the other one's, with the probability that they match it (ITM) and the"
            + " cosine of the embeddings (ITC); the higher one is chosen.");
    for (int i = 0; i < shown.size(); i++) {
      type(shown.get(i), i == 0);
    }
    if (shown.size() < all.size()) {
      html.element(
          "p",
          String.format(
              Locale.ROOT, "%d types with fewer pairs are left out.", all.size() - shown.size()),
          "class",
          "soft");
    }
  }

  private void type(Confusions of, boolean open) {
    if (open) {
      html.open("details", "open", "open");
    } else {
      html.open("details");
    }
    html.open("summary").element("strong", of.attribute());
    html.text(
        String.format(
            Locale.ROOT, ": %,d of %,d pairs with a wrong choice", of.wrong(), of.pairs()));
    html.close();
    pairs("Worst", of.worst());
    pairs("Closest", of.closest());
    html.close();
  }

  private void pairs(String heading, List<ScoredPair> pairs) {
    if (pairs.isEmpty()) {
      return;
    }
    html.element("h3", heading);
    html.open("ul", "class", "pairs");
    for (ScoredPair pair : pairs) {
      html.open("li");
      ScoredPair.Scores itc = pair.itc();
      ScoredPair.Scores itm = pair.itm();
      side(
          pair.imageA(),
          new Score(pair.captionA(), itc.aa(), itm == null ? null : itm.aa()),
          new Score(pair.captionB(), itc.ab(), itm == null ? null : itm.ab()));
      side(
          pair.imageB(),
          new Score(pair.captionB(), itc.bb(), itm == null ? null : itm.bb()),
          new Score(pair.captionA(), itc.ba(), itm == null ? null : itm.ba()));
      html.close();
    }
    html.close();
  }

  /**
   * A caption to a picture.
   *
   * @param itm log-odds of a match; null without a match head's
   */
  private record Score(String caption, double itc, @Nullable Double itm) {
    boolean leads(Score other) {
      return (itm != null && other.itm != null) ? itm > other.itm : itc > other.itc;
    }
  }

  private void side(RgbImage image, Score own, Score other) {
    html.open("div", "class", "side");
    html.single(
        "img",
        "class",
        "picture",
        "src",
        Picture.uri(Picture.seen(image, learned.imageSize())),
        "alt",
        own.caption());
    html.open("ul", "class", "choices");
    boolean right = own.leads(other);
    choice(own, other, "true", right ? "right" : "");
    choice(other, own, "other", right ? "" : "wrong");
    html.close().close();
  }

  private void choice(Score score, Score against, String kind, String chosen) {
    html.open("li", "class", chosen.isEmpty() ? kind : kind + " " + chosen);
    html.open("span", "class", "caption");
    WordDifference.write(html, score.caption(), against.caption());
    html.close().text(" ");
    html.open("span", "class", "scores");
    if (score.itm() != null) {
      html.text(String.format(Locale.ROOT, "ITM %s, ", probability(score.itm())));
    }
    html.text(String.format(Locale.ROOT, "ITC %.3f", score.itc()));
    html.close();
    if (!chosen.isEmpty()) {
      html.text(" ").element("span", "chosen: " + chosen, "class", "verdict");
    }
    html.close();
  }

  /** Of log-odds, with digits enough to tell it from 0 and 1. */
  static String probability(double logOdds) {
    double percent = 100 / (1 + Math.exp(-logOdds));
    if (percent < 0.1) {
      return "below 0.1 %";
    }
    return percent > 99.9 ? "above 99.9 %" : String.format(Locale.ROOT, "%.1f %%", percent);
  }
}
