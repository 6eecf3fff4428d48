package org.nasvlp.data.scenes;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** What a caption says of a scene. */
sealed interface Statement {

  /** The ways to say it in the order of its words: form by form those of another of its kind. */
  List<String> forms();

  /** All ways to say the same, {@link #forms} among them. */
  default List<String> rewordings() {
    return forms();
  }

  /** What is held out together: the same for all that is said of the same things. */
  String combination();

  private static String combination(Thing... things) {
    return String.join("|", Stream.of(things).map(Thing::words).sorted().toList());
  }

  /** One thing's place beside another's, and perhaps that there is a third thing. */
  record Related(Thing first, Relation relation, Thing second, List<Thing> further)
      implements Statement {
    @Override
    public List<String> forms() {
      return withFurther(relation.forms(first.one(), second.one()));
    }

    @Override
    public List<String> rewordings() {
      return withFurther(relation.rewordings(first.one(), second.one()));
    }

    private List<String> withFurther(List<String> captions) {
      return further.isEmpty()
          ? captions
          : captions.stream().map(text -> text + " and also " + further.getFirst().one()).toList();
    }

    @Override
    public String combination() {
      return Statement.combination(first, second);
    }
  }

  /** On which side of the picture a thing is. */
  record Placed(Thing thing, Side side) implements Statement {
    @Override
    public List<String> forms() {
      String text = thing.one() + " " + side.words();
      return List.of(text, "there is " + text, side.words() + " " + thing.one());
    }

    @Override
    public String combination() {
      return "place of " + thing.words();
    }
  }

  /** That two things are there. */
  record Both(Thing first, Thing second) implements Statement {
    @Override
    public List<String> forms() {
      return List.of(
          first.one() + " and " + second.one(),
          "there is " + first.one() + " and " + second.one(),
          "a picture of " + first.one() + " and " + second.one());
    }

    @Override
    public List<String> rewordings() {
      List<String> all = new ArrayList<>(forms());
      all.addAll(new Both(/* first= */ second, /* second= */ first).forms());
      return all;
    }

    @Override
    public String combination() {
      return Statement.combination(first, second);
    }
  }

  /** How many of a thing there are, and perhaps one of another. */
  record Counted(int count, Thing thing, List<Thing> other) implements Statement {
    private static final List<String> NUMBERS = List.of("", "one", "two", "three", "four", "five");

    @Override
    public List<String> forms() {
      String many = NUMBERS.get(count) + " " + thing.many();
      String rest = other.isEmpty() ? "" : " and " + other.getFirst().one();
      return List.of(many + rest, "there are " + many + rest, "a picture of " + many + rest);
    }

    @Override
    public List<String> rewordings() {
      if (other.isEmpty()) {
        return forms();
      }
      String many = NUMBERS.get(count) + " " + thing.many();
      String one = other.getFirst().one();
      List<String> all = new ArrayList<>(forms());
      all.add(one + " and " + many);
      all.add("there is " + one + " and " + many);
      return all;
    }

    @Override
    public String combination() {
      return other.isEmpty()
          ? "many " + thing.words()
          : Statement.combination(thing, other.getFirst());
    }
  }

  /** Which of two things is large and which small. */
  record Sized(Thing large, Thing small, boolean largeFirst) implements Statement {
    @Override
    public List<String> forms() {
      String one = "a large " + large.words();
      String two = "a small " + small.words();
      String text = largeFirst ? one + " and " + two : two + " and " + one;
      return List.of(text, "there is " + text, "a picture of " + text);
    }

    @Override
    public List<String> rewordings() {
      List<String> all = new ArrayList<>(forms());
      all.addAll(new Sized(large, small, !largeFirst).forms());
      return all;
    }

    @Override
    public String combination() {
      return Statement.combination(large, small);
    }
  }

  /** That one thing is there with another, or without it. */
  record Accompanied(Thing thing, boolean with, Thing other) implements Statement {
    @Override
    public List<String> forms() {
      String text = thing.one() + (with ? " with " : " without ") + other.one();
      return List.of(text, "there is " + text, "a picture of " + text);
    }

    @Override
    public String combination() {
      return Statement.combination(thing, other);
    }
  }
}
