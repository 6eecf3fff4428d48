package example.modular;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.PartOfSpeechTagger;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.Codebook;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.kernels.Rows;
import org.nasvlp.libtorch.LibTorch;
import org.nasvlp.model.NasModel;
import org.nasvlp.negatives.TextEditor;

/**
 * Uses the library from a named module: a kernel, a model with a tokenizer, and English, which is
 * found as a service.
 */
final class Modular {
  private Modular() {}

  public static void main(String[] args) throws IOException {
    if (!NasModel.class.getModule().isNamed()) {
      throw new IllegalStateException("nas-core is not on the module path");
    }
    System.out.println("kernels: " + Kernels.describe() + "; LibTorch " + LibTorch.version());
    System.out.println("nearest codeword: " + nearestCodeword());
    System.out.println("a horse is a " + PartOfSpeechTagger.of("en").tag(words())[1]);
    List<String> captions = List.of("a brown horse grazes", "a black cat sleeps on a red sofa");
    TextEditor editor = TextEditor.factory("en", false).create(captions);
    System.out.println(captions.getFirst() + ": " + editor.edits(captions.getFirst()));
    System.out.println("match: " + score(Path.of(args[0])));
    System.out.println("modular works");
  }

  private static String[] words() {
    return new String[] {"a", "horse", "grazes"};
  }

  private static int nearestCodeword() {
    Backend backend = Kernels.isAvailable(Backend.CPU) ? Backend.CPU : Backend.JAVA;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment codewords = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 0, 0, 1, 1, 5, 5);
      MemorySegment token = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 4, 4);
      MemorySegment code = arena.allocate(ValueLayout.JAVA_INT);
      try (Codebook codebook = Codebook.create(backend, codewords, 3, 2)) {
        codebook.lookup(Rows.of(token, 1, 2), code, null, 0L);
      }
      return code.get(ValueLayout.JAVA_INT, 0);
    }
  }

  /** A model just made knows nothing, but it answers. */
  private static double score(Path vocabulary) throws IOException {
    NasConfig config = NasConfig.preset("tiny");
    try (CaptionTokenizer tokenizer =
            CaptionTokenizer.load(vocabulary, config.model().textTokens());
        NasModel model = NasModel.create(config, tokenizer)) {
      RgbImage black = new RgbImage(8, 8, new byte[8 * 8 * 3]);
      return model.score(black, List.of("a horse"))[0];
    }
  }
}
