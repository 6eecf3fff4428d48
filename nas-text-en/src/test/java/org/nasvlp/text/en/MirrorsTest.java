package org.nasvlp.text.en;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.config.EditType;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Mirror;
import org.nasvlp.negatives.TextEditor;

class MirrorsTest {
  private static final List<String> CAPTIONS =
      List.of(
          "a cat to the left of a dog",
          "two dogs to the right of a red box",
          "a red box above a cat",
          "a dog below a blue box",
          "a cat on the left and a dog on the right",
          "a box in front of a dog",
          "a cat behind a dog",
          "a cat at the top of a box on the left",
          "a dog at the bottom",
          "a cat at the top",
          "a dog right behind a cat");

  private static Mirror of(String caption, EditType type, String negative) {
    return Mirrors.of(caption, new CaptionEdit(negative, type, "x", "y"));
  }

  @ParameterizedTest
  @CsvSource({
    "a cat to the left of a dog, a cat to the right of a dog, LEFT_RIGHT",
    "a cat on the left and a dog on the right, a cat on the right and a dog on the left,"
        + " LEFT_RIGHT",
    "the rightmost of three cats, the leftmost of three cats, LEFT_RIGHT",
    "a cat above a dog, a cat below a dog, TOP_BOTTOM",
    "a cat under a dog, a cat above a dog, TOP_BOTTOM",
    "a bird over a tree, a bird beneath a tree, TOP_BOTTOM",
    "a dog at the bottom, a dog at the top, TOP_BOTTOM",
    "an upper window, a lower window, TOP_BOTTOM",
    // One of two directions alone contradicts itself: no picture is like that.
    "a cat on the left and a dog on the right, a cat on the right and a dog on the right,",
    // A mirror of left and right leaves what is above.
    "a cat to the left of a dog, a cat above a dog,",
    "a cat at the top on the left, a cat at the top on the right,",
    "a cat in front of a dog, a cat behind a dog,",
    "a cat inside a box, a cat outside a box,",
    "a red cat to the left of a dog, a blue cat to the left of a dog,",
    "a cat on top of a box, a cat under a box,",
  })
  void whatDiffersInADirectionIsMirrored(String caption, String negative, Mirror expected) {
    assertThat(of(caption, EditType.DIRECTION, negative)).isEqualTo(expected);
    assertThat(of(caption, EditType.RELATION, negative)).isEqualTo(expected);
    assertThat(of(caption, EditType.NOUN, negative)).isNull();
    assertThat(of(caption, EditType.NOUN_SWAP, negative)).isNull();
  }

  @ParameterizedTest
  @CsvSource({
    "a cat to the left of a dog, a cat, a dog, LEFT_RIGHT",
    "a picture of two dogs to the right of a red box, two dogs, a red box, LEFT_RIGHT",
    "a red box above a cat, a red box, a cat, TOP_BOTTOM",
    "a cat under a cat box, a cat, a cat box, TOP_BOTTOM",
    "a cat behind a dog, a cat, a dog,",
    "a dog right behind a cat, a dog, a cat,",
    "a dog chases a cat on the left, a dog, a cat,",
    "a cat above a dog on the left, a cat, a dog,",
    "a dog jumps over a cat, a dog, a cat,",
    "a dog to the left of a door chases a cat, a dog, a cat,",
    "a cat to the left of a dog, a cow, a dog,",
  })
  void thingsThatChangeSidesAreMirrored(String caption, String first, String second, Mirror of) {
    CaptionEdit edit = new CaptionEdit("unused", EditType.ROLE_SWAP, first, second);
    assertThat(Mirrors.of(caption, edit)).isEqualTo(of);
    // Of nouns alone the attributes stay where they were.
    CaptionEdit nouns = new CaptionEdit("unused", EditType.NOUN_SWAP, first, second);
    assertThat(Mirrors.of(caption, nouns)).isNull();
  }

  /** Of all edits that the editor makes of some captions: each mirror as a reader would say. */
  @Test
  void theEditorsOwnEditsAreUnderstood() {
    TextEditor.Factory factory = EnglishTextEditor.factory(true);
    TextEditor editor = factory.create(CAPTIONS);
    List<String> mirrored =
        CAPTIONS.stream()
            .flatMap(
                caption ->
                    editor.edits(caption).stream()
                        .filter(edit -> factory.mirror(caption, edit) != null)
                        .map(
                            edit ->
                                caption
                                    + " -> "
                                    + edit.caption()
                                    + " "
                                    + factory.mirror(caption, edit)))
            .toList();
    assertThat(mirrored)
        .containsExactlyInAnyOrder(
            "a cat to the left of a dog -> a cat to the right of a dog LEFT_RIGHT",
            "two dogs to the right of a red box -> two dogs to the left of a red box LEFT_RIGHT",
            "two dogs to the right of a red box -> a red box to the right of two dogs LEFT_RIGHT",
            "a red box above a cat -> a red box below a cat TOP_BOTTOM",
            "a red box above a cat -> a cat above a red box TOP_BOTTOM",
            "a dog below a blue box -> a dog above a blue box TOP_BOTTOM",
            "a dog below a blue box -> a blue box below a dog TOP_BOTTOM",
            "a cat on the left and a dog on the right"
                + " -> a cat on the right and a dog on the left LEFT_RIGHT",
            "a dog at the bottom -> a dog at the top TOP_BOTTOM",
            "a cat at the top -> a cat at the bottom TOP_BOTTOM");
  }
}
