package org.nasvlp.spark;

import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.spark.sql.Row;
import org.nasvlp.spark.ShardFolder.Part;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The files of JSON that stand beside shards. */
final class Manifest {
  private Manifest() {}

  /**
   * Captions in numbers.
   *
   * @param distinctImages of the pairs, by SHA-256
   * @param words how many captions have how many words
   */
  record Statistics(
      long pairs,
      long distinctImages,
      long distinctCaptions,
      long characters,
      int fewestCharacters,
      int mostCharacters,
      SortedMap<Integer, Long> words) {}

  static String text(Part part) {
    return text(node(part).put("plan", part.plan()));
  }

  /**
   * The whole manifest.
   *
   * @param kinds refused rows of each kind
   * @param named the first of them: name, kind, reason
   */
  static String text(
      String plan,
      PrepareOptions options,
      List<Part> parts,
      Statistics statistics,
      long rows,
      Map<String, Long> kinds,
      List<Row> named) {
    JsonNodeFactory nodes = JsonNodeFactory.instance;
    ObjectNode root = nodes.objectNode().put("plan", plan);
    root.putObject("options")
        .put("shorterSide", options.shorterSide())
        .put("pairsPerShard", options.pairsPerShard())
        .put("background", "#%06X".formatted(options.background()));
    root.putObject("totals")
        .put("rows", rows)
        .put("pairs", statistics.pairs())
        .put("images", statistics.distinctImages())
        .put("refused", rows - statistics.pairs())
        .put("shards", parts.size())
        .put("bytes", parts.stream().mapToLong(Part::bytes).sum());
    ObjectNode captions = root.putObject("captions").put("distinct", statistics.distinctCaptions());
    SortedMap<Integer, Long> words = statistics.words();
    long all = 0;
    for (Map.Entry<Integer, Long> entry : words.entrySet()) {
      all += entry.getKey() * entry.getValue();
    }
    captions
        .putObject("words")
        .put("least", words.firstKey())
        .put("median", quantile(words, statistics.pairs(), 0.5))
        .put("mean", (double) all / statistics.pairs())
        .put("quantile95", quantile(words, statistics.pairs(), 0.95))
        .put("most", words.lastKey());
    captions
        .putObject("characters")
        .put("least", statistics.fewestCharacters())
        .put("mean", (double) statistics.characters() / statistics.pairs())
        .put("most", statistics.mostCharacters());
    ObjectNode refused = root.putObject("refused");
    ObjectNode counts = refused.putObject("kinds");
    new TreeMap<>(kinds).forEach(counts::put);
    ArrayNode first = refused.putArray("first");
    for (Row row : named) {
      first
          .addObject()
          .put("name", row.getString(0))
          .put("kind", row.getString(1))
          .put("reason", row.getString(2));
    }
    ArrayNode shards = root.putArray("shards");
    parts.forEach(part -> shards.add(node(part)));
    return text(root);
  }

  /** The least number of words that a share of the captions does not exceed. */
  private static int quantile(SortedMap<Integer, Long> words, long pairs, double share) {
    long seen = 0;
    for (Map.Entry<Integer, Long> entry : words.entrySet()) {
      seen += entry.getValue();
      if (seen >= share * pairs) {
        return entry.getKey();
      }
    }
    return words.lastKey();
  }

  private static ObjectNode node(Part part) {
    return JsonNodeFactory.instance
        .objectNode()
        .put("name", part.name())
        .put("pairs", part.pairs())
        .put("bytes", part.bytes())
        .put("sha256", part.sha256());
  }

  private static String text(ObjectNode node) {
    return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(node) + "\n";
  }
}
