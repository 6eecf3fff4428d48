package org.nasvlp.text.en;

import java.io.IOException;
import java.io.InputStream;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import opennlp.tools.postag.POSModel;
import opennlp.tools.postag.POSTaggerME;
import org.nasvlp.data.text.PartOfSpeechTagger;

/**
 * Tags the words of English sentences with their universal parts of speech (NOUN, ADJ, …), by
 * Apache OpenNLP's model. Thread-safe.
 */
final class PartsOfSpeech implements PartOfSpeechTagger {
  private static final String MODEL = "opennlp-en-ud-ewt-pos-1.3-2.5.4.bin";

  private final POSModel model;
  // A tagger serves one thread at a time.
  private final Queue<POSTaggerME> idleTaggers = new ConcurrentLinkedQueue<>();

  private PartsOfSpeech(POSModel model) {
    this.model = model;
  }

  /**
   * Loads the model, about 150 ms.
   *
   * @throws IllegalStateException naming the artifact that the class path lacks
   */
  static PartsOfSpeech english() {
    String tagger = "org.apache.opennlp:opennlp-tools:2.5.11";
    String parameters = "org.apache.opennlp:opennlp-models-pos-en:1.3.0";
    // By the loader: a class in a module sees its own module's resources only.
    ClassLoader loader = PartsOfSpeech.class.getClassLoader();
    if (loader.getResource("opennlp/tools/postag/POSTaggerME.class") == null) {
      throw lacking(tagger);
    }
    try (InputStream in = loader.getResourceAsStream(MODEL)) {
      if (in == null) {
        throw lacking(parameters);
      }
      return new PartsOfSpeech(new POSModel(in));
    } catch (IOException e) {
      throw new IllegalStateException(
          "the part-of-speech model (" + parameters + ") cannot be read: " + e.getMessage(), e);
    }
  }

  private static IllegalStateException lacking(String artifact) {
    return new IllegalStateException(
        "English captions are changed by their words' parts of speech: add "
            + artifact
            + " to the class path, or set nta.enabled to false");
  }

  @Override
  public String[] tag(String[] words) {
    POSTaggerME idle = idleTaggers.poll();
    POSTaggerME tagger = idle == null ? new POSTaggerME(model) : idle;
    String[] tags = tagger.tag(words);
    idleTaggers.add(tagger);
    return tags;
  }
}
