package org.nasvlp.report;

import java.util.List;
import java.util.Locale;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The part of a page that shows what codewords stand for: a map, and a list that the page's script
 * fills and searches.
 */
final class DictionaryPart {
  /** Codewords at most: those of most use. */
  private static final int MOST = 1024;

  /** Up to so many codewords have long strips of patches; more would make the page too large. */
  private static final int WITH_LONG_STRIPS = 512;

  /** Points of a codeword's curve at most. */
  private static final int POINTS = 64;

  private static final int LONG = 8;
  private static final int SHORT = 5;
  private static final int LARGE_CELL = 32;
  private static final int SMALL_CELL = 16;

  private final Html html;
  private final LearnedDictionary dictionary;
  private final CodewordHistory history;
  private final List<LearnedDictionary.Codeword> shown;

  DictionaryPart(Html html, LearnedDictionary dictionary, CodewordHistory history) {
    this.html = html;
    this.dictionary = dictionary;
    this.history = history;
    List<LearnedDictionary.Codeword> all = dictionary.codewords();
    this.shown = all.subList(0, Math.min(MOST, all.size()));
  }

  void write() {
    List<Long> steps = history.steps(POINTS);
    html.element("h2", "What its codewords stand for", "id", "codewords");
    html.element(
        "p",
        String.format(
            Locale.ROOT,
            "The Visual Dictionary gives each patch of a picture the nearest of its codewords. In"
                + " %,d training pictures %,d codewords stand for a patch, %,d for none. Of each"
                + " there are patches from different pictures, framed within what is around them;"
                + " the words in captions that speak for it, with how many times as often it is in"
                + " pictures whose caption has the word; and the nearest other codewords.%s",
            dictionary.pictures().size(),
            dictionary.codewords().size(),
            dictionary.unused(),
            steps.size() < 2
                ? ""
                : (" The small curve is the codeword's share of the patch tokens from step %,d to"
                        + " step %,d, at steps ever farther apart; where it leaps up from nothing,"
                        + " an unused codeword was given a new place.")
                    .formatted(steps.getFirst(), steps.getLast())));
    if (shown.size() < dictionary.codewords().size()) {
      html.element(
          "p",
          String.format(Locale.ROOT, "The %,d of most use are shown.", shown.size()),
          "class",
          "soft");
    }
    html.open("noscript").element("p", "The list needs JavaScript.").close();
    html.open("div", "class", "dictionary");
    map();
    html.open("div");
    html.open("div", "class", "search").open("label").text("Search ");
    html.single(
        "input",
        "type",
        "search",
        "id",
        "find",
        "placeholder",
        "a word or a number",
        "autocomplete",
        "off");
    html.close().element("span", "", "id", "found", "aria-live", "polite").close();
    html.open("ul", "class", "codewords", "id", "codeword-list").close();
    html.element("button", "Show more", "type", "button", "id", "more");
    html.close().close();
    html.open("script", "type", "application/json", "id", "codeword-data");
    html.raw(json()).close();
  }

  private void map() {
    html.open("figure", "class", "map").open("figcaption").text("Map");
    html.element("span", "by two principal components, in the patches' mean colours; size is use");
    html.close();
    html.open("svg", "viewBox", "-1.06 -1.06 2.12 2.12", "id", "map", "role", "img");
    html.element("title", "Codewords laid out by likeness");
    double most = shown.isEmpty() ? 1 : shown.getFirst().patches();
    for (LearnedDictionary.Codeword codeword : shown) {
      html.element(
          "circle",
          "",
          "data-code",
          Integer.toString(codeword.code()),
          "cx",
          String.format(Locale.ROOT, "%.3f", codeword.x()),
          "cy",
          String.format(Locale.ROOT, "%.3f", -codeword.y()),
          "r",
          String.format(Locale.ROOT, "%.3f", 0.012 + 0.03 * Math.sqrt(codeword.patches() / most)),
          "fill",
          PatchStrip.color(dictionary, codeword.places()));
    }
    html.close().close();
  }

  /** JSON that may stand in a script element: no markup can begin in it. */
  private String json() {
    boolean few = shown.size() <= WITH_LONG_STRIPS;
    ArrayNode all = JsonNodeFactory.instance.arrayNode();
    for (LearnedDictionary.Codeword codeword : shown) {
      ObjectNode node = all.addObject();
      node.put("code", codeword.code());
      node.put("patches", codeword.patches());
      node.put("pictures", codeword.inPictures());
      List<LearnedDictionary.Place> places = codeword.places();
      places = places.subList(0, Math.min(few ? LONG : SHORT, places.size()));
      node.put(
          "strip",
          Picture.shortUri(PatchStrip.of(dictionary, places, few ? LARGE_CELL : SMALL_CELL)));
      ArrayNode words = node.putArray("words");
      for (LearnedDictionary.Word word : codeword.words()) {
        words.addArray().add(word.word()).add(Math.round(10 * word.lift()) / 10.0);
      }
      ArrayNode neighbours = node.putArray("neighbours");
      codeword.neighbours().forEach(neighbours::add);
      if (history.steps(2).size() == 2) {
        CodewordHistory.Curve curve = history.curve(codeword.code(), POINTS);
        node.put("most", curve.perMillionAtMost());
        ArrayNode use = node.putArray("use");
        curve.percent().forEach(use::add);
      }
    }
    return JsonMapper.shared().writeValueAsString(all).replace("<", "\\u003c");
  }
}
