package org.nasvlp.report;

import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.eval.RetrievalExample;
import org.nasvlp.eval.RetrievalExamples;

/** The part of a page that shows what is found for captions and for pictures. */
final class RetrievalPart {
  /** Candidates that are shown. */
  private static final int SHOWN = 5;

  private final Html html;
  private final RetrievalExamples examples;
  private final int imageSize;

  RetrievalPart(Html html, RetrievalExamples examples, int imageSize) {
    this.html = html;
    this.examples = examples;
    this.imageSize = imageSize;
  }

  void write() {
    html.element("h2", "What it finds", "id", "finds");
    html.element(
        "p",
        "Retrieval over the test set: captions and pictures whose right answer has the best, the"
            + " median and the worst rank by contrast (ITC). First what contrast finds, then its"
            + " best re-ranked by the sum of both logits, of contrast and matching (ITM). Right"
            + " answers are framed in green; where none is among those shown, it stands behind"
            + " them. The figures are the cosine and the probability of a match.");
    html.element("h3", "Pictures for a caption").open("ul", "class", "finds");
    examples
        .images()
        .forEach(
            of -> write(of, caption -> html.element("p", caption, "class", "caption"), this::show));
    html.close().element("h3", "Captions for a picture").open("ul", "class", "finds");
    examples
        .captions()
        .forEach(of -> write(of, this::show, caption -> html.element("span", caption)));
    html.close();
  }

  private <Q, C> void write(RetrievalExample<Q, C> of, Consumer<Q> query, Consumer<C> candidate) {
    html.open("li").element("strong", of.place().name().toLowerCase(Locale.ROOT));
    html.element(
        "span",
        of.byBoth().isEmpty()
            ? Tables.format(" rank %,d by contrast, of %,d", of.rank(), of.candidates())
            : Tables.format(
                " rank %,d by contrast, %,d re-ranked, of %,d",
                of.rank(), of.reranked(), of.candidates()),
        "class",
        "scores");
    query.accept(of.query());
    found("by contrast", of.byContrast(), of, candidate);
    if (!of.byBoth().isEmpty()) {
      found("by both", of.byBoth(), of, candidate);
    }
    html.close();
  }

  private <C> void found(
      String by,
      List<RetrievalExample.Candidate<C>> all,
      RetrievalExample<?, C> of,
      Consumer<C> candidate) {
    List<RetrievalExample.Candidate<C>> shown = all.subList(0, Math.min(SHOWN, all.size()));
    html.element("p", by, "class", "soft");
    html.open("ol", "class", "candidates");
    for (RetrievalExample.Candidate<C> each : shown) {
      html.open("li", "class", each.right() ? "right" : "other");
      candidate.accept(each.what());
      html.element(
          "span",
          Double.isNaN(each.match())
              ? Tables.format("%.3f", each.similarity())
              : Tables.format(
                  "%.3f, %s", each.similarity(), HardNegativePart.percent(each.match())),
          "class",
          "scores");
      html.close();
    }
    if (shown.stream().noneMatch(RetrievalExample.Candidate::right)) {
      html.open("li", "class", "right away");
      candidate.accept(of.answer());
      html.element("span", "the right one", "class", "scores").close();
    }
    html.close();
  }

  private void show(RgbImage image) {
    html.single(
        "img",
        "src",
        Picture.uri(Picture.seen(image, imageSize)),
        "alt",
        "picture of the test set");
  }
}
