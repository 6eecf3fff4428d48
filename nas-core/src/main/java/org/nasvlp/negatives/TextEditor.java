package org.nasvlp.negatives;

import java.util.List;
import java.util.ServiceLoader;
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
   * @param caption text of {@link org.nasvlp.data.text.CaptionTokenizer#normalize}
   */
  List<CaptionEdit> edits(String caption);

  /**
   * The numbers of the words that {@link #replace} may replace by some word, ascending.
   *
   * @param caption text of {@link org.nasvlp.data.text.CaptionTokenizer#normalize}
   */
  int[] replaceable(String caption);

  /**
   * Puts a proposed word in a word's place, if by the editor's rules the caption then becomes false
   * and stays sound.
   *
   * @param caption text of {@link org.nasvlp.data.text.CaptionTokenizer#normalize}
   * @param word number of the word to replace, counted from 0, words being what spaces part
   * @param proposal a single word
   * @return an edit of type {@link org.nasvlp.config.EditType#WORD}, or null if the word is not to
   *     be replaced or not by this one
   * @throws IndexOutOfBoundsException if the caption has no such word
   */
  @Nullable CaptionEdit replace(String caption, int word, String proposal);

  /**
   * How many things a caption names, each mention counted: two in "a pear to the left of a spoon",
   * one in "a picture of three pears". 0 if it names none that the editor knows.
   *
   * @param caption text of {@link org.nasvlp.data.text.CaptionTokenizer#normalize}
   */
  int things(String caption);

  /**
   * Where the editors of a language come from; found by {@link ServiceLoader}. English is in {@code
   * org.nasvlp:nas-text-en}.
   */
  interface Provider {
    /** The language, as an ISO 639-1 code such as {@code en}. */
    String language();

    /**
     * Its editors.
     *
     * @param exactLabels see {@link org.nasvlp.config.NtaConfig#exactLabels}
     */
    Factory factory(boolean exactLabels);
  }

  /**
   * The editors of a language.
   *
   * @param exactLabels see {@link org.nasvlp.config.NtaConfig#exactLabels}
   * @throws IllegalStateException if there are none; the message names the artifact to add
   */
  static Factory factory(String language, boolean exactLabels) {
    return ServiceLoader.load(Provider.class, TextEditor.class.getClassLoader()).stream()
        .map(ServiceLoader.Provider::get)
        .filter(provider -> provider.language().equals(language))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalStateException(
                    "hard negative captions need an editor for the language '"
                        + language
                        + "': add org.nasvlp:nas-text-"
                        + language
                        + " to the class path, give the trainer a textEditor, or set nta.enabled to"
                        + " false, and nva.enabled too where its swaps go by words"))
        .factory(exactLabels);
  }

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

    /**
     * How a picture has to be mirrored for a hard negative caption to become true of it and the
     * true one false; null if no mirror does, or if it is not known. By default null.
     *
     * @param caption the true one, normalised
     * @param edit one of its edits
     */
    default @Nullable Mirror mirror(String caption, CaptionEdit edit) {
      return null;
    }
  }
}
