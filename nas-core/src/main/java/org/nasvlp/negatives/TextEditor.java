package org.nasvlp.negatives;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Proposes hard negative captions in one language. An editor is made for the captions of a data
 * set, so that it puts in nothing but words seen there. Implementations are thread-safe, and the
 * same caption gets the same edits in the same order always.
 */
public interface TextEditor {
  /**
   * Captions that differ from this one by one word, one set phrase or one swap, and are false where
   * it is true. They may repeat another true caption of the picture: {@link
   * NegativeTextAugmentation} drops those.
   *
   * @param caption text of {@link org.nasvlp.data.CaptionTokenizer#normalise}
   */
  List<CaptionEdit> edits(String caption);

  /**
   * The numbers of the words that {@link #replace} may replace by some word, ascending.
   *
   * @param caption text of {@link org.nasvlp.data.CaptionTokenizer#normalise}
   */
  int[] replaceable(String caption);

  /**
   * Puts a proposed word in a word's place, if by the editor's rules the caption then becomes false
   * and stays sound.
   *
   * @param caption text of {@link org.nasvlp.data.CaptionTokenizer#normalise}
   * @param word number of the word to replace, counted from 0, words being what spaces part
   * @param proposal a single word
   * @return an edit of type {@link org.nasvlp.config.EditType#WORD}, or null if the word is not to
   *     be replaced or not by this one
   * @throws IndexOutOfBoundsException if the caption has no such word
   */
  @Nullable CaptionEdit replace(String caption, int word, String proposal);

  /** Makes editors of one kind. */
  interface Factory {
    /**
     * Names the kind of editor, its version and settings: two factories with the same identity make
     * editors that give the same edits for the same captions. Part of the key of cached edits.
     */
    String identity();

    /**
     * An editor for these captions.
     *
     * @param captions all captions of the data set, normalised; may be gone through several times
     * @throws IllegalStateException if something the editor needs is missing; the message says what
     *     to add
     */
    TextEditor create(Iterable<String> captions);
  }
}
