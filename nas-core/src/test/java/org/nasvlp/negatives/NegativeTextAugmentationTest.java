package org.nasvlp.negatives;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.EditType;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.data.Batch;
import org.nasvlp.data.ImageCaption;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.negatives.NegativeTextAugmentation.HardNegativeCaptions;

class NegativeTextAugmentationTest {
  private static final Path EMOJI = Path.of("../data/noto-emoji");
  private static final CaptionTokenizer TOKENIZER = tokenizer(30);

  @TempDir private Path folder;

  private static CaptionTokenizer tokenizer(int length) {
    try {
      return CaptionTokenizer.load(EMOJI.resolve("tokenizer.json"), length);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @AfterAll
  static void close() {
    TOKENIZER.close();
  }

  /** Replaces colours and hearts, and counts how often it is made and asked. */
  private static final class Colours implements TextEditor.Factory {
    private static final List<String> THINGS = List.of("heart", "circle", "star");
    private final AtomicInteger made = new AtomicInteger();
    private final AtomicInteger asked = new AtomicInteger();
    private final String identity;

    Colours(String identity) {
      this.identity = identity;
    }

    @Override
    public String identity() {
      return identity;
    }

    @Override
    public TextEditor create(Iterable<String> captions) {
      made.incrementAndGet();
      return new TextEditor() {
        @Override
        public List<CaptionEdit> edits(String caption) {
          asked.incrementAndGet();
          if (caption.contains("poison")) {
            throw new IllegalArgumentException("poisoned");
          }
          List<CaptionEdit> edits = new ArrayList<>();
          swap(edits, EditType.COLOR, caption, "red", "blue");
          swap(edits, EditType.COLOR, caption, "red", "green");
          swap(edits, EditType.COLOR, caption, "blue", "red");
          swap(edits, EditType.NOUN, caption, "heart", "circle");
          return edits;
        }

        private void swap(
            List<CaptionEdit> edits, EditType type, String caption, String old, String text) {
          if (Arrays.asList(caption.split(" ")).contains(old)) {
            // Not normalised, as an editor of a user's may give it.
            edits.add(new CaptionEdit(caption.replace(old, text + ","), type, old, text));
          }
        }

        @Override
        public int things(String caption) {
          return (int) Arrays.stream(caption.split(" ")).filter(THINGS::contains).count();
        }

        @Override
        public int[] replaceable(String caption) {
          return new int[] {0};
        }

        @Override
        public CaptionEdit replace(String caption, int word, String proposal) {
          return proposal.equals("no")
              ? null
              : new CaptionEdit(
                  proposal + caption.substring(caption.indexOf(' ')),
                  EditType.WORD,
                  caption.substring(0, caption.indexOf(' ')),
                  proposal);
        }
      };
    }
  }

  private static NtaConfig config(double wordShare, Map<EditType, Double> weights) {
    return NtaConfig.defaults().toBuilder().wordShare(wordShare).typeWeights(weights).build();
  }

  private static NegativeTextAugmentation prepare(
      ImageTextDataset data, TextEditor.Factory editor, Path cache) throws InterruptedException {
    return NegativeTextAugmentation.prepare(
        data, TOKENIZER, editor, config(0, Map.of()), List.of(cache), 17);
  }

  private static NegativeTextAugmentation inMemory(ImageTextDataset data)
      throws InterruptedException {
    return NegativeTextAugmentation.prepare(
        data, TOKENIZER, new Colours("colours"), config(0, Map.of()), List.of(), 17);
  }

  @Test
  void whatIsFoundIsCounted() throws Exception {
    Captions data =
        Captions.of("red heart", "Red heart.", "blue circle", "star", null, "red circle heart");
    NegativeTextAugmentation nta = inMemory(data);
    assertThat(nta.preparation())
        .isEqualTo(
            new NegativeTextAugmentation.Preparation(
                6, 1, 4, 1, Map.of(EditType.COLOR, 5L, EditType.NOUN, 2L), null, false, List.of()));
    assertThat(nta.candidates("Red heart!", 99))
        .containsExactly(
            new CaptionEdit("blue heart", EditType.COLOR, "red", "blue"),
            new CaptionEdit("green heart", EditType.COLOR, "red", "green"),
            new CaptionEdit("red circle", EditType.NOUN, "heart", "circle"));
    assertThat(nta.candidates("never seen", 99)).isEmpty();
  }

  @Test
  void captionsThatNameOneThingAreFound() throws Exception {
    Captions data =
        Captions.of(
            "red heart", "Red, heart!", "red", null, "red circle heart", "star", "red heart");
    assertThat(inMemory(data).singleThings(data)).containsExactly(0, 1, 5, 6);
    NtaConfig config = NtaConfig.defaults().toBuilder().seenPairs(true).build();
    assertThat(
            NegativeTextAugmentation.prepare(
                    data, TOKENIZER, new Colours("colours"), config, List.of(), 17)
                .singleThings(data))
        .containsExactly(0, 1, 5, 6);
  }

  @Test
  void wordsThatNeverStandSideBySideCanBeLeftOut() throws Exception {
    Captions data = Captions.of("red heart", "blue circle", "red circle", "a blue heart", "green");
    NtaConfig config = NtaConfig.defaults().toBuilder().seenPairs(true).build();
    TextEditor.Factory colours = new Colours("colours");
    NegativeTextAugmentation nta =
        NegativeTextAugmentation.prepare(data, TOKENIZER, colours, config, List.of(folder), 17);
    // "Green heart" is not: green never stands before another word. "A red heart" is not either.
    assertThat(nta.candidates("red heart", 99))
        .extracting(CaptionEdit::caption)
        .containsExactly("blue heart", "red circle");
    assertThat(nta.candidates("a blue heart", 99))
        .extracting(CaptionEdit::caption)
        .containsExactly("a blue circle");
    // Kept edits of the one kind are not taken for the other's.
    NegativeTextAugmentation all = prepare(data, colours, folder);
    assertThat(all.preparation().fromCache()).isFalse();
    assertThat(all.candidates("red heart", 99)).hasSize(3);
  }

  @Test
  void aShareOfTheRowsGetsTheNegativesThatAllOfThemWould() throws Exception {
    Captions data = Captions.of("red heart", "blue circle", "green heart", "star");
    NegativeTextAugmentation all = inMemory(data);
    NtaConfig quarter = NtaConfig.defaults().toBuilder().share(0.25).build();
    NegativeTextAugmentation some =
        NegativeTextAugmentation.prepare(
            data, TOKENIZER, new Colours("colours"), quarter, List.of(), 17);
    int rows = 0;
    for (int step = 0; step < 1000; step++) {
      Batch batch = data.batch(step, TOKENIZER, 0, 1, 2, 3);
      HardNegativeCaptions full = all.draw(batch);
      HardNegativeCaptions drawn = some.draw(batch);
      for (int row = 0; row < 3; row++) {
        if (drawn.isValid(row)) {
          assertThat(drawn.edits()[row]).isEqualTo(full.edits()[row]);
          rows++;
        }
      }
      assertThat(drawn.isValid(3)).isFalse();
    }
    // Binomial, 3,000 rows: five standard deviations are 119.
    assertThat(rows).isBetween(750 - 119, 750 + 119);
    assertThat(some.drawn().edits().values().stream().mapToLong(Long::longValue).sum())
        .isEqualTo(rows);
    // Which rows they are says nothing of the types: an eighth of 3,000 each, deviation 18.1.
    assertThat(some.drawn().edits().get(EditType.NOUN)).isBetween(375L - 91, 375L + 91);
    assertThat(all.drawn().withoutEdit()).isEqualTo(1000);
    assertThat(some.drawn().withoutEdit()).isBetween(250L - 69, 250L + 69);
  }

  @Test
  void otherTrueCaptionsOfTheImageAreNoNegatives() throws Exception {
    Captions data =
        new Captions(
            List.of(
                new ImageCaption(1, "red heart"),
                new ImageCaption(1, "Blue, heart!"),
                new ImageCaption(1, "green heart"),
                new ImageCaption(2, "red heart"),
                new ImageCaption(2, "red circle")));
    NegativeTextAugmentation nta = inMemory(data);
    assertThat(nta.candidates("red heart", 1))
        .extracting(CaptionEdit::caption)
        .containsExactly("red circle");
    assertThat(nta.candidates("red heart", 2))
        .extracting(CaptionEdit::caption)
        .containsExactly("blue heart", "green heart");
    for (int step = 0; step < 50; step++) {
      HardNegativeCaptions drawn = nta.draw(data.batch(step, TOKENIZER, 0, 3));
      assertThat(drawn.edits()[0].caption()).isEqualTo("red circle");
      assertThat(drawn.edits()[1].caption()).isIn("blue heart", "green heart");
    }
  }

  @Test
  void rowsWithoutANegativeAreMaskedAndCounted() throws Exception {
    Captions data = Captions.of("red heart", "star");
    NegativeTextAugmentation nta = inMemory(data);
    HardNegativeCaptions drawn = nta.draw(data.batch(3, TOKENIZER, 1, 0, 1));
    assertThat(drawn.count()).isEqualTo(1);
    assertThat(drawn.isValid(0)).isFalse();
    assertThat(drawn.isValid(1)).isTrue();
    assertThat(drawn.isValid(2)).isFalse();
    assertThat(drawn.tokens().ids())
        .isEqualTo(TOKENIZER.encode(List.of("star", drawn.edits()[1].caption(), "star")).ids());
    assertThat(nta.draw(Captions.of("white star").batch(0, TOKENIZER, 0)).count()).isZero();
    assertThat(nta.drawn())
        .isEqualTo(
            new NegativeTextAugmentation.Drawn(Map.of(drawn.edits()[1].type(), 1L), 2, 0, 1));
  }

  @Test
  void anEditBeyondTheGreatestLengthIsMasked() throws Exception {
    Captions data = Captions.of("star star star red");
    try (CaptionTokenizer three = tokenizer(5)) {
      NegativeTextAugmentation nta =
          NegativeTextAugmentation.prepare(
              data, three, new Colours("colours"), config(0, Map.of()), List.of(), 1);
      HardNegativeCaptions drawn = nta.draw(data.batch(0, three, 0));
      assertThat(drawn.count()).isZero();
      assertThat(drawn.isValid(0)).isFalse();
      assertThat(nta.drawn().cutOff()).isEqualTo(1);
      assertThat(nta.drawn().edits()).isEmpty();
    }
  }

  @Test
  void typesAreDrawnByTheirWeights() throws Exception {
    Captions data = Captions.of("red heart");
    int draws = 4000;
    for (double weight : new double[] {1, 3, 0}) {
      NegativeTextAugmentation nta =
          NegativeTextAugmentation.prepare(
              data,
              TOKENIZER,
              new Colours("colours"),
              config(0, Map.of(EditType.COLOR, weight)),
              List.of(),
              5);
      Map<String, Integer> texts = new java.util.HashMap<>();
      for (int step = 0; step < draws; step++) {
        texts.merge(nta.draw(data.batch(step, TOKENIZER, 0)).edits()[0].caption(), 1, Integer::sum);
      }
      double share = weight / (weight + 1);
      // Within 5 standard deviations of the binomial.
      double margin = 5 * Math.sqrt(draws * share * (1 - share)) + 1e-9;
      int colours = texts.getOrDefault("blue heart", 0) + texts.getOrDefault("green heart", 0);
      assertThat((double) colours).isBetween(draws * share - margin, draws * share + margin);
      assertThat(texts.get("red circle")).isEqualTo(draws - colours);
      if (weight > 0) {
        assertThat((double) texts.get("blue heart"))
            .isBetween(
                colours / 2.0 - 2.5 * Math.sqrt(colours), colours / 2.0 + 2.5 * Math.sqrt(colours));
      }
      assertThat(nta.drawn().edits().getOrDefault(EditType.COLOR, 0L)).isEqualTo(colours);
    }
  }

  @Test
  void theCacheIsFoundAgain() throws Exception {
    Captions data = many(3000);
    Colours editor = new Colours("colours");
    NegativeTextAugmentation first = prepare(data, editor, folder);
    assertThat(first.preparation().fromCache()).isFalse();
    assertThat(first.preparation().notes()).isEmpty();
    assertThat(files()).hasSize(1);
    assertThat(first.preparation().cacheFile()).isEqualTo(files().getFirst());
    NegativeTextAugmentation second = prepare(data, editor, folder);
    assertThat(second.preparation().fromCache()).isTrue();
    assertThat(editor.made).hasValue(1);
    assertThat(editor.asked).hasValue(3000);
    assertThat(second.preparation().edits()).isEqualTo(first.preparation().edits());
    assertThat(second.preparation().captions()).isEqualTo(3000);
    NegativeTextAugmentation memory = inMemory(data);
    for (int i = 0; i < 3000; i++) {
      String caption = data.rows().get(i).caption();
      assertThat(second.candidates(caption, i))
          .isEqualTo(first.candidates(caption, i))
          .isEqualTo(memory.candidates(caption, i))
          .isNotEmpty();
    }
  }

  private static Captions many(int count) {
    return Captions.of(
        IntStream.range(0, count)
            .mapToObj(i -> "the red heart " + Integer.toString(i, 36) + " é")
            .toArray(String[]::new));
  }

  private List<Path> files() throws IOException {
    try (var list = Files.list(folder)) {
      return list.toList();
    }
  }

  @Test
  void otherCaptionsAndOtherEditorsHaveOtherFiles() throws Exception {
    prepare(many(5), new Colours("one"), folder);
    prepare(many(5), new Colours("two"), folder);
    prepare(many(6), new Colours("one"), folder);
    assertThat(files()).hasSize(3);
  }

  @Test
  void aDamagedCacheIsMadeAnewWithANote() throws Exception {
    Captions data = many(40);
    prepare(data, new Colours("colours"), folder);
    Path file = files().getFirst();
    byte[] good = Files.readAllBytes(file);
    List<byte[]> damaged = new ArrayList<>();
    for (int i = 0; i < good.length; i += 97) {
      byte[] flipped = good.clone();
      flipped[i] ^= 0x10;
      damaged.add(flipped);
      damaged.add(Arrays.copyOf(good, i));
    }
    damaged.add(Arrays.copyOf(good, good.length + 1));
    for (byte[] bad : damaged) {
      Files.write(file, bad);
      NegativeTextAugmentation nta = prepare(data, new Colours("colours"), folder);
      assertThat(nta.preparation().fromCache()).isFalse();
      assertThat(nta.preparation().notes())
          .singleElement()
          .asString()
          .contains(file.toString(), "made anew");
      assertThat(Files.readAllBytes(file)).isEqualTo(good);
    }
    assertThat(files()).hasSize(1);
  }

  @Test
  void aFolderThatCannotBeWrittenCostsTheCacheOnly() throws Exception {
    Path blocked = Files.writeString(folder.resolve("file"), "not a folder");
    Captions data = many(40);
    NegativeTextAugmentation nta = prepare(data, new Colours("colours"), blocked.resolve("cache"));
    assertThat(nta.preparation().cacheFile()).isNull();
    assertThat(nta.preparation().notes())
        .singleElement()
        .asString()
        .contains("stay in memory", blocked.toString());
    assertThat(nta.candidates(data.rows().get(7).caption(), 7)).hasSize(3);
  }

  @Test
  void aFullDiskCostsTheCacheOnly() throws Exception {
    Path full = Path.of("/dev/full");
    org.junit.jupiter.api.Assumptions.assumeTrue(Files.exists(full));
    Path target = folder.resolve("edits");
    // The draft is removed in the end, so it is a link.
    Path draft = Files.createSymbolicLink(folder.resolve("draft"), full);
    assertThatThrownBy(
            () -> {
              try (EditStore.Writer writer = new EditStore.Writer(target, new byte[32], draft)) {
                writer.add(List.of(new EditStore.Entry("a", List.of())));
                writer.finish();
              }
            })
        .isInstanceOf(IOException.class);
    assertThat(files()).isEmpty();
    assertThat(full).exists();
  }

  @Test
  void aCaptionThatTheEditorFailsOnIsNamed() {
    assertThatThrownBy(() -> inMemory(Captions.of("red heart", "poison ivy")))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("'poison ivy'")
        .hasMessageContaining("poisoned");
  }

  @Test
  void wordsProposedByALanguageModelAreTakenBeforeEdits() throws Exception {
    Captions data =
        new Captions(
            List.of(
                new ImageCaption(1, "red heart"),
                new ImageCaption(1, "white heart"),
                new ImageCaption(2, "star of david")));
    NegativeTextAugmentation nta =
        NegativeTextAugmentation.prepare(
            data, TOKENIZER, new Colours("colours"), config(1, Map.of()), List.of(), 3);
    Batch batch = data.batch(0, TOKENIZER, 0, 1, 2);
    assertThat(nta.wordsToPropose(batch)).containsExactly(0, 0, 0);
    List<List<String>> proposals =
        List.of(List.of("no", "white", "black"), List.of("no"), List.of("sun"));
    HardNegativeCaptions drawn = nta.draw(batch, proposals);
    // "white heart" is true of the first image; the second falls back on an edit.
    assertThat(drawn.edits())
        .containsExactly(
            new CaptionEdit("black heart", EditType.WORD, "red", "black"),
            new CaptionEdit("white circle", EditType.NOUN, "heart", "circle"),
            new CaptionEdit("sun of david", EditType.WORD, "star", "sun"));
    assertThat(nta.drawn().edits()).isEqualTo(Map.of(EditType.WORD, 2L, EditType.NOUN, 1L));
    assertThatThrownBy(() -> nta.draw(batch, List.of(List.of())))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("1 rows")
        .hasMessageContaining("batch of 3");
  }

  @Test
  void theShareOfWordsIsKept() throws Exception {
    Captions data = many(400);
    NegativeTextAugmentation nta =
        NegativeTextAugmentation.prepare(
            data, TOKENIZER, new Colours("colours"), config(0.25, Map.of()), List.of(), 3);
    int[] words = nta.wordsToPropose(data.batch(0, TOKENIZER, IntStream.range(0, 400).toArray()));
    // 100 expected, standard deviation 8.7.
    assertThat(Arrays.stream(words).filter(word -> word >= 0).count()).isBetween(57L, 143L);
    assertThat(inMemory(data).wordsToPropose(data.batch(0, TOKENIZER, 1, 2)))
        .containsExactly(-1, -1);
  }
}
