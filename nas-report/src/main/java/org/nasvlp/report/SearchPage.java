package org.nasvlp.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.nasvlp.data.image.RgbImage;

/** A page of HTML with the pictures that a search found, all of it in one file. */
public final class SearchPage {
  /** Pixels of a picture's longer side on the page, at most. */
  private static final int SIDE = 320;

  /**
   * A picture on the page.
   *
   * @param name shown below it
   * @param match how probably the caption matches it
   * @param similarity cosine of the embeddings
   */
  public record Shown(RgbImage image, String name, double match, double similarity) {}

  private SearchPage() {}

  /**
   * Writes a page; where there was a file, it is replaced as a whole.
   *
   * @param caption what was searched for
   * @param among how many pictures were searched
   * @param pictures best first
   * @param file to write; its folder must exist
   */
  public static void write(String caption, int among, List<Shown> pictures, Path file)
      throws IOException {
    PageFile.write(file, page(caption, among, pictures));
  }

  private static String page(String caption, int among, List<Shown> pictures) {
    Html html = new Html();
    PageFile.begin(
        html, caption + " – " + pictures.size() + " pictures", false, ReportPage.own("page.css"));
    html.open("header");
    html.element("h1", caption);
    html.element(
        "p",
        "The %d that fit best among %,d pictures".formatted(pictures.size(), among),
        "class",
        "soft");
    html.close().open("main").open("ol", "class", "found");
    for (Shown shown : pictures) {
      html.open("li").open("figure");
      html.single("img", "src", Picture.uri(shown.image(), SIDE), "alt", shown.name());
      html.open("figcaption").text(shown.name());
      html.element(
          "span",
          String.format(
              Locale.ROOT, "match %.1f %%, cosine %.3f", 100 * shown.match(), shown.similarity()));
      html.close().close().close();
    }
    return html.close().close().close().close().toString();
  }
}
