package org.nasvlp.report;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.nasvlp.data.text.CaptionTokenizer;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The part of a page that shows where a model looks for a word; its script changes the word. */
final class LookPart {
  private final Html html;
  private final List<LookedAt> shown;

  LookPart(Html html, List<LookedAt> shown) {
    this.html = html;
    this.shown = shown;
  }

  void write() {
    html.element("h2", "Where it looks", "id", "looks");
    html.element(
        "p",
        "Test pictures, of each type the pair of middling difficulty. For the chosen word of the"
            + " caption, orange is where the fusion encoder looks and finds what speaks for a"
            + " match: the attention of the word to each patch, times how much it raises the match"
            + " logit (Grad-CAM, as ALBEF shows it, arXiv 2107.07651). Each word has a scale of its"
            + " own; the share tells how much of all that speaks for the match is the word's."
            + " Choose another word by a click, or by Tab and the arrow keys. Words in which the"
            + " caption differs from that of the pair's other picture are marked.");
    html.open("p", "class", "legend").element("span", "nothing");
    html.element("i", "", "class", "scale", "aria-hidden", "true");
    html.element("span", "most for this word").close();
    html.open("noscript").element("p", "Other words need JavaScript.").close();
    html.open("ul", "class", "pairs");
    for (int i = 0; i < shown.size(); i++) {
      card(i, shown.get(i));
    }
    html.close();
    html.open("script", "type", "application/json", "id", "look-data").raw(json()).close();
  }

  private void card(int number, LookedAt of) {
    List<String> words = of.relevance().words();
    boolean[] differs = differs(words, of.other());
    int chosen = chosen(differs);
    String caption = String.join(" ", words);
    String uri = Picture.uri(of.image());
    html.open("li", "class", "look").element("strong", of.attribute());
    html.open("div", "class", "figures");
    html.single("img", "class", "picture", "src", uri, "alt", caption);
    html.open("div", "class", "overlaid");
    html.single(
        "img",
        "class",
        "picture grey",
        "src",
        uri,
        "alt",
        "The same in grey, with what the model looks at in orange");
    heat(percents(of.relevance().patches()[chosen]));
    html.close().close();
    html.open("fieldset", "class", "words").element("legend", "Word of the caption");
    for (int word = 0; word < words.size(); word++) {
      radio(number, word, words.get(word), word == chosen, differs[word]);
    }
    html.close();
    html.open("p", "class", "scores");
    html.text("match " + HardNegativePart.percent(of.relevance().match()) + "; ");
    html.element("span", told(of, chosen), "class", "told", "aria-live", "polite");
    html.close().close();
  }

  private void radio(int number, int word, String text, boolean chosen, boolean differs) {
    html.open("label");
    String name = "look-" + number;
    String value = Integer.toString(word);
    if (chosen) {
      html.single("input", "type", "radio", "name", name, "value", value, "checked", "checked");
    } else {
      html.single("input", "type", "radio", "name", name, "value", value);
    }
    html.open("span");
    if (differs) {
      html.element("mark", text);
    } else {
      html.text(text);
    }
    html.close().close();
  }

  private static String told(LookedAt of, int word) {
    return String.format(
        Locale.ROOT,
        "“%s” has %.0f %% of what speaks for it",
        of.relevance().words().get(word),
        100 * of.relevance().shares()[word]);
  }

  /** By word, whether the other caption lacks it. */
  private static boolean[] differs(List<String> words, String other) {
    boolean[] differs = new boolean[words.size()];
    int word = 0;
    for (WordDifference.Part part :
        WordDifference.parts(String.join(" ", words), CaptionTokenizer.normalize(other))) {
      int end = word + part.text().split(" ", -1).length;
      Arrays.fill(differs, word, end, part.differs());
      word = end;
    }
    return differs;
  }

  /** The first word that differs; the first of all where none does. */
  private static int chosen(boolean[] differs) {
    for (int word = 0; word < differs.length; word++) {
      if (differs[word]) {
        return word;
      }
    }
    return 0;
  }

  private void heat(int[] percents) {
    int side = (int) Math.round(Math.sqrt(percents.length));
    html.open("svg", "viewBox", "0 0 " + side + " " + side, "class", "heat", "aria-hidden", "true");
    for (int i = 0; i < percents.length; i++) {
      html.element(
          "rect",
          "",
          "x",
          Integer.toString(i % side),
          "y",
          Integer.toString(i / side),
          "width",
          "1",
          "height",
          "1",
          "fill-opacity",
          String.format(Locale.ROOT, "%.2f", percents[i] / 100.0));
    }
    html.close();
  }

  /** Of the greatest value; all 0 where that is 0. */
  static int[] percents(float[] values) {
    float most = 0;
    for (float value : values) {
      most = Math.max(most, value);
    }
    int[] percents = new int[values.length];
    for (int i = 0; i < values.length && most > 0; i++) {
      percents[i] = Math.round(100 * values[i] / most);
    }
    return percents;
  }

  /** Numbers alone: what is text stands in the page. */
  private String json() {
    ArrayNode all = JsonNodeFactory.instance.arrayNode();
    for (LookedAt of : shown) {
      ObjectNode node = all.addObject();
      ArrayNode maps = node.putArray("maps");
      for (float[] word : of.relevance().patches()) {
        ArrayNode map = maps.addArray();
        for (int percent : percents(word)) {
          map.add(percent);
        }
      }
      ArrayNode shares = node.putArray("shares");
      for (double share : of.relevance().shares()) {
        shares.add(Math.round(100 * share));
      }
    }
    return JsonMapper.shared().writeValueAsString(all);
  }
}
