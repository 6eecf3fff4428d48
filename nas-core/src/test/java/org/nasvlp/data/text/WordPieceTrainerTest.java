package org.nasvlp.data.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class WordPieceTrainerTest {
  private static final List<String> SPECIAL = List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]");

  @TempDir private Path folder;

  private static String train(List<String> captions, int size) throws IOException {
    WordPieceTrainer trainer = new WordPieceTrainer();
    captions.forEach(trainer::add);
    return trainer.train(size);
  }

  private CaptionTokenizer load(String json) throws IOException {
    return CaptionTokenizer.load(Files.writeString(folder.resolve("t.json"), json), 30);
  }

  /** The tokens behind the special ones, by id. */
  private static List<String> tokens(String json) throws IOException {
    Map<String, Integer> ids = CaptionTokenizer.vocabulary(Path.of("t"), json);
    List<String> all =
        ids.keySet().stream().sorted(Comparator.comparing(ids::get)).collect(Collectors.toList());
    assertThat(all).startsWith(SPECIAL.toArray(String[]::new));
    return all.subList(SPECIAL.size(), all.size());
  }

  private static List<String> pieces(CaptionTokenizer tokenizer, String word) {
    Map<Integer, String> byId = new TreeMap<>();
    tokenizer.vocabulary().forEach((token, id) -> byId.put(id, token));
    return Arrays.stream(tokenizer.words(word)).mapToObj(byId::get).toList();
  }

  /**
   * aab thrice, ab twice, b once. As one piece aab saves 3 · 2, a pair 3 at most; then the pair a
   * ##b, with as much as the word ab, 2.
   */
  @Test
  void frequentLongWordsComeFirst() throws IOException {
    List<String> captions = List.of("aab ab", "aab ab aab b");
    assertThat(tokens(train(captions, 9))).containsExactly("a", "b", "##a", "##b");
    assertThat(tokens(train(captions, 10))).containsExactly("a", "b", "##a", "##b", "aab");
    for (int size : new int[] {11, 12, 1000}) {
      assertThat(tokens(train(captions, size)))
          .containsExactly("a", "b", "##a", "##b", "aab", "ab");
    }
  }

  /**
   * Twice each of cab, dab, eab: a word saves 2 · 2, the pair ##a ##b 3 · 2. After it each of the
   * words saves 2, and what sorts first is first.
   */
  @Test
  void whatWordsShareIsJoined() throws IOException {
    List<String> captions = Collections.nCopies(2, "eab dab cab");
    String json = train(captions, 5 + 10 + 3);
    assertThat(tokens(json))
        .containsExactly(
            "a", "b", "c", "d", "e", "##a", "##b", "##c", "##d", "##e", "##ab", "cab", "dab");
    try (CaptionTokenizer tokenizer = load(json)) {
      assertThat(pieces(tokenizer, "cab")).containsExactly("cab");
      assertThat(pieces(tokenizer, "eab")).containsExactly("e", "##ab");
      // No word of theirs, but their characters.
      assertThat(pieces(tokenizer, "abed")).containsExactly("a", "##b", "##e", "##d");
    }
  }

  @Test
  void theOrderOfTheCaptionsDoesNotMatter() throws IOException {
    List<String> captions = new ArrayList<>(random(new Random(3), 60, "abcde"));
    String json = train(captions, 60);
    Collections.shuffle(captions, new Random(4));
    assertThat(train(captions, 60)).isEqualTo(json);
  }

  /** Against the rule said once more, with everything counted anew at each step. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void choosesWhatCountingAnewChooses(long seed) throws IOException {
    List<String> captions = random(new Random(seed), 40, "abcd");
    assertThat(tokens(train(captions, 45))).isEqualTo(naive(captions, 40));
  }

  private static List<String> naive(List<String> captions, int size) {
    Map<String, List<String>> pieces = new TreeMap<>();
    Map<String, Integer> counts = new TreeMap<>();
    Set<String> tokens = new LinkedHashSet<>();
    for (String word : String.join(" ", captions).split(" ", -1)) {
      List<String> letters = new ArrayList<>(letters(word));
      letters.replaceAll(letter -> "##" + letter);
      letters.set(0, word.substring(0, 1));
      pieces.put(word, letters);
      counts.merge(word, 1, Integer::sum);
    }
    letters(String.join(" ", captions).replace(" ", "")).stream().sorted().forEach(tokens::add);
    List.copyOf(tokens).forEach(letter -> tokens.add("##" + letter));
    while (tokens.size() < size) {
      Map<List<String>, Integer> savings = new LinkedHashMap<>();
      pieces.forEach(
          (word, of) -> {
            for (int i = 1; i < of.size(); i++) {
              savings.merge(of.subList(i - 1, i + 1), counts.get(word), Integer::sum);
            }
          });
      String bestWord = null;
      List<String> bestPair = null;
      int best = 0;
      for (Map.Entry<List<String>, Integer> pair : savings.entrySet()) {
        boolean before =
            bestPair != null
                && Comparator.comparing(WordPieceTrainerTest::join).compare(pair.getKey(), bestPair)
                    < 0;
        if (pair.getValue() > best || (pair.getValue() == best && before)) {
          best = pair.getValue();
          bestPair = pair.getKey();
        }
      }
      for (String word : pieces.keySet()) {
        int saving = counts.get(word) * (pieces.get(word).size() - 1);
        if (saving > best) {
          best = saving;
          bestWord = word;
        }
      }
      if (bestWord != null) {
        tokens.add(bestWord);
        pieces.put(bestWord, List.of(bestWord));
      } else if (bestPair != null) {
        String joined = join(bestPair);
        tokens.add(joined);
        for (List<String> of : List.copyOf(pieces.values())) {
          List<String> now = new ArrayList<>(of);
          for (int i = 1; i < now.size(); i++) {
            if (now.subList(i - 1, i + 1).equals(bestPair)) {
              now.set(i - 1, joined);
              now.remove(i);
            }
          }
          pieces.put(join(of), now);
        }
      } else {
        break;
      }
    }
    return List.copyOf(tokens);
  }

  private static List<String> letters(String text) {
    return text.chars().mapToObj(Character::toString).toList();
  }

  private static String join(List<String> pieces) {
    return pieces.getFirst()
        + pieces.stream().skip(1).map(piece -> piece.substring(2)).collect(Collectors.joining());
  }

  private static List<String> random(Random random, int captions, String letters) {
    List<String> all = new ArrayList<>();
    for (int c = 0; c < captions; c++) {
      List<String> words = new ArrayList<>();
      for (int w = 0; w <= random.nextInt(4); w++) {
        StringBuilder word = new StringBuilder();
        for (int i = 0; i <= random.nextInt(5); i++) {
          word.append(letters.charAt(random.nextInt(letters.length())));
        }
        words.add(word.toString());
      }
      all.add(String.join(" ", words));
    }
    return all;
  }

  /** Words of many scripts, and what of them must come back: BERT drops accents and cases. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "A red Dog, isn't it?|a red dog isnt it",
        "Café Zoë naïve|cafe zoe naive",
        "собака ёж|собака еж",
        "红色的狗|红 色 的 狗",
        "ΣΊΣΥΦΟΣ|σισυφος",
        "İstanbul|istanbul",
        "a 👍🏽 b&c 50%|a 👍🏽 b & c 50 %",
        "ﬁne straße|ﬁne straße",
        "עִבְרִית हिन्दी|עברית हिनदी",
        "<person> x-ray a/b|person x ray a b",
        "?!|? !",
        "[MASK] [PAD]|[ mask ] [ pad ]"
      })
  void everyWordComesBack(String caption, String words) throws IOException {
    for (int more : new int[] {0, 2, 100}) {
      List<String> captions = List.of(caption, "a");
      String json = train(captions, least(captions) + more);
      try (CaptionTokenizer tokenizer = load(json)) {
        List<String> pieces = pieces(tokenizer, caption);
        String text =
            pieces.stream()
                .map(piece -> piece.startsWith("##") ? piece.substring(2) : " " + piece)
                .collect(Collectors.joining())
                .strip();
        assertThat(text).isEqualTo(words);
        assertThat(pieces).doesNotContain("[UNK]");
        if (more == 100) {
          assertThat(pieces).hasSize(words.split(" ", -1).length);
        }
      }
    }
  }

  private static int least(List<String> captions) {
    try {
      train(captions, 5);
    } catch (IllegalArgumentException e) {
      return Integer.parseInt(e.getMessage().replaceAll(".*at least (\\d+) .*", "$1"));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    throw new AssertionError("5 special tokens leave no room");
  }

  @Test
  void seenCharactersAreKnownInNewWords() throws IOException {
    List<String> captions = List.of("x y", "ж ö", "狗", "q5 !?", "\uD83D lone");
    try (CaptionTokenizer tokenizer = load(train(captions, least(captions)))) {
      assertThat(pieces(tokenizer, "yxж5ooq 狗狗")).doesNotContain("[UNK]").hasSize(9);
      assertThat(pieces(tokenizer, "5")).containsExactly("5");
      assertThat(pieces(tokenizer, "z")).containsExactly("[UNK]");
      // What stands alone needs no second form.
      assertThat(tokenizer.vocabulary()).containsKey("狗").doesNotContainKey("##狗");
    }
  }

  @Test
  void wordsBeyondBertsLengthAreLeftOut() throws IOException {
    String json = train(List.of("a " + "b".repeat(101), "c".repeat(100)), 30);
    assertThat(tokens(json)).containsExactly("a", "c", "##a", "##c", "c".repeat(100));
  }

  @Test
  void badRequestsAreSaid() {
    assertThatThrownBy(() -> new WordPieceTrainer().train(100))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("no captions");
    for (int size : new int[] {-1, 0, 8}) {
      assertThatThrownBy(() -> train(List.of("ab a"), size))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("size is " + size + ": at least 9 is needed, 5 special tokens");
    }
  }

  @Test
  void wordsOfOnesOwn() throws IOException {
    try (CaptionTokenizer tokenizer = load(WordPieceTrainer.json(List.of("red", "dog", "##s")))) {
      assertThat(tokenizer.vocabularySize()).isEqualTo(8);
      assertThat(tokenizer.words("Red dogs, cat")).containsExactly(5, 6, 7, 1);
    }
  }
}
