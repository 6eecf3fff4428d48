package org.nasvlp.data.text;

import ai.djl.engine.EngineException;
import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.nasvlp.internal.Excerpt;
import org.nasvlp.internal.InputFiles;
import org.nasvlp.internal.Json;
import org.nasvlp.internal.LibraryCaches;
import org.nasvlp.internal.NativeAccess;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/**
 * Turns captions into token ids by a HuggingFace {@code tokenizer.json} with BERT's special tokens
 * [PAD], [CLS], [SEP] and [MASK].
 *
 * <p>A caption is first lower-cased and freed of punctuation as in ALBEF (arXiv 2107.07651).
 * Special tokens spelled out in a caption are text like any other. The padding and truncation
 * settings of the file are not used.
 *
 * <p>Needs no network. The native tokenizer library is unpacked once into a cache folder: what
 * {@code DJL_CACHE_DIR} or {@code -Dnas.native.cache} says, or {@code ~/.djl.ai}. Loading sets the
 * system properties {@code ai.djl.offline} and {@code OPT_OUT_TRACKING} to true if they are not
 * set, and keeps DJL from using CUDA in this process. Thread-safe; use after {@link #close()} is an
 * {@link IllegalStateException}.
 */
public final class CaptionTokenizer implements AutoCloseable {
  private static final String UNKNOWN = "[UNK]";
  private static final List<String> NEEDED = List.of("[PAD]", "[CLS]", "[SEP]", "[MASK]");
  private static final List<String> RESERVED =
      List.of("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]");

  private static boolean libraryLoaded;

  private final HuggingFaceTokenizer tokenizer;
  private final ReentrantReadWriteLock use = new ReentrantReadWriteLock();
  private final String json;
  private final int maxTokens;
  private final int vocabularySize;
  private final Map<String, Integer> vocabulary;
  private final BitSet special;
  private final int unknownId;
  private final int padId;
  private final int clsId;
  private final int sepId;
  private final int maskId;
  private boolean closed;

  private CaptionTokenizer(
      HuggingFaceTokenizer tokenizer, String json, int maxTokens, Vocabulary vocabulary) {
    this.tokenizer = tokenizer;
    this.json = json;
    this.maxTokens = maxTokens;
    this.vocabularySize = vocabulary.size;
    this.vocabulary = Map.copyOf(vocabulary.ids);
    this.special = vocabulary.special;
    this.unknownId = vocabulary.ids.getOrDefault(UNKNOWN, -1);
    this.padId = vocabulary.ids.get("[PAD]");
    this.clsId = vocabulary.ids.get("[CLS]");
    this.sepId = vocabulary.ids.get("[SEP]");
    this.maskId = vocabulary.ids.get("[MASK]");
  }

  /**
   * Loads a tokenizer.
   *
   * @param tokenizerJson the file
   * @param maxTokens greatest number of tokens of a caption, [CLS] and [SEP] included; 3 or more
   * @throws IOException if the file is missing, is no tokenizer or lacks a special token; the
   *     message names the file
   */
  public static CaptionTokenizer load(Path tokenizerJson, int maxTokens) throws IOException {
    if (!Files.exists(tokenizerJson)) {
      throw new NoSuchFileException(
          tokenizerJson.toString(), null, "there is no tokenizer file (tokenizer.json)");
    }
    return of(tokenizerJson, InputFiles.text(tokenizerJson), maxTokens);
  }

  /**
   * {@link #load} of a text that stands elsewhere, such as in the metadata of a model's file.
   *
   * @param name stands in messages
   */
  public static CaptionTokenizer of(Path name, String json, int maxTokens) throws IOException {
    if (maxTokens < 3) {
      throw new IllegalArgumentException(
          "maxTokens is " + maxTokens + ": it must be 3 or more ([CLS], a word, [SEP])");
    }
    Vocabulary vocabulary = Vocabulary.read(name, json);
    return new CaptionTokenizer(open(name, json), json, maxTokens, vocabulary);
  }

  /**
   * A tokenizer of given words, one token each, for captions made of a few words. Any other word is
   * [UNK].
   *
   * @param words as {@link #normalize} leaves them: in lower case, without punctuation and accents;
   *     their ids follow those of [PAD], [UNK], [CLS], [SEP] and [MASK], so that of the first is 5
   * @param maxTokens greatest number of tokens of a caption, [CLS] and [SEP] included; 3 or more
   * @throws IllegalArgumentException if there are no words, a word stands twice, or no caption
   *     could ever hold it; the message names the word, its place from 0 and the remedy
   * @throws IOException if the native tokenizer library cannot be loaded
   */
  public static CaptionTokenizer ofWords(List<String> words, int maxTokens) throws IOException {
    List<String> given = new ArrayList<>(words);
    requireWords(given);
    CaptionTokenizer tokenizer =
        of(Path.of("the tokenizer of given words"), WordPieceTrainer.json(given), maxTokens);
    try {
      for (int i = 0; i < given.size(); i++) {
        int id = tokenizer.vocabulary.get(given.get(i));
        if (!Arrays.equals(tokenizer.words(given.get(i)), new int[] {id})) {
          throw badWord(
              i,
              given.get(i),
              "the tokenizer would not find it in a caption; give it without accents, of letters"
                  + " and digits, at most 100 of them");
        }
      }
      return tokenizer;
    } catch (RuntimeException e) {
      tokenizer.close();
      throw e;
    }
  }

  private static void requireWords(List<String> words) {
    if (words.isEmpty()) {
      throw new IllegalArgumentException("words is empty: give the words of your captions");
    }
    Map<String, Integer> places = new HashMap<>();
    for (int i = 0; i < words.size(); i++) {
      String word = Objects.requireNonNull(words.get(i), "words[" + i + "]");
      if (word.isBlank()) {
        throw badWord(i, word, "a word has letters; leave it out");
      }
      if (RESERVED.contains(word)) {
        throw badWord(i, word, "this token is in every tokenizer; leave it out");
      }
      String normal = wellFormed(CaptionText.normalize(word));
      if (normal.indexOf(' ') >= 0) {
        throw badWord(i, word, "in a caption these are several words; give each of them by itself");
      }
      if (!normal.equals(word)) {
        throw badWord(
            i,
            word,
            "captions are lower-cased and freed of punctuation first; give "
                + Excerpt.of(normal)
                + " instead");
      }
      Integer before = places.putIfAbsent(word, i);
      if (before != null) {
        throw badWord(i, word, "words[" + before + "] is the same; give each word once");
      }
    }
  }

  private static IllegalArgumentException badWord(int place, String word, String remedy) {
    return new IllegalArgumentException(
        "words[%d] is \"%s\": %s".formatted(place, Excerpt.of(word), remedy));
  }

  private static synchronized HuggingFaceTokenizer tokenizer(
      String json, Map<String, String> options) throws IOException {
    LibraryCaches.Loading<HuggingFaceTokenizer> loading =
        () ->
            HuggingFaceTokenizer.newInstance(
                new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8)), options);
    HuggingFaceTokenizer opened =
        libraryLoaded ? loading.run() : LibraryCaches.withTokenizers(loading);
    libraryLoaded = true;
    return opened;
  }

  private static HuggingFaceTokenizer open(Path file, String json) throws IOException {
    prepareLibrary();
    Map<String, String> options =
        Map.of(
            "addSpecialTokens", "false",
            "padding", "false",
            "truncation", "false",
            "modelMaxLength", Integer.toString(Integer.MAX_VALUE));
    try {
      return tokenizer(json, options);
    } catch (EngineException | LinkageError | IllegalStateException | IllegalCallerException e) {
      String denied = NativeAccess.denied(CaptionTokenizer.class, e);
      if (denied != null) {
        throw new IOException("the native tokenizer library cannot be loaded: " + denied, e);
      }
      throw new IOException(
          "the native tokenizer library cannot be loaded ("
              + e
              + "); its cache folder must be writable and allow execution: name another one by"
              + " -Dnas.native.cache",
          e);
    } catch (RuntimeException e) {
      throw new IOException(file + " is not a usable tokenizer: " + Excerpt.of(e.getMessage()), e);
    }
  }

  /**
   * The library reports its use to its makers, looks for a GPU (with warnings) and, finding one,
   * for another build of itself on the network, unless told otherwise.
   */
  private static synchronized void prepareLibrary() {
    setDefault("ai.djl.offline", "true");
    setDefault("OPT_OUT_TRACKING", "true");
    // With this property set, the class makes no use of the CUDA runtime from its start on.
    String probe = "ai.djl.util.cuda.fork";
    if (System.getProperty(probe) == null) {
      System.setProperty(probe, "true");
      try {
        Class.forName("ai.djl.util.cuda.CudaUtils");
      } catch (ClassNotFoundException e) {
        throw new IllegalStateException("the tokenizer library is incomplete", e);
      } finally {
        System.clearProperty(probe);
      }
    }
  }

  private static void setDefault(String property, String value) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, value);
    }
  }

  /**
   * Tokenises captions.
   *
   * @return a row for each caption, padded to the longest of these
   */
  public TokenizedCaptions encode(List<String> captions) {
    return assemble(captions.stream().map(this::words).toList());
  }

  /**
   * Tokenises captions with one word of each masked: [MASK] stands for it, of however many tokens
   * it is.
   *
   * @param captions normalised
   * @param words the word of each, counted from 0 as spaces part them
   * @throws IndexOutOfBoundsException if a caption has no such word
   */
  public TokenizedCaptions encodeMasked(List<String> captions, int[] words) {
    List<int[]> all = new ArrayList<>();
    for (int row = 0; row < captions.size(); row++) {
      List<String> parts = List.of(captions.get(row).split(" ", -1));
      Objects.checkIndex(words[row], parts.size());
      String before = String.join(" ", parts.subList(0, words[row]));
      String after = String.join(" ", parts.subList(words[row] + 1, parts.size()));
      all.add(
          Stream.of(
                  before.isEmpty() ? new int[0] : words(before),
                  new int[] {maskId},
                  after.isEmpty() ? new int[0] : words(after))
              .flatMapToInt(IntStream::of)
              .toArray());
    }
    return assemble(all);
  }

  /**
   * The text of a caption that {@link #encode} tokenises: lower case, without the punctuation that
   * ALBEF (arXiv 2107.07651) drops, words apart by one space, hyphens and slashes as spaces. A
   * caption of nothing but punctuation stays as it is. Text given by this method is left as it is.
   */
  public static String normalize(String caption) {
    return CaptionText.normalize(caption);
  }

  /** The ids of the caption's words, without special tokens and not cut. */
  public int[] words(String caption) {
    String text = wellFormed(CaptionText.normalize(caption));
    Encoding encoding;
    use.readLock().lock();
    try {
      if (closed) {
        throw new IllegalStateException("the tokenizer is closed");
      }
      encoding = tokenizer.encode(text, false, false);
    } finally {
      use.readLock().unlock();
    }
    return Arrays.stream(encoding.getIds())
        .mapToInt(Math::toIntExact)
        .filter(id -> id == unknownId || !special.get(id))
        .toArray();
  }

  /**
   * Of each of a caption's {@link #words}' tokens the word that it is of, counted from 0 as spaces
   * part them in the normalised caption.
   *
   * @throws IllegalStateException if the tokenizer makes other tokens of the words alone than of
   *     the caption
   */
  public int[] wordOfTokens(String caption) {
    String[] words = CaptionText.normalize(caption).split(" ", -1);
    IntStream.Builder ids = IntStream.builder();
    IntStream.Builder of = IntStream.builder();
    for (int word = 0; word < words.length; word++) {
      for (int id : words(words[word])) {
        ids.add(id);
        of.add(word);
      }
    }
    if (!Arrays.equals(ids.build().toArray(), words(caption))) {
      throw new IllegalStateException(
          "the tokenizer makes other tokens of the words of '"
              + Excerpt.of(caption)
              + "' alone than together: which token is of which word is not known");
    }
    return of.build().toArray();
  }

  /** Rows of what {@link #words} gives. */
  public TokenizedCaptions assemble(List<int[]> words) {
    int length = 2;
    int truncated = 0;
    for (int[] row : words) {
      length = Math.max(length, Math.min(row.length + 2, maxTokens));
      truncated += row.length + 2 > maxTokens ? 1 : 0;
    }
    long[] ids = new long[words.size() * length];
    long[] mask = new long[ids.length];
    Arrays.fill(ids, padId);
    for (int r = 0; r < words.size(); r++) {
      int[] row = words.get(r);
      int kept = Math.min(row.length, maxTokens - 2);
      int at = r * length;
      ids[at] = clsId;
      for (int i = 0; i < kept; i++) {
        ids[at + 1 + i] = row[i];
      }
      ids[at + 1 + kept] = sepId;
      Arrays.fill(mask, at, at + kept + 2, 1);
    }
    return new TokenizedCaptions(words.size(), length, ids, mask, truncated);
  }

  /** Halves of surrogate pairs and NUL do not pass the border to native code. */
  static String wellFormed(String text) {
    byte[] utf8 = text.replace('\0', ' ').getBytes(StandardCharsets.UTF_8);
    return new String(utf8, StandardCharsets.UTF_8);
  }

  /** One more than the greatest id. */
  public int vocabularySize() {
    return vocabularySize;
  }

  /** Every token with its id. */
  public Map<String, Integer> vocabulary() {
    return vocabulary;
  }

  /**
   * The tokens of a tokenizer's text with their ids.
   *
   * @param file stands in messages
   * @param json text of a {@code tokenizer.json}
   * @throws IOException if the text is no tokenizer or lacks a special token
   */
  public static Map<String, Integer> vocabulary(Path file, String json) throws IOException {
    return Map.copyOf(Vocabulary.read(file, json).ids);
  }

  /** The id of [PAD]. */
  public int padId() {
    return padId;
  }

  /** The id of [CLS]. */
  public int clsId() {
    return clsId;
  }

  /** The id of [SEP]. */
  public int sepId() {
    return sepId;
  }

  /** The id of [MASK]. */
  public int maskId() {
    return maskId;
  }

  /** Whether the id is that of a special token, [UNK] among them, rather than of a word. */
  public boolean isSpecial(long id) {
    return id >= 0 && id < vocabularySize && special.get((int) id);
  }

  /** The greatest number of tokens of a caption, [CLS] and [SEP] included. */
  public int maxTokens() {
    return maxTokens;
  }

  /** The text of the tokenizer file, so that a checkpoint can carry it. */
  public String json() {
    return json;
  }

  /** Frees the native tokenizer, once no thread uses it. Closing twice does nothing. */
  @Override
  public void close() {
    use.writeLock().lock();
    try {
      if (!closed) {
        closed = true;
        tokenizer.close();
      }
    } finally {
      use.writeLock().unlock();
    }
  }

  /** Ids as the file gives them. */
  private static final class Vocabulary {
    private final Map<String, Integer> ids = new HashMap<>();
    private final BitSet special = new BitSet();
    private int size;

    static Vocabulary read(Path file, String json) throws IOException {
      JsonNode root;
      try {
        root = Json.MAPPER.readTree(json);
      } catch (JacksonException e) {
        throw new IOException(file + " is not valid JSON: " + Json.problem(e), e);
      }
      requireUnknown(file, root.path("model"));
      Vocabulary vocabulary = new Vocabulary();
      JsonNode words = root.path("model").path("vocab");
      if (words.isObject()) {
        for (Map.Entry<String, JsonNode> word : words.properties()) {
          vocabulary.add(file, word.getKey(), word.getValue());
        }
      } else if (words.isArray()) {
        vocabulary.size = words.size();
        for (int i = 0; i < words.size(); i++) {
          vocabulary.ids.put(words.get(i).path(0).asString(""), i);
        }
      } else {
        throw new IOException(
            file + " is not a tokenizer: it has no model.vocab (a HuggingFace tokenizer.json has)");
      }
      for (JsonNode token : root.path("added_tokens")) {
        String content = token.path("content").asString("");
        vocabulary.add(file, content, token.path("id"));
        if (token.path("special").asBoolean(false)) {
          vocabulary.special.set(vocabulary.ids.get(content));
        }
      }
      for (String name : NEEDED) {
        Integer id = vocabulary.ids.get(name);
        if (id == null) {
          throw new IOException(
              file + " has no token " + name + "; a BERT-style WordPiece tokenizer is needed");
        }
        vocabulary.special.set(id);
      }
      Integer unknown = vocabulary.ids.get(UNKNOWN);
      if (unknown != null) {
        vocabulary.special.set(unknown);
      }
      return vocabulary;
    }

    /** The library misses it only at the first word that it does not know, and names no file. */
    private static void requireUnknown(Path file, JsonNode model) throws IOException {
      JsonNode words = model.path("vocab");
      String unknown = model.path("unk_token").asString(UNKNOWN);
      boolean needed =
          model.has("unk_token") || model.path("type").asString("").equals("WordPiece");
      if (needed && words.isObject() && !words.has(unknown)) {
        throw new IOException(
            "%s has no %s in model.vocab, the token of unknown words (model.unk_token); add it"
                .formatted(file, Excerpt.of(unknown)));
      }
    }

    private void add(Path file, String word, JsonNode id) throws IOException {
      if (!id.isInt() || id.intValue() < 0 || id.intValue() > 100_000_000) {
        throw new IOException(
            "%s gives the token %s the id %s; an integer of 0 to 100000000 is needed"
                .formatted(file, Excerpt.of(word), Excerpt.of(id)));
      }
      ids.put(word, id.intValue());
      size = Math.max(size, id.intValue() + 1);
    }
  }
}
