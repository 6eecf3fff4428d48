package org.nasvlp.text.en;

import org.nasvlp.data.text.PartOfSpeechTagger;
import org.nasvlp.negatives.TextEditor;

/**
 * English, for the library to find: an editor that makes hard negative captions, and a tagger of
 * parts of speech.
 */
public final class English implements TextEditor.Provider, PartOfSpeechTagger.Provider {
  /** For {@link java.util.ServiceLoader}. */
  public English() {}

  @Override
  public String language() {
    return "en";
  }

  @Override
  public TextEditor.Factory factory(boolean exactLabels) {
    return EnglishTextEditor.factory(exactLabels);
  }

  @Override
  public PartOfSpeechTagger load() {
    return PartsOfSpeech.english();
  }
}
