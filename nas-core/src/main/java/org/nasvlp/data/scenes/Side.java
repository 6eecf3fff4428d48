package org.nasvlp.data.scenes;

/** A side of the picture. */
enum Side {
  LEFT("on the left"),
  RIGHT("on the right"),
  TOP("at the top"),
  BOTTOM("at the bottom");

  private final String words;

  Side(String words) {
    this.words = words;
  }

  /** "on the left", "at the top". */
  String words() {
    return words;
  }

  /** Whether it is the left or the right. */
  boolean isAcross() {
    return this == LEFT || this == RIGHT;
  }

  Side opposite() {
    return switch (this) {
      case LEFT -> RIGHT;
      case RIGHT -> LEFT;
      case TOP -> BOTTOM;
      case BOTTOM -> TOP;
    };
  }
}
