package org.nasvlp.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.eval.BenchmarkFormat.Task;
import org.nasvlp.eval.BenchmarkItem;
import org.nasvlp.eval.PublishedBenchmark;

/** The part of a page that shows the items of a benchmark that are most wrong, and the closest. */
final class ItemPart {
  /** Items of either kind. */
  static final int SHOWN = 12;

  /** Captions of an item that are shown; the others score lower. */
  private static final int CAPTIONS = 5;

  private final Html html;
  private final EvaluatedBenchmark of;
  private final PublishedBenchmark benchmark;

  private final List<String> ways;

  /** The way of scoring that orders the items. */
  private final String leading;

  /**
   * An item with its scores.
   *
   * @param scores by the leading way, images by captions
   * @param margin by how much it is right by these
   */
  private record Scored(BenchmarkItem item, double[][] scores, double margin) {}

  ItemPart(Html html, EvaluatedBenchmark of, PublishedBenchmark benchmark) {
    this.html = html;
    this.of = of;
    this.benchmark = benchmark;
    this.ways = List.copyOf(of.reports().keySet());
    this.leading = ways.contains("itm") ? "itm" : ways.getLast();
  }

  void write() {
    List<Scored> all = new ArrayList<>();
    for (BenchmarkItem item : benchmark.items()) {
      double[][] scores = of.scores().of(item.id(), leading);
      if (scores != null) {
        double margin = benchmark.margin(item, scores);
        if (Double.isFinite(margin)) {
          all.add(new Scored(item, scores, margin));
        }
      }
    }
    all.sort(Comparator.comparingDouble(Scored::margin));
    List<Scored> worst = all.stream().filter(each -> each.margin() <= 0).limit(SHOWN).toList();
    List<Scored> closest =
        all.stream()
            .skip(worst.size())
            .sorted(Comparator.comparingDouble(each -> Math.abs(each.margin())))
            .limit(SHOWN)
            .toList();
    html.element("h2", "Items", "id", "items");
    html.element(
        "p",
        Tables.format(
            "By %s: what is wrong by most, and what is nearest to a tie. The margin is the least"
                + " lead of a right combination over a wrong one; below 0 the item is wrong. Words"
                + " in which captions differ are marked.",
            BenchmarkPart.name(leading)));
    items("Most wrong", "No item is wrong.", worst);
    items("Nearest to a tie", "There are no others.", closest);
  }

  private void items(String heading, String none, List<Scored> items) {
    html.element("h3", heading);
    if (items.isEmpty()) {
      html.element("p", none, "class", "soft");
      return;
    }
    html.open("ul", "class", "pairs");
    items.forEach(this::item);
    html.close();
  }

  private void item(Scored scored) {
    BenchmarkItem item = scored.item();
    html.open("li").open("div").element("strong", item.category()).text(" ");
    html.element(
        "span", Tables.format("%s, margin %+.3g", item.id(), scored.margin()), "class", "scores");
    html.close();
    List<RgbImage> pictures = pictures(item);
    Task task = benchmark.format().task();
    double[][] scores = scored.scores();
    switch (task) {
      case PAIR -> {
        for (int i = 0; i < 2; i++) {
          int own = i;
          side(
              pictures,
              i,
              item.captions().get(i),
              () -> {
                boolean right = scores[own][own] > scores[own][1 - own];
                caption(item, own, own, 1 - own, "true", right ? "right" : "");
                caption(item, own, 1 - own, own, "other", right ? "" : "wrong");
              });
        }
        html.element(
            "p",
            "picture chosen for the first caption: %s, for the second: %s"
                .formatted(
                    scores[0][0] > scores[1][0] ? "right" : "wrong",
                    scores[1][1] > scores[0][1] ? "right" : "wrong"),
            "class",
            "scores");
      }
      case IMAGE_CHOICE -> {
        html.element("p", item.captions().getFirst(), "class", "caption");
        boolean right = scores[0][0] > scores[1][0];
        side(
            pictures,
            0,
            item.captions().getFirst(),
            () -> choice("its picture", item, 0, 0, "true", right ? "right" : ""));
        side(
            pictures,
            1,
            "the other picture",
            () -> choice("the other picture", item, 1, 0, "other", right ? "" : "wrong"));
      }
      case MATCH ->
          side(
              pictures,
              0,
              item.captions().getFirst(),
              () -> {
                boolean right = scored.margin() > 0;
                choice(
                    item.captions().getFirst() + (item.matches() ? " (true)" : " (false)"),
                    item,
                    0,
                    0,
                    item.matches() ? "true" : "other",
                    right ? "right" : "wrong");
              });
      case CAPTION_CHOICE, ORDER, SEVERAL, TWO_RIGHT ->
          side(
              pictures,
              0,
              item.captions().getFirst(),
              () -> captions(item, scores[0], task == Task.TWO_RIGHT ? 2 : 1));
    }
    html.close();
  }

  /** The right captions, then the others by falling score. */
  private void captions(BenchmarkItem item, double[] scores, int right) {
    List<Integer> others =
        IntStream.range(right, scores.length)
            .boxed()
            .sorted(Comparator.comparingDouble(c -> -scores[c]))
            .toList();
    int best = others.isEmpty() ? 0 : others.getFirst();
    for (int c = 0; c < right; c++) {
      boolean leads = others.isEmpty() || scores[c] > scores[best];
      caption(item, 0, c, best, "true", leads ? "right" : "");
    }
    boolean wrong = IntStream.range(0, right).anyMatch(c -> scores[c] <= scores[best]);
    int shown = Math.min(others.size(), CAPTIONS - right);
    for (int k = 0; k < shown; k++) {
      caption(item, 0, others.get(k), 0, "other", k == 0 && wrong ? "wrong" : "");
    }
    if (shown < others.size()) {
      html.element(
          "li",
          Tables.format("and %d that score lower", others.size() - shown),
          "class",
          "other scores");
    }
  }

  private List<RgbImage> pictures(BenchmarkItem item) {
    EvaluatedBenchmark.Pictures pictures = of.pictures();
    try {
      return pictures == null ? List.of() : pictures.of(item);
    } catch (BadSampleException e) {
      return List.of(); // read while it was scored, gone since
    }
  }

  private void side(List<RgbImage> pictures, int number, String alt, Runnable choices) {
    if (number < pictures.size()) {
      html.open("div", "class", "side");
      html.single(
          "img",
          "class",
          "picture",
          "src",
          Picture.uri(Picture.seen(pictures.get(number), of.imageSize())),
          "alt",
          alt);
    } else {
      html.open("div");
    }
    html.open("ul", "class", "choices");
    choices.run();
    html.close().close();
  }

  private void caption(
      BenchmarkItem item, int image, int caption, int against, String kind, String verdict) {
    html.open("li", "class", verdict.isEmpty() ? kind : kind + " " + verdict);
    html.open("span", "class", "caption");
    WordDifference.write(html, item.captions().get(caption), item.captions().get(against));
    html.close();
    scores(item, image, caption, verdict);
  }

  private void choice(
      String text, BenchmarkItem item, int image, int caption, String kind, String verdict) {
    html.open("li", "class", verdict.isEmpty() ? kind : kind + " " + verdict);
    html.element("span", text, "class", "caption");
    scores(item, image, caption, verdict);
  }

  private void scores(BenchmarkItem item, int image, int caption, String verdict) {
    Map<String, double[][]> all = of.scores().byItem().get(item.id());
    html.text(" ");
    html.element(
        "span",
        String.join(
            ", ",
            ways.stream()
                .filter(all::containsKey)
                .map(
                    way -> BenchmarkPart.name(way) + " " + score(way, all.get(way)[image][caption]))
                .toList()),
        "class",
        "scores");
    if (!verdict.isEmpty()) {
      html.text(" ").element("span", "chosen: " + verdict, "class", "verdict");
    }
    html.close();
  }

  private static String score(String way, double value) {
    return switch (way) {
      case "itm" -> ConfusionPart.probability(value);
      case "itc" -> Tables.format("%.3f", value);
      default -> Tables.format("%.4g", value);
    };
  }
}
