package org.nasvlp.data.scenes;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.nasvlp.data.scenes.Scene.Placement;
import org.nasvlp.data.scenes.Statement.Accompanied;
import org.nasvlp.data.scenes.Statement.Both;
import org.nasvlp.data.scenes.Statement.Counted;
import org.nasvlp.data.scenes.Statement.Placed;
import org.nasvlp.data.scenes.Statement.Related;
import org.nasvlp.data.scenes.Statement.Sized;
import org.nasvlp.random.StableHash;

/**
 * Makes up scenes and what is true of them, each from its number alone. Combinations of things are
 * either training's or the test's, so that the two share no caption.
 */
final class SceneComposer {
  /** One combination in so many is the test's. */
  private static final int HELD_OUT = 8;

  private static final List<String> SHAPES =
      List.of("circle", "square", "triangle", "star", "heart", "diamond", "ring", "cross");
  private static final List<String> FILLED =
      List.of("circle", "square", "triangle", "star", "heart", "diamond");

  /** A scene and what is true of it. */
  record Described(Scene scene, Statement statement) {}

  /**
   * Two scenes that differ in one respect, so that each one's statement is false of the other.
   *
   * @param form which of the statements' forms says so
   */
  record Pair(SceneType type, Described a, Described b, int form) {}

  private static final List<String> COLORS = ScenePainter.COLORS;
  private final List<Thing> emoji;
  private final long seed;

  /**
   * @param emoji names of emoji that can be painted; with none, scenes are of shapes
   */
  SceneComposer(List<String> emoji, long seed) {
    this.emoji = emoji.stream().map(Thing::emoji).toList();
    this.seed = seed;
  }

  static boolean isHeldOut(Statement statement) {
    return Long.remainderUnsigned(StableHash.of(statement.combination()), HELD_OUT) == 0;
  }

  /** Captions that between them have every word of every caption. */
  List<String> everyWord() {
    List<String> all = new ArrayList<>();
    List<Thing> things = new ArrayList<>(emoji);
    for (String shape : SHAPES) {
      for (String color : COLORS) {
        things.add(new Thing(shape, color));
      }
    }
    Thing second = things.getLast();
    for (Thing thing : things) {
      for (Relation relation : Relation.values()) {
        all.addAll(new Related(thing, relation, second, List.of(second)).rewordings());
      }
      for (int count = 2; count <= 5; count++) {
        all.addAll(new Counted(count, thing, List.of(second)).rewordings());
      }
      for (Side side : Side.values()) {
        all.addAll(new Placed(thing, side).rewordings());
      }
      all.addAll(new Sized(thing, second, true).rewordings());
      all.addAll(new Accompanied(thing, true, second).rewordings());
      all.addAll(new Accompanied(thing, false, second).rewordings());
      all.addAll(new Both(thing, second).rewordings());
    }
    return all;
  }

  /** Scene number n of training. */
  Described training(long n) {
    Dice dice = new Dice(seed, n);
    SceneType type = drawType(dice);
    while (true) {
      Described drawn = draw(type, dice);
      if (!isHeldOut(drawn.statement())) {
        return drawn;
      }
    }
  }

  private static SceneType drawType(Dice dice) {
    int draw = dice.below(20);
    if (draw < 6) {
      return SceneType.RELATION;
    }
    // A word of place that two things share says nothing of the picture as a whole, and is not
    // learned of such pictures alone.
    if (draw < 10) {
      return SceneType.PLACE;
    }
    if (draw < 12) {
      return SceneType.BINDING;
    }
    if (draw < 13) {
      return SceneType.COLOR;
    }
    if (draw < 16) {
      return SceneType.COUNT;
    }
    return draw < 18 ? SceneType.SIZE : draw < 19 ? SceneType.OBJECT : SceneType.PRESENCE;
  }

  /** Pair number n of the test of a type. */
  Pair test(SceneType type, long n) {
    Dice dice = new Dice(seed ^ StableHash.of(type.label()), n);
    while (true) {
      Described a = draw(type, dice);
      if (!isHeldOut(a.statement())) {
        continue;
      }
      Optional<Described> b = contrary(type, a, dice);
      if (b.isPresent() && isHeldOut(b.get().statement())) {
        return new Pair(type, a, b.get(), dice.below(a.statement().forms().size()));
      }
    }
  }

  private Described draw(SceneType type, Dice dice) {
    return switch (type) {
      case RELATION, ROLE -> related(type, dice);
      case PLACE -> placed(dice);
      case BINDING -> both(shape(dice), dice, true);
      case COLOR -> both(shape(dice), dice, false);
      case OBJECT ->
          dice.chance(0.5) ? related(SceneType.OBJECT, dice) : both(any(dice), dice, false);
      case COUNT -> counted(dice);
      case SIZE -> sized(dice);
      case PRESENCE -> accompanied(dice);
    };
  }

  private Thing any(Dice dice) {
    return emoji.isEmpty() || dice.chance(0.4) ? shape(dice) : dice.of(emoji);
  }

  private static Thing shape(Dice dice) {
    return new Thing(dice.of(SHAPES), dice.of(COLORS));
  }

  /** Another thing than those; of shapes neither the noun nor the color is one of theirs. */
  private Thing other(Dice dice, boolean shape, Thing... than) {
    while (true) {
      Thing thing = shape ? shape(dice) : any(dice);
      boolean clear = true;
      for (Thing one : than) {
        clear &= !one.noun().equals(thing.noun());
        clear &= !one.isShape() || !one.color().equals(thing.color());
      }
      if (clear) {
        return thing;
      }
    }
  }

  private Described related(SceneType type, Dice dice) {
    int kind = dice.below(8);
    Thing first = any(dice);
    Thing second = other(dice, false, first);
    if (kind == 7) {
      if (type == SceneType.ROLE) {
        first = new Thing(dice.of(FILLED), dice.of(COLORS));
        second = other(dice, true, first);
      } else {
        second = new Thing(dice.of(FILLED), dice.of(COLORS));
      }
      if (!FILLED.contains(second.noun())
          || second.noun().equals(first.noun())
          || second.color().equals(first.color())) {
        return related(type, dice);
      }
    }
    Relation relation =
        switch (kind) {
          case 0, 1 -> Relation.LEFT_OF;
          case 2 -> Relation.RIGHT_OF;
          case 3, 4 -> Relation.ABOVE;
          case 5 -> Relation.BELOW;
          case 6 -> dice.chance(0.5) ? Relation.IN_FRONT_OF : Relation.BEHIND;
          default ->
              type != SceneType.ROLE && dice.chance(0.4) ? Relation.OUTSIDE : Relation.INSIDE;
        };
    if (kind < 6 && dice.chance(0.3)) {
      relation = relation.inverse();
    }
    List<Thing> further =
        kind < 6 && dice.chance(0.2) ? List.of(other(dice, false, first, second)) : List.of();
    Related statement = new Related(first, relation, second, further);
    return new Described(layout(statement, dice), statement);
  }

  private static Scene layout(Related of, Dice dice) {
    long background = background(dice);
    double one = dice.between(0.24, 0.40);
    double two = dice.between(0.24, 0.40);
    if (!of.further().isEmpty()) {
      one *= 0.8;
      two *= 0.8;
    }
    boolean inverted =
        switch (of.relation()) {
          case RIGHT_OF, BELOW, BEHIND, AROUND -> true;
          default -> false;
        };
    Thing first = inverted ? of.second() : of.first();
    Thing second = inverted ? of.first() : of.second();
    List<Placement> placed = new ArrayList<>();
    switch (inverted ? of.relation().inverse() : of.relation()) {
      case LEFT_OF, ABOVE -> {
        boolean across = of.relation() == Relation.LEFT_OF || of.relation() == Relation.RIGHT_OF;
        double along = (one + two) / 2 + dice.between(0.01, 0.12);
        double aside = along * dice.between(-0.3, 0.3);
        double start = dice.between(one / 2, 1 - two / 2 - along);
        double low = Math.max(one / 2, two / 2 - aside);
        double high = Math.min(1 - one / 2, 1 - two / 2 - aside);
        double side = dice.between(low, high);
        placed.add(place(first, across, start, side, one));
        placed.add(place(second, across, start + along, side + aside, two));
      }
      case IN_FRONT_OF -> {
        double size = dice.between(0.36, 0.46);
        double angle = dice.between(0, 2 * Math.PI);
        double apart = size * dice.between(0.5, 0.65);
        double dx = apart * Math.cos(angle) / 2;
        double dy = apart * Math.sin(angle) / 2;
        double x = dice.between(size / 2 + Math.abs(dx), 1 - size / 2 - Math.abs(dx));
        double y = dice.between(size / 2 + Math.abs(dy), 1 - size / 2 - Math.abs(dy));
        placed.add(new Placement(second, x - dx, y - dy, size));
        placed.add(new Placement(first, x + dx, y + dy, size));
      }
      case INSIDE -> {
        double size = dice.between(0.55, 0.62);
        double x = dice.between(size / 2, 1 - size / 2);
        double y = dice.between(size / 2, 1 - size / 2);
        // A triangle's and a heart's middle of mass are not in the middle of their box.
        double down =
            second.noun().equals("triangle") ? 0.14 : second.noun().equals("heart") ? -0.06 : 0;
        placed.add(new Placement(second, x, y, size));
        placed.add(new Placement(first, x, y + down * size, size * 0.4));
      }
      case OUTSIDE -> {
        double size = dice.between(0.55, 0.62);
        double small = size * 0.4;
        boolean across = dice.chance(0.5);
        boolean before = dice.chance(0.5);
        double middle = dice.between(size / 2, 1 - small - size / 2);
        double side = dice.between(size / 2, 1 - size / 2);
        double far = dice.between(middle + (size + small) / 2, 1 - small / 2);
        double there = dice.between(small / 2, 1 - small / 2);
        placed.add(place(second, across, before ? middle : 1 - middle, side, size));
        placed.add(place(first, across, before ? far : 1 - far, there, small));
      }
      default -> throw new IllegalStateException(of.relation().toString());
    }
    if (!of.further().isEmpty() && !addFree(placed, of.further().getFirst(), 0.2, dice)) {
      return layout(of, dice);
    }
    return new Scene(background, placed);
  }

  private static Placement place(
      Thing thing, boolean across, double along, double side, double size) {
    return across
        ? new Placement(thing, along, side, size)
        : new Placement(thing, side, along, size);
  }

  /** Adds a thing where it overlaps none; false if it found no place. */
  private static boolean addFree(List<Placement> placed, Thing thing, double size, Dice dice) {
    for (int attempt = 0; attempt < 40; attempt++) {
      double x = dice.between(size / 2, 1 - size / 2);
      double y = dice.between(size / 2, 1 - size / 2);
      boolean free = true;
      for (Placement other : placed) {
        double apart = (other.size() + size) / 2;
        free &= Math.abs(other.x() - x) >= apart || Math.abs(other.y() - y) >= apart;
      }
      if (free) {
        placed.add(new Placement(thing, x, y, size));
        return true;
      }
    }
    return false;
  }

  private static long background(Dice dice) {
    return dice.below(Integer.MAX_VALUE);
  }

  private Described both(Thing first, Dice dice, boolean shapes) {
    Thing second = other(dice, shapes, first);
    Statement statement =
        dice.chance(0.5)
            ? new Both(first, second)
            : new Both(/* first= */ second, /* second= */ first);
    return new Described(scatter(List.of(first, second), dice), statement);
  }

  private static Scene scatter(List<Thing> things, Dice dice) {
    while (true) {
      List<Placement> placed = new ArrayList<>();
      boolean all = true;
      for (Thing thing : things) {
        all = all && addFree(placed, thing, dice.between(0.24, 0.42), dice);
      }
      if (all) {
        return new Scene(background(dice), placed);
      }
    }
  }

  private Described placed(Dice dice) {
    Thing thing = any(dice);
    Side side = dice.of(List.of(Side.values()));
    double size = dice.between(0.24, 0.4);
    double along = dice.between(size / 2, 0.35);
    boolean first = side == Side.LEFT || side == Side.TOP;
    List<Placement> placed = new ArrayList<>();
    placed.add(
        place(
            thing,
            side.isAcross(),
            first ? along : 1 - along,
            dice.between(size / 2, 1 - size / 2),
            size));
    if (dice.chance(0.4)) {
      addFree(placed, other(dice, false, thing), dice.between(0.2, 0.3), dice);
    }
    return new Described(new Scene(background(dice), placed), new Placed(thing, side));
  }

  private Described counted(Dice dice) {
    Thing thing = any(dice);
    List<Thing> other = dice.chance(0.5) ? List.of(other(dice, false, thing)) : List.of();
    int count = 2 + dice.below(other.isEmpty() ? 4 : 3);
    List<Placement> placed = new ArrayList<>();
    double size = dice.between(0.2, 0.3);
    boolean all = true;
    for (int i = 0; i < count; i++) {
      all = all && addFree(placed, thing, size, dice);
    }
    for (Thing one : other) {
      all = all && addFree(placed, one, dice.between(0.2, 0.3), dice);
    }
    return all
        ? new Described(new Scene(background(dice), placed), new Counted(count, thing, other))
        : counted(dice);
  }

  private Described sized(Dice dice) {
    Thing large = any(dice);
    Thing small = other(dice, false, large);
    List<Placement> placed = new ArrayList<>();
    addFree(placed, large, dice.between(0.44, 0.54), dice);
    return addFree(placed, small, dice.between(0.17, 0.24), dice)
        ? new Described(
            new Scene(background(dice), placed), new Sized(large, small, dice.chance(0.5)))
        : sized(dice);
  }

  private Described accompanied(Dice dice) {
    Thing thing = any(dice);
    Thing other = other(dice, false, thing);
    boolean with = dice.chance(0.5);
    List<Thing> there = new ArrayList<>(List.of(thing));
    if (with) {
      there.add(other);
    } else if (dice.chance(0.5)) {
      there.add(other(dice, false, thing, other));
    }
    return new Described(scatter(there, dice), new Accompanied(thing, with, other));
  }

  /** The scene that differs in the type's respect; none if this one has no such. */
  private Optional<Described> contrary(SceneType type, Described of, Dice dice) {
    Scene scene = of.scene();
    List<Placement> placed = scene.placements();
    return switch (type) {
      case RELATION -> {
        Related was = (Related) of.statement();
        Related now =
            new Related(was.first(), was.relation().contrary(), was.second(), was.further());
        boolean insideOrNot =
            was.relation() == Relation.INSIDE || was.relation() == Relation.OUTSIDE;
        yield Optional.of(
            new Described(
                insideOrNot
                    ? new Scene(scene.background(), layout(now, dice).placements())
                    : exchanged(scene, was.first(), was.second()),
                now));
      }
      case PLACE -> {
        Placed was = (Placed) of.statement();
        boolean across = was.side().isAcross();
        yield Optional.of(
            new Described(
                new Scene(
                    scene.background(),
                    placed.stream().map(place -> place.mirrored(across)).toList()),
                new Placed(was.thing(), was.side().opposite())));
      }
      case ROLE -> {
        Related was = (Related) of.statement();
        yield Optional.of(
            new Described(
                exchanged(scene, was.first(), was.second()),
                new Related(
                    /* first= */ was.second(),
                    was.relation(),
                    /* second= */ was.first(),
                    was.further())));
      }
      case BINDING -> {
        Both was = (Both) of.statement();
        Thing first = was.first().colored(was.second().color());
        Thing second = was.second().colored(was.first().color());
        yield Optional.of(
            new Described(
                replaced(replaced(scene, was.first(), first), was.second(), second),
                new Both(first, second)));
      }
      case COLOR -> {
        Both was = (Both) of.statement();
        boolean one = was.first().isShape();
        Thing before = one ? was.first() : was.second();
        Thing beside = one ? was.second() : was.first();
        Thing after = before.colored(dice.of(COLORS));
        yield after.equals(before) || after.color().equals(beside.color())
            ? Optional.empty()
            : Optional.of(
                new Described(
                    replaced(scene, before, after),
                    one ? new Both(after, beside) : new Both(beside, after)));
      }
      case OBJECT -> {
        if (of.statement() instanceof Both was) {
          Thing after = other(dice, was.second().isShape(), was.first(), was.second());
          yield Optional.of(
              new Described(replaced(scene, was.second(), after), new Both(was.first(), after)));
        }
        Related was = (Related) of.statement();
        if (!was.further().isEmpty()
            || was.relation() == Relation.INSIDE
            || was.relation() == Relation.OUTSIDE) {
          yield Optional.empty();
        }
        Thing after = other(dice, was.second().isShape(), was.first(), was.second());
        yield Optional.of(
            new Described(
                replaced(scene, was.second(), after),
                new Related(was.first(), was.relation(), after, List.of())));
      }
      case COUNT -> {
        Counted was = (Counted) of.statement();
        int most = was.other().isEmpty() ? 5 : 4;
        List<Placement> now = new ArrayList<>(placed);
        boolean more = was.count() == 2 || (was.count() < most && dice.chance(0.5));
        if (more) {
          double size = placed.getFirst().size();
          if (!addFree(now, was.thing(), size, dice)) {
            yield Optional.empty();
          }
        } else {
          now.remove(dice.below(was.count()));
        }
        yield Optional.of(
            new Described(
                new Scene(scene.background(), now),
                new Counted(was.count() + (more ? 1 : -1), was.thing(), was.other())));
      }
      case SIZE -> {
        Sized was = (Sized) of.statement();
        yield Optional.of(
            new Described(
                exchanged(scene, was.large(), was.small()),
                new Sized(/* large= */ was.small(), /* small= */ was.large(), !was.largeFirst())));
      }
      case PRESENCE -> {
        Accompanied was = (Accompanied) of.statement();
        if (!was.with()) {
          yield Optional.empty();
        }
        List<Placement> now = new ArrayList<>(placed);
        Placement gone = now.removeLast();
        if (dice.chance(0.5)) {
          now.add(gone.of(other(dice, false, was.thing(), was.other())));
        }
        yield Optional.of(
            new Described(
                new Scene(scene.background(), now),
                new Accompanied(was.thing(), false, was.other())));
      }
    };
  }

  private static Scene exchanged(Scene scene, Thing one, Thing two) {
    return new Scene(
        scene.background(),
        scene.placements().stream()
            .map(
                place ->
                    place.thing().equals(one)
                        ? place.of(two)
                        : place.thing().equals(two) ? place.of(one) : place)
            .toList());
  }

  private static Scene replaced(Scene scene, Thing before, Thing after) {
    return new Scene(
        scene.background(),
        scene.placements().stream()
            .map(place -> place.thing().equals(before) ? place.of(after) : place)
            .toList());
  }
}
