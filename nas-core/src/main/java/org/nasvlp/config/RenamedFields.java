package org.nasvlp.config;

import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/** Names and values that files and checkpoints of earlier versions hold, and today's. */
final class RenamedFields {
  /**
   * One change.
   *
   * @param value the value that has another name now; null where the field itself has
   */
  private record Change(String field, @Nullable String value, String now) {}

  private static final List<Change> CHANGES =
      List.of(
          new Change("model.fusionInput", "QUANTISED", "model.fusionInput QUANTIZED"),
          new Change("dictionary.neighbourSteps", null, "dictionary.neighbourRefreshSteps"),
          new Change("nva.radius", null, "nva.neighbours"),
          new Change(
              "nva.substitute", "NEIGHBOUR", "nva.choose RELEVANCE with nva.substitute DRAW"),
          new Change("nva.substitute", "WORD", "nva.choose GAIN with nva.substitute EVIDENCE"),
          new Change("nta.typeWeights.COLOUR", null, "nta.typeWeights.COLOR"));

  private RenamedFields() {}

  /**
   * Checks that no earlier name is used.
   *
   * @throws IllegalArgumentException naming every one that is, and today's name for it
   */
  static void refuse(ObjectNode fields) {
    List<String> found =
        CHANGES.stream()
            .filter(change -> isIn(fields, change))
            .map(
                change ->
                    change.field()
                        + (change.value() == null ? "" : " " + change.value())
                        + " is now "
                        + change.now())
            .toList();
    if (!found.isEmpty()) {
      throw new IllegalArgumentException(
          "written for an earlier version: " + String.join("; ", found) + "; change it there");
    }
  }

  private static boolean isIn(ObjectNode fields, Change change) {
    var node = fields.at("/" + change.field().replace('.', '/'));
    return change.value() == null
        ? !node.isMissingNode()
        : node.isString() && change.value().equals(node.stringValue());
  }
}
