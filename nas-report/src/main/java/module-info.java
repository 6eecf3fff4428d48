/**
 * Shows what training runs learned as one HTML page, and says what is wrong with them.
 *
 * <p>Leave {@code org.webjars.npm:uplot}, whose files go into the page, on the class path.
 */
module org.nasvlp.report {
  requires transitive org.nasvlp.core;
  requires java.desktop;
  requires tools.jackson.databind;

  exports org.nasvlp.report;
}
