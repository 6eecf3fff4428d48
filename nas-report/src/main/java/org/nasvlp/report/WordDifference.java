package org.nasvlp.report;

import java.util.ArrayList;
import java.util.List;

/** The words in which a caption differs from another. */
final class WordDifference {
  private WordDifference() {}

  /**
   * A stretch of a caption.
   *
   * @param text its words
   * @param differs whether the other caption lacks them at this place
   */
  record Part(String text, boolean differs) {}

  /**
   * A caption in stretches that the other one has or lacks. Joined by spaces they are the caption.
   * Words are held against those at the same places where that marks no more of them than a longest
   * common subsequence does: a swap then shows as one.
   */
  static List<Part> parts(String caption, String other) {
    String[] words = caption.strip().split("\\s+", -1);
    String[] others = other.strip().split("\\s+", -1);
    boolean[] differs = unmatched(words, others);
    if (words.length == others.length) {
      boolean[] byPlace = new boolean[words.length];
      for (int i = 0; i < words.length; i++) {
        byPlace[i] = !words[i].equalsIgnoreCase(others[i]);
      }
      differs = count(byPlace) <= count(differs) ? byPlace : differs;
    }
    List<Part> parts = new ArrayList<>();
    for (int i = 0; i < words.length; i++) {
      add(parts, words[i], differs[i]);
    }
    return List.copyOf(parts);
  }

  private static int count(boolean[] values) {
    int count = 0;
    for (boolean value : values) {
      count += value ? 1 : 0;
    }
    return count;
  }

  /** The words that are not in a longest common subsequence. */
  private static boolean[] unmatched(String[] words, String[] others) {
    int[][] common = new int[words.length + 1][others.length + 1];
    for (int i = words.length - 1; i >= 0; i--) {
      for (int j = others.length - 1; j >= 0; j--) {
        common[i][j] =
            words[i].equalsIgnoreCase(others[j])
                ? common[i + 1][j + 1] + 1
                : Math.max(common[i + 1][j], common[i][j + 1]);
      }
    }
    boolean[] unmatched = new boolean[words.length];
    int i = 0;
    int j = 0;
    while (i < words.length) {
      boolean left = j < others.length;
      if (left && words[i].equalsIgnoreCase(others[j])) {
        i++;
        j++;
      } else if (left && common[i][j + 1] >= common[i + 1][j]) {
        j++;
      } else {
        unmatched[i++] = true;
      }
    }
    return unmatched;
  }

  /** Writes a caption with the words marked that another lacks. */
  static void write(Html html, String caption, String other) {
    boolean first = true;
    for (Part part : parts(caption, other)) {
      if (!first) {
        html.text(" ");
      }
      first = false;
      if (part.differs()) {
        html.element("mark", part.text());
      } else {
        html.text(part.text());
      }
    }
  }

  private static void add(List<Part> parts, String word, boolean differs) {
    if (!parts.isEmpty() && parts.getLast().differs() == differs) {
      parts.set(parts.size() - 1, new Part(parts.getLast().text() + " " + word, differs));
    } else {
      parts.add(new Part(word, differs));
    }
  }
}
