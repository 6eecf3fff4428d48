package org.nasvlp.data.scenes;

import java.util.List;

/**
 * What a picture shows.
 *
 * @param background number of its pattern and colors
 * @param placements from back to front
 */
record Scene(long background, List<Placement> placements) {

  /**
   * A thing in its place, in shares of the picture's side.
   *
   * @param x of its middle, from the left
   * @param y of its middle, from above
   * @param size of its longer side
   */
  record Placement(Thing thing, double x, double y, double size) {
    Placement at(double newX, double newY) {
      return new Placement(thing, newX, newY, size);
    }

    /** In the place that a mirror shows, of which the thing itself is not part. */
    Placement mirrored(boolean across) {
      return across ? at(1 - x, y) : at(x, 1 - y);
    }

    Placement of(Thing other) {
      return new Placement(other, x, y, size);
    }

    Placement sized(double newSize) {
      return new Placement(thing, x, y, newSize);
    }
  }

  Scene {
    placements = List.copyOf(placements);
  }
}
