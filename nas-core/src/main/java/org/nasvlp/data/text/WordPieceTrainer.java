package org.nasvlp.data.text;

import java.io.IOException;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Makes a BERT-style WordPiece {@code tokenizer.json} from captions: {@link CaptionTokenizer#load}
 * reads it.
 *
 * <p>The vocabulary holds the special tokens and every character seen, so that a word made of seen
 * characters is never [UNK] (unless it has more than 100). Then it grows by one piece at a time:
 * the one that makes the captions shortest, either a whole word or two neighbouring pieces joined.
 * So frequent words become one piece and the others few. Among equals a joined pair comes first,
 * then what sorts first. The same captions give the same bytes, in whatever order they are added.
 *
 * <p>Takes about a kilobyte for each different word. Not thread-safe.
 */
public final class WordPieceTrainer {
  private static final Path NAME = Path.of("the tokenizer of single characters");
  private static final String CONTINUED = "##";

  /** How often each word stands in the captions. */
  private final Map<String, Long> words = new TreeMap<>();

  /** Starts without a caption. */
  public WordPieceTrainer() {}

  /**
   * Counts a caption's words.
   *
   * @param caption as the data set has it
   */
  public void add(String caption) {
    for (String word : CaptionTokenizer.normalize(caption).split(" ", -1)) {
      words.merge(CaptionTokenizer.wellFormed(word), 1L, Long::sum);
    }
  }

  /**
   * Makes the tokenizer of the captions added.
   *
   * @param size the greatest number of tokens, special ones included; there are fewer where every
   *     word is one piece before
   * @return text of a {@code tokenizer.json}
   * @throws IllegalStateException if no caption was added
   * @throws IllegalArgumentException if the size has no room for the special tokens and the
   *     characters; the message says what is needed
   * @throws IOException if the native tokenizer library cannot be loaded
   */
  public String train(int size) throws IOException {
    if (words.isEmpty()) {
      throw new IllegalStateException("there are no captions to make a tokenizer from");
    }
    int special = template().at("/model/vocab").size();
    // What the tokenizer library makes of a word (accents, scripts without spaces, control
    // characters) it alone knows: it is asked with all characters as its vocabulary.
    List<String> characters = characters();
    try (CaptionTokenizer library = CaptionTokenizer.of(NAME, json(characters), 3)) {
      WordPieces pieces = new WordPieces();
      TreeSet<String> seen = new TreeSet<>();
      for (Map.Entry<String, Long> word : words.entrySet()) {
        List<String> run = new ArrayList<>();
        for (int id : library.words(word.getKey())) {
          // Unknown is a character of a Unicode newer than one of both, and a word too long.
          String token = library.isSpecial(id) ? "" : characters.get(id - special);
          if (!isContinued(token)) {
            pieces.add(run, word.getValue());
            run = new ArrayList<>();
          }
          if (!token.isEmpty()) {
            run.add(token);
            seen.add(isContinued(token) ? token.substring(CONTINUED.length()) : token);
          }
        }
        pieces.add(run, word.getValue());
      }
      List<String> alphabet = new ArrayList<>(seen);
      for (String character : seen) {
        // Punctuation and Chinese characters are words of their own wherever they stand.
        int[] twice = library.words(character + character);
        if (isContinued(characters.get(twice[twice.length - 1] - special))) {
          alphabet.add(CONTINUED + character);
        }
      }
      if (size < special + alphabet.size()) {
        throw new IllegalArgumentException(
            "size is %d: at least %d is needed, %d special tokens and the captions' %d characters"
                    .formatted(size, special + alphabet.size(), special, seen.size())
                + " at a word's beginning and within");
      }
      return json(pieces.train(alphabet, size - special));
    }
  }

  /**
   * A BERT-style WordPiece {@code tokenizer.json} of the special tokens and given ones.
   *
   * @param tokens whole words and beginnings, and with {@code ##} before them what continues a
   *     word; in lower case; their ids follow those of the special tokens, in this order
   */
  public static String json(Collection<String> tokens) {
    ObjectNode root = template();
    ObjectNode vocabulary = (ObjectNode) root.at("/model/vocab");
    int next = vocabulary.size();
    for (String token : tokens) {
      vocabulary.put(token, next++);
    }
    return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
  }

  private static boolean isContinued(String token) {
    return token.length() > CONTINUED.length() && token.startsWith(CONTINUED);
  }

  /** All that the words can consist of once accents are parted from letters. */
  private List<String> characters() {
    TreeSet<Integer> points = new TreeSet<>();
    for (String word : words.keySet()) {
      String parted = Normalizer.normalize(word, Normalizer.Form.NFD);
      word.codePoints().forEach(points::add);
      parted.codePoints().forEach(points::add);
      parted.toLowerCase(Locale.ROOT).codePoints().forEach(points::add);
    }
    List<String> characters = new ArrayList<>();
    for (int point : points) {
      characters.add(Character.toString(point));
      characters.add(CONTINUED + Character.toString(point));
    }
    return characters;
  }

  private static ObjectNode template() {
    try (var in = WordPieceTrainer.class.getResourceAsStream("tokenizer.json")) {
      if (in == null) {
        throw new IllegalStateException("the library's own tokenizer.json is missing");
      }
      return (ObjectNode) JsonMapper.shared().readTree(in.readAllBytes());
    } catch (IOException e) {
      throw new IllegalStateException("the library's own tokenizer.json cannot be read", e);
    }
  }
}
