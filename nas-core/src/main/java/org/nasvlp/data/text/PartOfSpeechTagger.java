package org.nasvlp.data.text;

import java.util.ServiceLoader;

/**
 * Tags the words of sentences with their universal parts of speech (NOUN, ADJ, …; Petrov et al.,
 * arXiv 1104.2086). Implementations are found by {@link ServiceLoader}, are thread-safe, and give
 * the same sentence the same tags always.
 */
public interface PartOfSpeechTagger {
  /** The tags of a sentence's words, one for each. */
  String[] tag(String[] words);

  /** Loads taggers of one language. */
  interface Provider {
    /** The language, as an ISO 639-1 code such as {@code en}. */
    String language();

    /**
     * Loads a tagger.
     *
     * @throws IllegalStateException naming the artifact that is missing, or why it cannot be read
     */
    PartOfSpeechTagger load();
  }

  /**
   * A tagger of that language.
   *
   * @throws IllegalStateException if there is none; the message names the artifact to add
   */
  static PartOfSpeechTagger of(String language) {
    return ServiceLoader.load(Provider.class, PartOfSpeechTagger.class.getClassLoader()).stream()
        .map(ServiceLoader.Provider::get)
        .filter(provider -> provider.language().equals(language))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalStateException(
                    "words have to be tagged with their parts of speech: add org.nasvlp:nas-text-"
                        + language
                        + " to the class path"))
        .load();
  }
}
