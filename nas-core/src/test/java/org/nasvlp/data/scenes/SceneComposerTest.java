package org.nasvlp.data.scenes;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.nasvlp.data.scenes.SceneComposer.Described;

class SceneComposerTest {
  private static final List<String> EMOJI =
      List.of("cat", "dog", "owl", "axe", "bus", "key", "tomato", "violin", "elephant");
  private static final int SCENES = 3000;
  private static final int PAIRS = 400;

  private final SceneComposer composer = new SceneComposer(EMOJI, 11);

  @Test
  void everythingSaidOfATrainingSceneIsTrueOfIt() {
    Set<Class<?>> kinds = new HashSet<>();
    for (int n = 0; n < SCENES; n++) {
      Described drawn = composer.training(n);
      kinds.add(drawn.statement().getClass());
      for (String caption : drawn.statement().rewordings()) {
        assertThat(SceneReader.isTrue(caption, drawn.scene()))
            .as("%s of %s", caption, drawn.scene())
            .isTrue();
      }
    }
    assertThat(kinds).hasSize(6);
  }

  @ParameterizedTest
  @EnumSource
  void eachCaptionOfAPairIsTrueOfItsOwnSceneAlone(SceneType type) {
    for (int n = 0; n < PAIRS; n++) {
      SceneComposer.Pair pair = composer.test(type, n);
      String a = pair.a().statement().forms().get(pair.form());
      String b = pair.b().statement().forms().get(pair.form());
      assertThat(SceneReader.isTrue(a, pair.a().scene())).as("%s: %s", a, pair).isTrue();
      assertThat(SceneReader.isTrue(b, pair.b().scene())).as("%s: %s", b, pair).isTrue();
      assertThat(SceneReader.isTrue(a, pair.b().scene())).as("%s: %s", a, pair).isFalse();
      assertThat(SceneReader.isTrue(b, pair.a().scene())).as("%s: %s", b, pair).isFalse();
      for (String caption : pair.a().statement().rewordings()) {
        assertThat(SceneReader.isTrue(caption, pair.a().scene())).as(caption).isTrue();
        assertThat(SceneReader.isTrue(caption, pair.b().scene())).as(caption).isFalse();
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"RELATION", "PLACE", "ROLE", "BINDING", "COUNT", "SIZE"})
  void aPairThatDiffersInArrangementHasTheSameWordsOrNearly(SceneType type) {
    for (int n = 0; n < PAIRS; n++) {
      SceneComposer.Pair pair = composer.test(type, n);
      List<String> a = List.of(pair.a().statement().forms().get(pair.form()).split(" ", -1));
      List<String> b = List.of(pair.b().statement().forms().get(pair.form()).split(" ", -1));
      Set<String> onlyOne = new HashSet<>(a);
      onlyOne.removeAll(b);
      onlyOne.removeAll(Set.of("a", "an"));
      // Of a relation its words, of a place and a count one; else the words are the same.
      int atMost =
          switch (type) {
            case RELATION -> 3;
            case PLACE, COUNT -> 1;
            default -> 0;
          };
      assertThat(onlyOne.size()).as("%s / %s", a, b).isLessThanOrEqualTo(atMost);
    }
  }

  @Test
  void trainingAndTestShareNoCombination() {
    Set<String> trained = new HashSet<>();
    Set<String> captions = new HashSet<>();
    for (int n = 0; n < SCENES; n++) {
      Statement statement = composer.training(n).statement();
      trained.add(statement.combination());
      captions.addAll(statement.rewordings());
    }
    for (SceneType type : SceneType.values()) {
      for (int n = 0; n < PAIRS; n++) {
        SceneComposer.Pair pair = composer.test(type, n);
        for (Described of : List.of(pair.a(), pair.b())) {
          assertThat(trained.contains(of.statement().combination())).as(of.toString()).isFalse();
          assertThat(Collections.disjoint(captions, of.statement().rewordings())).isTrue();
        }
      }
    }
  }

  @Test
  void aThingWhosePlaceIsTestedHasNoneInTraining() {
    Set<Thing> trained = new HashSet<>();
    for (int n = 0; n < SCENES; n++) {
      if (composer.training(n).statement() instanceof Statement.Placed placed) {
        trained.add(placed.thing());
      }
    }
    assertThat(trained).hasSizeGreaterThan(50);
    for (int n = 0; n < PAIRS; n++) {
      Statement.Placed tested =
          (Statement.Placed) composer.test(SceneType.PLACE, n).a().statement();
      assertThat(trained).doesNotContain(tested.thing());
    }
  }

  @Test
  void thingsStayInsideThePicture() {
    for (int n = 0; n < SCENES; n++) {
      for (Scene.Placement place : composer.training(n).scene().placements()) {
        double half = place.size() / 2 - 1e-9;
        assertThat(Math.min(place.x(), place.y()) - half).isNotNegative();
        assertThat(Math.max(place.x(), place.y()) + half).isLessThanOrEqualTo(1);
      }
    }
  }

  @Test
  void aSceneDependsOnItsNumberAndTheSeedAlone() {
    List<Described> backwards =
        IntStream.range(0, 50).mapToObj(i -> composer.training(49 - i)).toList().reversed();
    SceneComposer again = new SceneComposer(EMOJI, 11);
    assertThat(IntStream.range(0, 50).mapToObj(again::training).toList()).isEqualTo(backwards);
    SceneComposer other = new SceneComposer(EMOJI, 12);
    assertThat(IntStream.range(0, 50).mapToObj(other::training).toList()).isNotEqualTo(backwards);
  }

  @Test
  void withoutEmojiScenesAreOfShapes() {
    SceneComposer shapes = new SceneComposer(List.of(), 3);
    for (int n = 0; n < 500; n++) {
      assertThat(shapes.training(n).scene().placements())
          .allMatch(place -> place.thing().isShape());
    }
    for (SceneType type : SceneType.values()) {
      assertThat(shapes.test(type, 0).a().scene().placements())
          .allMatch(place -> place.thing().isShape());
    }
  }
}
