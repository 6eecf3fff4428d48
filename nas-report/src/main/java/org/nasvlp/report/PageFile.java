package org.nasvlp.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;

/** What every page begins and ends with. */
final class PageFile {
  private PageFile() {}

  /**
   * Opens {@code html}, {@code head} and {@code body} of a page that takes nothing from elsewhere.
   *
   * @param scripts whether the page has scripts of its own
   * @param style CSS, of this module's own files
   */
  static void begin(Html html, String title, boolean scripts, String style) {
    html.raw("<!DOCTYPE html>\n").open("html", "lang", "en").open("head");
    html.single("meta", "charset", "utf-8");
    html.single("meta", "name", "viewport", "content", "width=device-width, initial-scale=1");
    html.single(
        "meta",
        "http-equiv",
        "Content-Security-Policy",
        "content",
        "default-src 'none'; style-src 'unsafe-inline'; %simg-src data:"
            .formatted(scripts ? "script-src 'unsafe-inline'; " : ""));
    html.element("title", title);
    html.open("style").raw(style).close();
    html.close().open("body");
  }

  /**
   * The links to a page's parts.
   *
   * @param parts titles by id
   */
  static void navigation(Html html, Map<String, String> parts) {
    html.open("nav", "aria-label", "Parts of this page").open("ul");
    parts.forEach((id, name) -> html.open("li").element("a", name, "href", "#" + id).close());
    html.close().close();
  }

  /** Writes a page whole or not at all; where there was a file, it is replaced. */
  static void write(Path file, String page) throws IOException {
    Path temporary = file.resolveSibling("." + file.getFileName() + ".writing");
    try {
      Files.writeString(temporary, page);
      Files.move(temporary, file, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }
}
