package org.nasvlp.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What {@link NasModel#importWeights} did with every tensor of the files and every parameter of the
 * model.
 *
 * @param sources what became of each file's tensors
 * @param missing the model's parameters that no file holds; they stay as they were
 */
public record WeightReport(List<Source> sources, List<String> missing) {
  /**
   * One file.
   *
   * @param file as the user named it
   * @param loaded the parameters that it gave values to
   * @param resized those of {@code loaded} whose shape is not the file's
   * @param unexpected the file's tensors that the model has no place for; not used
   * @param notes what could not be checked, or is handled in a way worth knowing
   */
  public record Source(
      String file,
      List<String> loaded,
      List<Resized> resized,
      List<String> unexpected,
      List<String> notes) {
    /** Copies the lists. */
    public Source {
      loaded = List.copyOf(loaded);
      resized = List.copyOf(resized);
      unexpected = List.copyOf(unexpected);
      notes = List.copyOf(notes);
    }
  }

  /**
   * A parameter that was fitted to the model.
   *
   * @param parameter its name
   * @param from the file's shape
   * @param to the model's shape
   * @param how what was done
   */
  public record Resized(String parameter, List<Long> from, List<Long> to, String how) {}

  /** Copies the lists. */
  public WeightReport {
    sources = List.copyOf(sources);
    missing = List.copyOf(missing);
  }

  /** How many parameters have values of a file. */
  public int loaded() {
    return (int) sources.stream().flatMap(source -> source.loaded().stream()).distinct().count();
  }

  /**
   * The report in lines, each ended by a line feed; names that differ in the layer alone stand
   * together, with their number.
   */
  public String text() {
    StringBuilder text = new StringBuilder();
    for (Source source : sources) {
      line(text, source.file() + ": " + source.loaded().size() + " parameters loaded");
      for (Resized resized : source.resized()) {
        line(
            text,
            "  resized: %s %s to %s (%s)"
                .formatted(resized.parameter(), resized.from(), resized.to(), resized.how()));
      }
      if (!source.unexpected().isEmpty()) {
        line(
            text,
            "  unexpected, not used: "
                + source.unexpected().size()
                + " tensors: "
                + grouped(source.unexpected()));
      }
      source.notes().forEach(note -> line(text, "  note: " + note));
    }
    line(
        text,
        missing.isEmpty()
            ? "missing: none"
            : "missing, left as initialised: "
                + missing.size()
                + " parameters: "
                + grouped(missing));
    return text.toString();
  }

  private static void line(StringBuilder text, String line) {
    text.append(line).append('\n');
  }

  private static String grouped(List<String> names) {
    Map<String, Integer> groups = new TreeMap<>();
    names.forEach(
        name ->
            groups.merge(name.replaceAll("(layer|blocks)\\.\\d+\\.", "$1.*."), 1, Integer::sum));
    List<String> shown = new ArrayList<>();
    groups.forEach((name, count) -> shown.add(count == 1 ? name : name + " (" + count + ")"));
    return String.join(", ", shown);
  }
}
