package org.nasvlp.data.scenes;

import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.nasvlp.data.scenes.Scene.Placement;

/**
 * Reads a caption's text and looks whether it is true of a scene, knowing nothing of statements.
 */
final class SceneReader {
  private static final List<String> NUMBERS =
      List.of("zero", "one", "two", "three", "four", "five");
  private static final Map<String, String> SINGULAR =
      Map.of(
          "buses", "bus", "crosses", "cross", "tomatoes", "tomato", "strawberries", "strawberry");
  private static final String THING = "an? ((?:[a-z]+ )?[a-z]+)";

  private SceneReader() {}

  static boolean isTrue(String caption, Scene scene) {
    String text = caption.replaceFirst("^(there is|there are|a picture of) ", "");
    Matcher also = Pattern.compile("(.*) and also " + THING).matcher(text);
    if (also.matches()) {
      return count(scene, also.group(2)) == 1 && isTrue(also.group(1), scene);
    }
    Matcher sides =
        Pattern.compile(THING + " (?:on|at) the (\\w+) and " + THING + " (?:on|at) the (\\w+)")
            .matcher(text);
    if (sides.matches()) {
      return sided(scene, sides.group(1), sides.group(2), sides.group(3), sides.group(4));
    }
    sides =
        Pattern.compile("(?:on|at) the (\\w+) " + THING + " and (?:on|at) the (\\w+) " + THING)
            .matcher(text);
    if (sides.matches()) {
      return sided(scene, sides.group(2), sides.group(1), sides.group(4), sides.group(3));
    }
    Matcher place = Pattern.compile(THING + " (?:on|at) the (\\w+)").matcher(text);
    if (place.matches()) {
      return isOn(scene, place.group(2), place.group(1));
    }
    place = Pattern.compile("(?:on|at) the (\\w+) " + THING).matcher(text);
    if (place.matches()) {
      return isOn(scene, place.group(1), place.group(2));
    }
    Matcher related =
        Pattern.compile(
                THING
                    + " (to the left of|to the right of|above|below|inside|outside|around|in front"
                    + " of|behind) "
                    + THING)
            .matcher(text);
    if (related.matches()) {
      return related(scene, related.group(1), related.group(2), related.group(3));
    }
    Matcher with = Pattern.compile(THING + " (with|without) " + THING).matcher(text);
    if (with.matches()) {
      return count(scene, with.group(1)) == 1
          && (count(scene, with.group(3)) == 1) == with.group(2).equals("with");
    }
    Matcher sized =
        Pattern.compile("a (large|small) ([a-z ]+) and a (large|small) ([a-z ]+)").matcher(text);
    if (sized.matches()) {
      if (count(scene, sized.group(2)) != 1 || count(scene, sized.group(4)) != 1) {
        return false;
      }
      double one = only(scene, sized.group(2)).size();
      double two = only(scene, sized.group(4)).size();
      return sized.group(1).equals("large") ? one > 1.7 * two : two > 1.7 * one;
    }
    // What is left is a list that names everything there is.
    int named = 0;
    for (String part : text.split(" and ", -1)) {
      String[] words = part.split(" ", 2);
      int count = words[0].matches("an?") ? 1 : NUMBERS.indexOf(words[0]);
      if (count < 0) {
        throw new IllegalArgumentException("cannot read: " + caption);
      }
      String things = words[1];
      if (count > 1) {
        String noun = things.substring(things.lastIndexOf(' ') + 1);
        String one = SINGULAR.getOrDefault(noun, noun.replaceFirst("s$", ""));
        things = things.substring(0, things.length() - noun.length()) + one;
      }
      if (count(scene, things) != count) {
        return false;
      }
      named += count;
    }
    return named == scene.placements().size();
  }

  private static long count(Scene scene, String words) {
    return scene.placements().stream().filter(place -> place.thing().words().equals(words)).count();
  }

  private static Placement only(Scene scene, String words) {
    return scene.placements().stream()
        .filter(place -> place.thing().words().equals(words))
        .findFirst()
        .orElseThrow();
  }

  /** Whether a thing lies clearly on a side of the picture: its middle within the first 35 %. */
  private static boolean isOn(Scene scene, String side, String words) {
    if (count(scene, words) != 1) {
      return false;
    }
    Placement at = only(scene, words);
    return switch (side) {
      case "left" -> at.x() <= 0.35;
      case "right" -> at.x() >= 0.65;
      case "top" -> at.y() <= 0.35;
      case "bottom" -> at.y() >= 0.65;
      default -> throw new IllegalArgumentException(side);
    };
  }

  private static boolean sided(Scene scene, String one, String here, String two, String there) {
    if (count(scene, one) != 1 || count(scene, two) != 1) {
      return false;
    }
    String relation =
        switch (here) {
          case "left" -> "to the left of";
          case "right" -> "to the right of";
          case "top" -> "above";
          default -> "below";
        };
    String opposite =
        switch (there) {
          case "left" -> "to the left of";
          case "right" -> "to the right of";
          case "top" -> "above";
          default -> "below";
        };
    return related(scene, one, relation, two) && related(scene, two, opposite, one);
  }

  private static boolean related(Scene scene, String one, String relation, String two) {
    if (count(scene, one) != 1 || count(scene, two) != 1) {
      return false;
    }
    Placement a = only(scene, one);
    Placement b = only(scene, two);
    double dx = Math.abs(a.x() - b.x());
    double dy = Math.abs(a.y() - b.y());
    double reach = (a.size() + b.size()) / 2;
    boolean apart = dx >= reach - 1e-9 || dy >= reach - 1e-9;
    boolean within = Math.max(dx, dy) + a.size() / 2 < b.size() / 2 && a.size() < b.size() / 2;
    boolean over =
        !apart
            && Math.max(dx, dy) > a.size() / 4
            && scene.placements().indexOf(a) > scene.placements().indexOf(b);
    return switch (relation) {
      case "to the left of" -> apart && a.x() + reach <= b.x() && dy < dx;
      case "to the right of" -> apart && b.x() + reach <= a.x() && dy < dx;
      case "above" -> apart && a.y() + reach <= b.y() && dx < dy;
      case "below" -> apart && b.y() + reach <= a.y() && dx < dy;
      case "inside" -> within;
      case "around" -> related(scene, two, "inside", one);
      case "outside" -> apart;
      case "in front of" -> over;
      case "behind" -> related(scene, two, "in front of", one);
      default -> throw new IllegalArgumentException(relation);
    };
  }
}
