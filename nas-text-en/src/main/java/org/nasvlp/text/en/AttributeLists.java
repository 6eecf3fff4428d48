package org.nasvlp.text.en;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.nasvlp.config.EditType;

/** The curated word lists among the resources. Immutable. */
final class AttributeLists {
  /** Where a class applies. */
  enum Flag {
    EXACT,
    ANIMATE,
    INANIMATE
  }

  /** A line of the attribute list; equal to itself alone. */
  static final class WordClass {
    private final EditType type;
    private final Set<Flag> flags;
    private final List<List<List<String>>> alternatives;

    WordClass(EditType type, Set<Flag> flags, List<List<List<String>>> alternatives) {
      this.type = type;
      this.flags = flags;
      this.alternatives = alternatives;
    }

    EditType type() {
      return type;
    }

    Set<Flag> flags() {
      return flags;
    }

    /** For each alternative its synonyms, for each synonym its forms. */
    List<List<List<String>>> alternatives() {
      return alternatives;
    }
  }

  /** A place of a word in a class. */
  record Membership(WordClass wordClass, int alternative, int form) {}

  /** A word or phrase with all its places; fixed phrases have none. */
  record Unit(List<String> words, List<Membership> memberships) {}

  private final Map<String, List<Unit>> unitsByFirstWord = new HashMap<>();
  private final Set<String> stopWords = words("english-stopwords.txt");
  private final Set<String> offensive = words("english-offensive.txt");

  AttributeLists(boolean exact) {
    Map<String, List<Membership>> memberships = new HashMap<>();
    for (WordClass wordClass : classes()) {
      if (wordClass.flags().contains(Flag.EXACT) && !exact) {
        continue;
      }
      for (int a = 0; a < wordClass.alternatives().size(); a++) {
        for (List<String> forms : wordClass.alternatives().get(a)) {
          for (int f = 0; f < forms.size(); f++) {
            memberships
                .computeIfAbsent(forms.get(f), key -> new ArrayList<>())
                .add(new Membership(wordClass, a, f));
          }
        }
      }
    }
    // Fixed phrases win over attributes of the same text.
    words("english-fixed.txt").forEach(phrase -> memberships.put(phrase, List.of()));
    memberships.forEach(
        (text, places) -> {
          List<String> words = List.of(text.split(" ", -1));
          unitsByFirstWord
              .computeIfAbsent(words.getFirst(), key -> new ArrayList<>())
              .add(new Unit(words, List.copyOf(places)));
        });
    unitsByFirstWord
        .values()
        .forEach(
            units ->
                units.sort(Comparator.comparingInt((Unit unit) -> unit.words().size()).reversed()));
  }

  /** The longest unit that begins at a place, or null. */
  Unit longestAt(String[] words, int start) {
    for (Unit unit : unitsByFirstWord.getOrDefault(words[start], List.of())) {
      int length = unit.words().size();
      if (start + length <= words.length
          && unit.words().equals(Arrays.asList(words).subList(start, start + length))) {
        return unit;
      }
    }
    return null;
  }

  /** Whether a single word or phrase is in a class. */
  boolean contains(String text) {
    String[] words = text.split(" ", -1);
    Unit unit = longestAt(words, 0);
    return unit != null && unit.words().size() == words.length;
  }

  boolean isStopWord(String word) {
    return stopWords.contains(word);
  }

  boolean isOffensive(String text) {
    for (String word : text.split(" ", -1)) {
      if (offensive.contains(word)) {
        return true;
      }
    }
    return false;
  }

  private static List<WordClass> classes() {
    List<WordClass> classes = new ArrayList<>();
    EditType type = null;
    Set<Flag> flags = Set.of();
    for (String line : lines("english-attributes.txt")) {
      if (line.startsWith("[")) {
        String[] head = line.substring(1, line.length() - 1).split(" ", -1);
        type = EditType.valueOf(head[0]);
        Set<Flag> read = new HashSet<>();
        for (int i = 1; i < head.length; i++) {
          read.add(Flag.valueOf(head[i].toUpperCase(java.util.Locale.ROOT)));
        }
        flags = Set.copyOf(read);
        continue;
      }
      List<List<List<String>>> alternatives = new ArrayList<>();
      for (String alternative : line.split("\\|", -1)) {
        List<List<String>> synonyms = new ArrayList<>();
        for (String synonym : alternative.split("=", -1)) {
          synonyms.add(Arrays.stream(synonym.split(",", -1)).map(String::strip).toList());
        }
        alternatives.add(List.copyOf(synonyms));
      }
      if (type == null || alternatives.size() < 2) {
        throw new IllegalStateException("english-attributes.txt: not a class of words: " + line);
      }
      classes.add(new WordClass(type, flags, List.copyOf(alternatives)));
    }
    return classes;
  }

  private static Set<String> words(String resource) {
    return Set.copyOf(new HashSet<>(lines(resource)));
  }

  private static List<String> lines(String resource) {
    try (InputStream in = AttributeLists.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IllegalStateException("the library's own word list " + resource + " is missing");
      }
      BufferedReader reader = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
      return reader
          .lines()
          .map(String::strip)
          .filter(line -> !line.isEmpty() && !line.startsWith("#"))
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(resource, e);
    }
  }
}
