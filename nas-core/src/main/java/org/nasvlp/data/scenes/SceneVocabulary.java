package org.nasvlp.data.scenes;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.text.WordPieceTrainer;
import org.nasvlp.internal.Json;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Makes the WordPiece tokenizer of scenes: the emoji's own, and the words of the captions. */
final class SceneVocabulary {
  private SceneVocabulary() {}

  /**
   * A HuggingFace {@code tokenizer.json}.
   *
   * @param own the emoji's, whose ids stay as they are; null for a new one
   * @param captions whose words it must have whole
   */
  static String json(@Nullable Path own, Collection<String> captions) throws IOException {
    ObjectNode root;
    if (own == null) {
      root = (ObjectNode) JsonMapper.shared().readTree(WordPieceTrainer.json(List.of()));
    } else {
      root =
          Json.read(own) instanceof ObjectNode object
              ? object
              : JsonMapper.shared().createObjectNode();
    }
    if (!(root.at("/model/vocab") instanceof ObjectNode vocabulary)) {
      throw new IOException(own + ": has no model.vocab; a WordPiece tokenizer.json is needed");
    }
    Set<String> words = new TreeSet<>();
    captions.forEach(caption -> words.addAll(List.of(caption.split(" ", -1))));
    Set<String> known = new LinkedHashSet<>(vocabulary.propertyNames());
    int next = 0;
    for (JsonNode id : vocabulary) {
      next = Math.max(next, id.asInt() + 1);
    }
    for (String word : words) {
      if (!known.contains(word)) {
        vocabulary.put(word, next++);
      }
    }
    return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
  }
}
