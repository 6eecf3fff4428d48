package org.nasvlp.data.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.nasvlp.data.Fixtures.A;
import static org.nasvlp.data.Fixtures.CLS;
import static org.nasvlp.data.Fixtures.DOG;
import static org.nasvlp.data.Fixtures.MASK;
import static org.nasvlp.data.Fixtures.PAD;
import static org.nasvlp.data.Fixtures.RED;
import static org.nasvlp.data.Fixtures.SEP;
import static org.nasvlp.data.Fixtures.UNK;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.data.Fixtures;

class CaptionTokenizerTest {
  private static final int RUN = 15;
  private static final int NING = 16;

  private static CaptionTokenizer tokenizer;

  @TempDir private Path folder;

  @BeforeAll
  static void load() {
    tokenizer = Fixtures.tokenizer();
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  private static long[] ids(String caption) {
    return tokenizer.encode(List.of(caption)).ids();
  }

  @Test
  void captionsArePaddedToTheLongest() {
    TokenizedCaptions tokens = tokenizer.encode(List.of("a dog", "A RED dog running", "dog"));
    assertThat(tokens.rows()).isEqualTo(3);
    assertThat(tokens.length()).isEqualTo(7);
    assertThat(tokens.truncated()).isZero();
    assertThat(tokens.ids())
        .containsExactly(
            CLS, A, DOG, SEP, PAD, PAD, PAD, //
            CLS, A, RED, DOG, RUN, NING, SEP, //
            CLS, DOG, SEP, PAD, PAD, PAD, PAD);
    assertThat(tokens.mask())
        .containsExactly(
            1, 1, 1, 1, 0, 0, 0, //
            1, 1, 1, 1, 1, 1, 1, //
            1, 1, 1, 0, 0, 0, 0);
  }

  @Test
  void oneMaskStandsForAWordOfSeveralTokens() {
    TokenizedCaptions tokens =
        tokenizer.encodeMasked(
            List.of("a red dog running", "a red dog running", "a dog", "dog"),
            new int[] {3, 1, 0, 0});
    int mask = tokenizer.maskId();
    assertThat(tokens.ids())
        .containsExactly(
            CLS, A, RED, DOG, mask, SEP, PAD, //
            CLS, A, mask, DOG, RUN, NING, SEP, //
            CLS, mask, DOG, SEP, PAD, PAD, PAD, //
            CLS, mask, SEP, PAD, PAD, PAD, PAD);
    assertThatThrownBy(() -> tokenizer.encodeMasked(List.of("a dog"), new int[] {2}))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }

  @Test
  void longCaptionsAreCutBeforeSepAndCounted() {
    TokenizedCaptions tokens =
        tokenizer.encode(List.of("a a a a a a", "a a a a a a dog", "dog dog dog dog dog dog a a"));
    assertThat(tokens.length()).isEqualTo(8);
    assertThat(tokens.truncated()).isEqualTo(2);
    assertThat(tokens.ids())
        .containsExactly(
            CLS, A, A, A, A, A, A, SEP, //
            CLS, A, A, A, A, A, A, SEP, //
            CLS, DOG, DOG, DOG, DOG, DOG, DOG, SEP);
    assertThat(tokens.mask()).containsOnly(1);
  }

  @Test
  void punctuationIsRemovedAndHyphensAndSlashesPartWords() {
    assertThat(ids("A red, 'dog'!")).containsExactly(CLS, A, RED, DOG, SEP);
    assertThat(ids("red-dog/a <person>")).containsExactly(CLS, RED, DOG, A, UNK, SEP);
    // With the apostrophe gone, o'clock is one word: o ##clock.
    assertThat(ids("one o'clock")).containsExactly(CLS, 22, 20, 21, SEP);
    assertThat(CaptionText.normalize("A  Red; (dog)~ on/off: <person>"))
        .isEqualTo("a red dog on off person");
    assertThat(CaptionText.normalize(" ?! ")).isEqualTo("?!");
    assertThat(ids("?!")).containsExactly(CLS, UNK, UNK, SEP);
  }

  @Test
  void specialTokensInACaptionAreNotSpecial() {
    assertThat(ids("[SEP] dog")).containsExactly(CLS, UNK, UNK, UNK, DOG, SEP);
    assertThat(ids("a [MASK]")).containsExactly(CLS, A, UNK, UNK, UNK, SEP);
  }

  @ParameterizedTest
  @ValueSource(strings = {"a \ud83d dog", "a \0 dog", "a \u200b dog", "a\u00a0dog"})
  void oddCharactersDoNoHarm(String caption) {
    assertThat(ids(caption)).startsWith(CLS, A).endsWith(DOG, SEP);
  }

  @Test
  void emojiAndOtherScriptsAreUnknownWords() {
    assertThat(ids("a 👍🏽 dog")).containsExactly(CLS, A, UNK, DOG, SEP);
    assertThat(ids("собака dog")).containsExactly(CLS, UNK, DOG, SEP);
  }

  @Test
  void nothingToEncode() {
    TokenizedCaptions tokens = tokenizer.encode(List.of());
    assertThat(tokens.rows()).isZero();
    assertThat(tokens.ids()).isEmpty();
    assertThat(ids("")).containsExactly(CLS, SEP);
  }

  @Test
  void idsOfTheFile() throws IOException {
    assertThat(tokenizer.vocabularySize()).isEqualTo(25);
    assertThat(tokenizer.padId()).isEqualTo(PAD);
    assertThat(tokenizer.clsId()).isEqualTo(CLS);
    assertThat(tokenizer.sepId()).isEqualTo(SEP);
    assertThat(tokenizer.maskId()).isEqualTo(MASK);
    assertThat(tokenizer.maxTokens()).isEqualTo(8);
    for (int id = -1; id < 30; id++) {
      assertThat(tokenizer.isSpecial(id)).as("%d", id).isEqualTo(id >= 0 && id <= 4);
    }
    assertThat(tokenizer.isSpecial(1L << 32)).isFalse();
    assertThat(tokenizer.json()).isEqualTo(Files.readString(Fixtures.tokenizerFile()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"[PAD]", "[CLS]", "[SEP]", "[MASK]"})
  void missingSpecialTokenIsNamed(String token) throws IOException {
    String json = Files.readString(Fixtures.tokenizerFile()).replace(token, "[OTHER]");
    Path file = Files.writeString(folder.resolve("t.json"), json);
    assertThatThrownBy(() -> CaptionTokenizer.load(file, 8))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("t.json has no token " + token);
  }

  @Test
  void theTokenOfUnknownWordsMustBeInTheVocabulary() throws IOException {
    String json = Files.readString(Fixtures.tokenizerFile());
    Path file = folder.resolve("t.json");
    for (String named : List.of("\"unk_token\": \"[UNK]\",", "")) {
      Files.writeString(
          file,
          json.replace("\"unk_token\": \"[UNK]\",", named)
              .replace("\"[UNK]\": 1,", "\"word\": 1,"));
      assertThatThrownBy(() -> CaptionTokenizer.load(file, 8))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("t.json has no [UNK] in model.vocab")
          .hasMessageContaining("add it");
    }
  }

  @Test
  void badFilesAreNamed() throws IOException {
    assertThatThrownBy(() -> CaptionTokenizer.load(folder.resolve("none.json"), 8))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessageContaining("none.json");
    Path file = folder.resolve("bad.json");
    Files.writeString(file, "{\"model\": ");
    assertThatThrownBy(() -> CaptionTokenizer.load(file, 8))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("bad.json is not valid JSON");
    Files.writeString(file, "[1]");
    assertThatThrownBy(() -> CaptionTokenizer.load(file, 8))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("bad.json")
        .hasMessageContaining("model.vocab");
    String json = Files.readString(Fixtures.tokenizerFile());
    Files.writeString(file, json.replace("\"WordPiece\"", "\"Nonsense\""));
    assertThatThrownBy(() -> CaptionTokenizer.load(file, 8))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("bad.json is not a usable tokenizer");
    Files.write(file, new byte[] {'{', (byte) 0xFF, '}'});
    assertThatThrownBy(() -> CaptionTokenizer.load(file, 8))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("UTF-8");
    assertThatThrownBy(() -> CaptionTokenizer.load(Fixtures.tokenizerFile(), 2))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("maxTokens is 2");
  }

  @Test
  void givenWordsAreATokenEachInTheirOrder() throws IOException {
    List<String> words = new ArrayList<>(List.of("red", "cup", "redder", "чашка", "杯", "3d"));
    try (CaptionTokenizer made = CaptionTokenizer.ofWords(words, 7)) {
      words.clear();
      assertThat(made.vocabularySize()).isEqualTo(11);
      assertThat(made.vocabulary()).containsEntry("red", 5).containsEntry("3d", 10);
      assertThat(made.words("A RED, redder cup; чашка 杯 3D")).containsExactly(1, 5, 7, 6, 8, 9, 10);
      assertThat(made.words("cups reds")).as("parts of words").containsExactly(1, 1);
      TokenizedCaptions tokens = made.encode(List.of("cup cup cup cup cup cup", "red"));
      assertThat(tokens.ids())
          .containsExactly(
              made.clsId(), 6, 6, 6, 6, 6, made.sepId(), made.clsId(), 5, made.sepId(), 0, 0, 0, 0);
      assertThat(tokens.truncated()).isEqualTo(1);
      Path file = Files.writeString(folder.resolve("t.json"), made.json());
      try (CaptionTokenizer again = CaptionTokenizer.load(file, 7)) {
        assertThat(again.vocabulary()).isEqualTo(made.vocabulary());
        assertThat(again.words("a red cup")).isEqualTo(made.words("a red cup"));
      }
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          ''            | leave it out
          ' '           | leave it out
          'red cup'     | give each of them by itself
          ' cup'        | give cup instead
          'red cup'| give each of them by itself
          red-hot       | give each of them by itself
          Cup           | give cup instead
          cup's         | give cups instead
          [MASK]        | this token is in every tokenizer
          [UNK]         | this token is in every tokenizer
          ##s           | give s instead
          café          | without accents
          a​b      | would not find it
          a+b           | would not find it
          [mask]        | would not find it
          red           | words[0] is the same; give each word once
          """)
  void aWordThatNoCaptionCouldHoldIsNamed(String word, String remedy) {
    assertThatThrownBy(() -> CaptionTokenizer.ofWords(List.of("red", word), 8))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("words[1] is \"")
        .hasMessageContaining(remedy);
  }

  @Test
  void wordsThatAreNoneAreRefused() {
    assertThatThrownBy(() -> CaptionTokenizer.ofWords(List.of(), 8))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("words is empty");
    assertThatThrownBy(() -> CaptionTokenizer.ofWords(Arrays.asList("red", null), 8))
        .isInstanceOf(NullPointerException.class)
        .hasMessageContaining("words[1]");
    assertThatThrownBy(() -> CaptionTokenizer.ofWords(List.of("red"), 2))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("maxTokens is 2");
    assertThatThrownBy(() -> CaptionTokenizer.ofWords(List.of("x".repeat(101)), 8))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("at most 100");
  }

  @Test
  void closedIsSaid() {
    CaptionTokenizer closed = Fixtures.tokenizer();
    closed.close();
    closed.close();
    assertThatThrownBy(() -> closed.encode(List.of("a")))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
    assertThat(closed.padId()).isEqualTo(PAD);
  }

  @Test
  void manyThreadsAtOnce() throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<?>> results = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        results.add(
            threads.submit(
                () -> {
                  for (int i = 0; i < 500; i++) {
                    assertThat(ids("a red dog")).containsExactly(CLS, A, RED, DOG, SEP);
                  }
                }));
      }
      for (Future<?> result : results) {
        result.get();
      }
    }
  }
}
