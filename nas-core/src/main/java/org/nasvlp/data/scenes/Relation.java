package org.nasvlp.data.scenes;

import java.util.ArrayList;
import java.util.List;

/** Where a thing is of another one, and the ways to say so. */
enum Relation {
  LEFT_OF,
  RIGHT_OF,
  ABOVE,
  BELOW,
  INSIDE,
  AROUND,
  OUTSIDE,
  IN_FRONT_OF,
  BEHIND;

  /** What is true of the first and the second if this is true of the second and the first. */
  Relation inverse() {
    return switch (this) {
      case LEFT_OF -> RIGHT_OF;
      case RIGHT_OF -> LEFT_OF;
      case ABOVE -> BELOW;
      case BELOW -> ABOVE;
      case INSIDE -> AROUND;
      case AROUND -> INSIDE;
      case OUTSIDE -> OUTSIDE;
      case IN_FRONT_OF -> BEHIND;
      case BEHIND -> IN_FRONT_OF;
    };
  }

  /** What is said in its place where it is false. */
  Relation contrary() {
    return switch (this) {
      case INSIDE -> OUTSIDE;
      case OUTSIDE -> INSIDE;
      default -> inverse();
    };
  }

  /**
   * The ways to say it of a first and a second thing, in one order for a relation and its contrary.
   */
  List<String> forms(String first, String second) {
    return switch (this) {
      case LEFT_OF -> sides(first, second, "left", "right");
      case RIGHT_OF -> sides(first, second, "right", "left");
      case ABOVE -> levels(first, second, "above", "top", "bottom");
      case BELOW -> levels(first, second, "below", "bottom", "top");
      case INSIDE -> plain(first, second, "inside");
      case OUTSIDE -> plain(first, second, "outside");
      case AROUND -> plain(first, second, "around");
      case IN_FRONT_OF -> plain(first, second, "in front of");
      case BEHIND -> plain(first, second, "behind");
    };
  }

  /**
   * {@link #forms} of this, and of its inverse with the things exchanged: all true or all false.
   */
  List<String> rewordings(String first, String second) {
    List<String> all = new ArrayList<>(forms(first, second));
    // "a ring outside a cat" is nobody's way to say it.
    if (this != OUTSIDE) {
      all.addAll(inverse().forms(/* first= */ second, /* second= */ first));
    }
    return all;
  }

  private static List<String> sides(String first, String second, String here, String there) {
    return List.of(
        first + " to the " + here + " of " + second,
        "there is " + first + " to the " + here + " of " + second,
        first + " on the " + here + " and " + second + " on the " + there,
        "on the " + here + " " + first + " and on the " + there + " " + second);
  }

  private static List<String> levels(
      String first, String second, String word, String here, String there) {
    return List.of(
        first + " " + word + " " + second,
        "there is " + first + " " + word + " " + second,
        first + " at the " + here + " and " + second + " at the " + there,
        "at the " + here + " " + first + " and at the " + there + " " + second);
  }

  private static List<String> plain(String first, String second, String word) {
    return List.of(
        first + " " + word + " " + second, "there is " + first + " " + word + " " + second);
  }
}
