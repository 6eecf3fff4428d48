package org.nasvlp.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.EditType;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Mirror;
import org.nasvlp.negatives.TextEditor;

/** Edits the captions of {@link Shapes}: each word by the others that it excludes. */
final class ShapesEditor implements TextEditor {
  private static final Map<EditType, List<String>> WORDS = new LinkedHashMap<>();

  static {
    WORDS.put(EditType.COLOR, List.of("red", "green", "blue", "yellow"));
    WORDS.put(EditType.NOUN, List.of("square", "bar", "cross", "frame"));
    WORDS.put(EditType.DIRECTION, List.of("left", "right"));
  }

  private final String alone;

  private ShapesEditor(String alone) {
    this.alone = alone;
  }

  /** Makes such editors; to them every caption names one thing. */
  static TextEditor.Factory factory() {
    return factory("");
  }

  /** Makes such editors; to them captions name one thing that hold a text, and others name two. */
  static TextEditor.Factory factory(String alone) {
    return new TextEditor.Factory() {
      @Override
      public String identity() {
        return "shapes";
      }

      @Override
      public TextEditor create(Iterable<String> captions) {
        return new ShapesEditor(alone);
      }

      @Override
      public @Nullable Mirror mirror(String caption, CaptionEdit edit) {
        return edit.type() == EditType.DIRECTION ? Mirror.LEFT_RIGHT : null;
      }
    };
  }

  @Override
  public List<CaptionEdit> edits(String caption) {
    String[] words = caption.split(" ", -1);
    List<CaptionEdit> edits = new ArrayList<>();
    for (int at = 0; at < words.length; at++) {
      for (var kind : WORDS.entrySet()) {
        if (kind.getValue().contains(words[at])) {
          for (String other : kind.getValue()) {
            if (!other.equals(words[at])) {
              edits.add(edit(kind.getKey(), words, at, other));
            }
          }
        }
      }
    }
    return edits;
  }

  @Override
  public int things(String caption) {
    return caption.contains(alone) ? 1 : 2;
  }

  @Override
  public int[] replaceable(String caption) {
    return IntStream.range(0, caption.split(" ", -1).length).toArray();
  }

  @Override
  public CaptionEdit replace(String caption, int word, String proposal) {
    String[] words = caption.split(" ", -1);
    boolean excludes =
        WORDS.values().stream()
            .anyMatch(kind -> kind.contains(words[word]) && kind.contains(proposal));
    return excludes && !proposal.equals(words[word])
        ? edit(EditType.WORD, words, word, proposal)
        : null;
  }

  private static CaptionEdit edit(EditType type, String[] words, int at, String other) {
    String[] changed = Arrays.copyOf(words, words.length);
    changed[at] = other;
    return new CaptionEdit(String.join(" ", changed), type, words[at], other);
  }
}
