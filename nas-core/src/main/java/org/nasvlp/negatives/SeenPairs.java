package org.nasvlp.negatives;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.text.CaptionTokenizer;

/**
 * Keeps an editor from putting two words side by side that never stand so in the captions. A model
 * would tell "a purple dog" from every true caption by the language alone, without a look at the
 * image (Hsieh et al., SugarCrepe, arXiv 2306.14610).
 */
final class SeenPairs implements TextEditor {
  private static final String EDGE = "";

  private final TextEditor editor;
  private final Set<String> pairs = new HashSet<>();

  private SeenPairs(TextEditor editor, Iterable<String> captions) {
    this.editor = editor;
    for (String caption : captions) {
      String before = EDGE;
      for (String word : caption.split(" ", -1)) {
        pairs.add(pair(before, word));
        before = word;
      }
      pairs.add(pair(before, EDGE));
    }
  }

  /** Editors that do as these do, but for what they leave out. */
  static TextEditor.Factory over(TextEditor.Factory editors) {
    return new TextEditor.Factory() {
      @Override
      public String identity() {
        return editors.identity() + ", seen pairs";
      }

      @Override
      public TextEditor create(Iterable<String> captions) {
        return new SeenPairs(editors.create(captions), captions);
      }

      @Override
      public @Nullable Mirror mirror(String caption, CaptionEdit edit) {
        return editors.mirror(caption, edit);
      }
    };
  }

  private static String pair(String before, String word) {
    return before + " " + word;
  }

  private boolean isSeen(CaptionEdit edit) {
    String before = EDGE;
    for (String word : CaptionTokenizer.normalize(edit.caption()).split(" ", -1)) {
      if (!pairs.contains(pair(before, word))) {
        return false;
      }
      before = word;
    }
    return pairs.contains(pair(before, EDGE));
  }

  @Override
  public List<CaptionEdit> edits(String caption) {
    return editor.edits(caption).stream().filter(this::isSeen).toList();
  }

  @Override
  public int[] replaceable(String caption) {
    return editor.replaceable(caption);
  }

  @Override
  public @Nullable CaptionEdit replace(String caption, int word, String proposal) {
    CaptionEdit edit = editor.replace(caption, word, proposal);
    return edit == null || !isSeen(edit) ? null : edit;
  }

  @Override
  public int things(String caption) {
    return editor.things(caption);
  }
}
