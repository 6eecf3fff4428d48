package org.nasvlp.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.negatives.NvaTrace;
import org.nasvlp.train.HardNegativeExample;

/** The part of a page that shows hard negatives as pictures. */
final class HardNegativePart {
  /** Examples at most, of all kinds of edits in turn. */
  static final int MOST = 24;

  /** Changes of a code that an example shows with patches, those of most tokens. */
  private static final int CHANGES = 3;

  private static final int PATCHES = 4;
  private static final int CELL = 24;

  private final Html html;
  private final Learned learned;
  private final PatchSamples samples;

  HardNegativePart(Html html, Learned learned) {
    this.html = html;
    this.learned = learned;
    this.samples = new PatchSamples(learned.dictionary(), PATCHES, CELL);
  }

  void write() {
    boolean swaps = learned.hardNegatives().stream().anyMatch(of -> of.swap() != null);
    boolean mirrors = learned.hardNegatives().stream().anyMatch(of -> of.mirrored() != null);
    html.element("h2", "Hard negatives", "id", "negatives");
    html.element(
        "p",
        "What training holds against a picture and its caption, made of training pairs as in the"
            + " run's last step, and how probable the model takes each to match. A hard negative"
            + " caption differs in one word, phrase or swap; the words are marked."
            + (swaps
                ? " A hard negative image has some patch tokens swapped for those of other"
                    + " codewords: framed in the second picture, where orange is what they were"
                    + " chosen by, the relevance of the token or its gain for the new word. The"
                    + " next has in their places patches that the new codewords stand for; the"
                    + " model is given the codewords alone."
                : " The run trains without hard negative images of swapped tokens.")
            + (mirrors
                ? " Where the caption and its hard negative differ in a direction, the last picture"
                    + " has the patch tokens in mirrored places: the hard negative is true of it,"
                    + " and the caption is not."
                : ""));
    html.open("ul", "class", "pairs");
    chosen(learned.hardNegatives()).forEach(this::example);
    html.close();
  }

  /** Of each kind of edit one in turn. */
  static List<HardNegativeExample> chosen(List<HardNegativeExample> all) {
    Map<String, List<HardNegativeExample>> byKind = new LinkedHashMap<>();
    for (HardNegativeExample example : all) {
      byKind.computeIfAbsent(kind(example), name -> new ArrayList<>()).add(example);
    }
    List<HardNegativeExample> chosen = new ArrayList<>();
    for (int turn = 0; chosen.size() < Math.min(MOST, all.size()); turn++) {
      for (List<HardNegativeExample> of : byKind.values()) {
        if (turn < of.size() && chosen.size() < MOST) {
          chosen.add(of.get(turn));
        }
      }
    }
    return chosen;
  }

  private static String kind(HardNegativeExample example) {
    return example.edit() == null
        ? "image alone"
        : example.edit().type().name().toLowerCase(Locale.ROOT).replace('_', ' ');
  }

  private void example(HardNegativeExample example) {
    String caption = CaptionTokenizer.normalize(example.pair().caption());
    NvaTrace swap = example.swap();
    html.open("li").element("strong", kind(example));
    html.open("div", "class", "figures");
    String uri = Picture.uri(Picture.seen(example.pair().image(), learned.imageSize()));
    html.single("img", "class", "picture", "src", uri, "alt", caption);
    if (swap != null) {
      html.open("div", "class", "overlaid");
      html.single(
          "img", "class", "picture", "src", uri, "alt", "The same with swapped tokens framed");
      overlay(swap);
      html.close();
      LearnedDictionary dictionary = learned.dictionary();
      if (dictionary != null) {
        html.single(
            "img",
            "class",
            "picture",
            "src",
            Picture.uri(
                Picture.swapped(
                    Picture.seen(example.pair().image(), learned.imageSize()), swap, dictionary)),
            "alt",
            "The same with patches of the new codewords");
      }
    }
    HardNegativeExample.Mirrored mirrored = example.mirrored();
    if (mirrored != null) {
      html.single(
          "img",
          "class",
          "picture",
          "src",
          Picture.uri(
              Picture.mirrored(
                  Picture.seen(example.pair().image(), learned.imageSize()),
                  mirrored.mirror(),
                  mirrored.side())),
          "alt",
          "The same with its patches in mirrored places");
    }
    html.close();
    html.open("ul", "class", "choices");
    String changed = example.edit() == null ? caption : example.edit().caption();
    html.open("li", "class", "true").open("span", "class", "caption");
    WordDifference.write(html, caption, changed);
    html.close().element("span", "match " + percent(example.match()), "class", "scores").close();
    if (example.edit() != null) {
      html.open("li", "class", "false").open("span", "class", "caption");
      WordDifference.write(html, changed, caption);
      html.close();
      html.element(
          "span",
          "hard negative caption: match " + percent(example.editMatch()),
          "class",
          "scores");
      html.close();
    }
    if (swap != null) {
      html.open("li", "class", "false");
      html.element(
          "span",
          String.format(
              Locale.ROOT,
              "hard negative image, %d of %d tokens swapped: match with the caption %s",
              swap.swaps().size(),
              swap.scores().length,
              percent(swap.matchAfter())),
          "class",
          "scores");
      html.close();
    }
    if (mirrored != null) {
      mirrored(mirrored, caption, changed);
    }
    html.close();
    if (swap != null) {
      changes(swap);
    }
    html.close();
  }

  private void mirrored(HardNegativeExample.Mirrored of, String caption, String changed) {
    String way =
        switch (of.mirror()) {
          case LEFT_RIGHT -> "left and right exchanged";
          case TOP_BOTTOM -> "top and bottom exchanged";
        };
    html.open("li", "class", "true").open("span", "class", "caption").text(way + ": ");
    WordDifference.write(html, changed, caption);
    html.close().element("span", "match " + percent(of.editMatch()), "class", "scores").close();
    html.open("li", "class", "false").open("span", "class", "caption").text(way + ": ");
    WordDifference.write(html, caption, changed);
    html.close().element("span", "match " + percent(of.match()), "class", "scores").close();
  }

  static String percent(double probability) {
    return ConfusionPart.probability(Math.log(probability) - Math.log1p(-probability));
  }

  private void overlay(NvaTrace swap) {
    int side = (int) Math.round(Math.sqrt(swap.scores().length));
    double[] finite = Arrays.stream(swap.scores()).filter(Double::isFinite).toArray();
    double low = Arrays.stream(finite).min().orElse(0);
    double high = Arrays.stream(finite).max().orElse(0);
    html.open("svg", "viewBox", "0 0 " + side + " " + side, "aria-hidden", "true");
    for (int i = 0; i < swap.scores().length; i++) {
      double score = swap.scores()[i];
      double strength = Double.isFinite(score) && high > low ? (score - low) / (high - low) : 0;
      cell("relevance", i, side, String.format(Locale.ROOT, "%.2f", 0.6 * strength));
    }
    swap.swaps().forEach(of -> cell("swapped", of.position(), side, "1"));
    html.close();
  }

  private void cell(String kind, int position, int side, String opacity) {
    html.element(
        "rect",
        "",
        "class",
        kind,
        "x",
        Integer.toString(position % side),
        "y",
        Integer.toString(position / side),
        "width",
        "1",
        "height",
        "1",
        "opacity",
        opacity);
  }

  /** A code and what is put in its place. */
  private record Change(int code, int substitute) {}

  private void changes(NvaTrace swap) {
    Map<Change, Integer> counts = new LinkedHashMap<>();
    swap.swaps()
        .forEach(of -> counts.merge(new Change(of.code(), of.substitute()), 1, Integer::sum));
    Set<Change> shown = new LinkedHashSet<>();
    counts.entrySet().stream()
        .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
        .filter(of -> samples.has(of.getKey().code()) && samples.has(of.getKey().substitute()))
        .limit(CHANGES)
        .forEach(of -> shown.add(of.getKey()));
    if (shown.isEmpty()) {
      return;
    }
    html.open("ul", "class", "changes");
    for (Change change : shown) {
      html.open("li");
      samples.write(html, change.code());
      html.element("span", String.format(Locale.ROOT, "×%d →", counts.get(change)));
      samples.write(html, change.substitute());
      html.close();
    }
    html.close();
  }
}
