package org.nasvlp.data.scenes;

/**
 * What a scene may hold: an emoji, or a drawn shape of a color.
 *
 * @param noun in the singular; of an emoji its name
 * @param color of a shape; empty for an emoji, which has its own
 */
record Thing(String noun, String color) {

  static Thing emoji(String name) {
    return new Thing(name, "");
  }

  boolean isShape() {
    return !color.isEmpty();
  }

  Thing colored(String other) {
    return new Thing(noun, other);
  }

  /** "red circle", "cat". */
  String words() {
    return isShape() ? color + " " + noun : noun;
  }

  /** "a red circle", "an axe". */
  String one() {
    return withArticle(words());
  }

  /** "red circles", "buses". */
  String many() {
    return isShape() ? color + " " + plural(noun) : plural(noun);
  }

  static String withArticle(String words) {
    boolean vowel =
        "aeiou".indexOf(words.charAt(0)) >= 0
            && !words.startsWith("uni")
            && !words.startsWith("uku");
    return (vowel ? "an " : "a ") + words;
  }

  private static String plural(String noun) {
    if (noun.endsWith("s") || noun.endsWith("x") || (noun.endsWith("h") && !noun.endsWith("th"))) {
      return noun + "es";
    }
    if (noun.endsWith("y") && "aeiou".indexOf(noun.charAt(noun.length() - 2)) < 0) {
      return noun.substring(0, noun.length() - 1) + "ies";
    }
    return noun.endsWith("tomato") ? noun + "es" : noun + "s";
  }
}
