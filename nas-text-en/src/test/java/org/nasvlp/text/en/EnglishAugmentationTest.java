package org.nasvlp.text.en;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.EditType;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.data.ImageCaption;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.scenes.SceneData;
import org.nasvlp.data.scenes.SceneOptions;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Captions;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.TextEditor;

/** Hard negative captions as the English editor and the augmentation make them together. */
class EnglishAugmentationTest {
  private static final Path EMOJI = Path.of("../data/noto-emoji");
  private static final CaptionTokenizer TOKENIZER = tokenizer();

  private static CaptionTokenizer tokenizer() {
    try {
      return CaptionTokenizer.load(EMOJI.resolve("tokenizer.json"), 30);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @AfterAll
  static void close() {
    TOKENIZER.close();
  }

  private static NegativeTextAugmentation prepare(
      ImageTextDataset data, TextEditor.Factory editor, List<Path> folders)
      throws InterruptedException {
    NtaConfig config = NtaConfig.defaults();
    return NegativeTextAugmentation.prepare(data, TOKENIZER, editor, config, folders, 17);
  }

  @Test
  void exactLabelsMakeAnotherEditor() {
    assertThat(TextEditor.factory("en", true).identity())
        .isEqualTo(EnglishTextEditor.factory(true).identity())
        .isNotEqualTo(EnglishTextEditor.factory(false).identity());
    assertThatThrownBy(() -> TextEditor.factory("xx", true))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("org.nasvlp:nas-text-xx");
  }

  @Test
  void captionsOfScenesThatNameOneThingAreNearlyThoseWithOneArticleOrNumber(@TempDir Path folder)
      throws Exception {
    Path made = folder.resolve("scenes");
    SceneData.write(new SceneOptions(4000, 1, 32, 5, EMOJI, 0, 1L << 30), made, done -> {});
    try (ImageTextDataset scenes = ImageTextDataset.open(made.resolve("train.tar"), 0xFFFFFF)) {
      Captions data = read(scenes, scenes.size());
      int[] found = prepare(data, EnglishTextEditor.factory(true), List.of()).singleThings(data);
      // A thing is named with an article or a number; the picture that a caption speaks of is none.
      Pattern thing = Pattern.compile("\\b(an?|two|three|four|five) ");
      Set<Integer> expected =
          IntStream.range(0, data.rows().size())
              .filter(
                  i ->
                      thing
                              .matcher(data.rows().get(i).caption().replace("a picture of", ""))
                              .results()
                              .count()
                          == 1)
              .boxed()
              .collect(Collectors.toSet());
      long right = Arrays.stream(found).filter(expected::contains).count();
      // The lexicon takes "lemon" and "crown" for other things than they are here, and "Red Cross"
      // for a name.
      assertThat(right).isGreaterThan(expected.size() * 97L / 100);
      assertThat(right).isGreaterThan(found.length * 85L / 100);
      assertThat(expected.size()).isBetween(800, 1400);
    }
  }

  @Test
  void drawsDependOnNeitherTheBatchNorThreads() throws Exception {
    try (ImageTextDataset emoji = ImageTextDataset.open(EMOJI.resolve("train.tar"), 0xFFFFFF)) {
      Captions data = read(emoji, 256);
      NegativeTextAugmentation nta = prepare(data, EnglishTextEditor.factory(true), List.of());
      int[] rows = IntStream.range(0, 64).map(i -> i * 4).toArray();
      CaptionEdit[] whole = nta.draw(data.batch(9, TOKENIZER, rows)).edits();
      assertThat(nta.draw(data.batch(9, TOKENIZER, rows)).edits()).isEqualTo(whole);
      assertThat(nta.draw(data.batch(10, TOKENIZER, rows)).edits()).isNotEqualTo(whole);
      try (ExecutorService pool = Executors.newFixedThreadPool(4)) {
        List<Future<CaptionEdit>> single = new ArrayList<>();
        for (int row : rows) {
          Callable<CaptionEdit> task = () -> nta.draw(data.batch(9, TOKENIZER, row)).edits()[0];
          single.add(pool.submit(task));
        }
        for (int i = 0; i < rows.length; i++) {
          assertThat(single.get(i).get()).isEqualTo(whole[i]);
        }
      }
      NegativeTextAugmentation again = prepare(data, EnglishTextEditor.factory(true), List.of());
      assertThat(again.preparation()).isEqualTo(nta.preparation());
      assertThat(again.draw(data.batch(9, TOKENIZER, rows)).edits()).isEqualTo(whole);
    }
  }

  private static Captions read(ImageTextDataset dataset, long count) throws Exception {
    List<ImageCaption> rows = new ArrayList<>();
    for (long i = 0; i < count; i++) {
      rows.add(dataset.caption(i));
    }
    return new Captions(rows);
  }

  @Test
  void emojiNegativesAreSoundAndCoverWhatTheTestAsks() throws Exception {
    try (ImageTextDataset emoji = ImageTextDataset.open(EMOJI.resolve("train.tar"), 0xFFFFFF)) {
      Captions data = read(emoji, emoji.size());
      long start = System.nanoTime();
      NegativeTextAugmentation nta = prepare(data, EnglishTextEditor.factory(true), List.of());
      double seconds = (System.nanoTime() - start) / 1e9;
      System.out.printf(
          "%s%n%.0f captions/s with the editor's start%n",
          nta.preparation(), nta.preparation().captions() / seconds);
      Set<String> vocabulary = new HashSet<>(Set.of("a", "an"));
      for (ImageCaption row : data.rows()) {
        vocabulary.addAll(List.of(CaptionTokenizer.normalize(row.caption()).split(" ")));
      }
      Map<EditType, Integer> captions = new EnumMap<>(EditType.class);
      for (ImageCaption row : data.rows()) {
        String positive = CaptionTokenizer.normalize(row.caption());
        List<CaptionEdit> edits = nta.candidates(positive, row.imageId());
        for (CaptionEdit edit : edits) {
          assertThat(edit.caption()).isNotEqualTo(positive);
          assertThat(vocabulary).containsAll(List.of(edit.caption().split(" ")));
        }
        edits.stream()
            .map(CaptionEdit::type)
            .distinct()
            .forEach(type -> captions.merge(type, 1, Integer::sum));
        if (positive.contains("skin tone")) {
          assertThat(edits).as(positive).anyMatch(edit -> edit.type() == EditType.TONE);
        }
        if (positive.matches("(man|woman|person) .*")) {
          assertThat(edits).as(positive).anyMatch(edit -> edit.type() == EditType.GENDER);
        }
        if (positive.matches(".* (oclock|thirty)")) {
          assertThat(edits).as(positive).anyMatch(edit -> edit.type() == EditType.NUMBER);
        }
        if (positive.matches(".* facing right( .*)?")) {
          assertThat(edits).as(positive).anyMatch(edit -> edit.type() == EditType.DIRECTION);
        }
      }
      System.out.println("captions with an edit, by type: " + captions);
    }
  }
}
