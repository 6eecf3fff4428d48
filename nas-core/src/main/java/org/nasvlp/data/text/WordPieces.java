package org.nasvlp.data.text;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;

/** Words as pieces, and the choice of the pieces that make them shortest. */
final class WordPieces {
  private static final int NONE = -1;

  /** Two neighbouring pieces, by their ids. */
  private record Pair(int left, int right) {}

  /**
   * A piece that could be added.
   *
   * @param saving pieces that the captions would have fewer
   * @param token its text
   * @param pair what is joined; of {@link #NONE} for a whole word
   * @param word the whole word; {@link #NONE} for a pair
   */
  private record Candidate(long saving, String token, Pair pair, int word) {}

  private static final Pair NO_PAIR = new Pair(NONE, NONE);

  private static final Comparator<Candidate> BEST_FIRST =
      Comparator.comparingLong(Candidate::saving)
          .reversed()
          .thenComparingInt(Candidate::word)
          .thenComparing(Candidate::token)
          .thenComparingInt(candidate -> candidate.pair().left());

  private final Map<List<String>, Long> counted = new HashMap<>();

  private final Map<String, Integer> ids = new LinkedHashMap<>();
  private final List<String> tokens = new ArrayList<>();
  private final List<List<Integer>> words = new ArrayList<>();
  private final List<Long> counts = new ArrayList<>();
  private final Map<Pair, Long> pairs = new HashMap<>();
  private final Map<Pair, Set<Integer>> wordsOf = new HashMap<>();
  private final PriorityQueue<Candidate> queue = new PriorityQueue<>(BEST_FIRST);

  /** Counts a word, given as its characters with {@code ##} before all but the first. */
  void add(List<String> characters, long count) {
    if (!characters.isEmpty()) {
      counted.merge(characters, count, Long::sum);
    }
  }

  /**
   * Chooses pieces.
   *
   * @param alphabet the first of them; holds the words' characters
   * @param size how many there may be
   * @return the alphabet and what was chosen, in the order of choice
   */
  List<String> train(List<String> alphabet, int size) {
    alphabet.forEach(this::id);
    Map<String, List<String>> sorted = new TreeMap<>();
    counted.keySet().forEach(characters -> sorted.put(text(characters), characters));
    for (List<String> characters : sorted.values()) {
      words.add(List.of());
      counts.add(counted.getOrDefault(characters, 0L));
      change(words.size() - 1, characters.stream().map(this::id).toList());
    }
    pairs.keySet().forEach(this::offer);
    while (tokens.size() < size && !queue.isEmpty()) {
      Candidate best = queue.remove();
      if (best.saving() != saving(best)) {
        continue;
      }
      int id = id(best.token());
      if (best.word() != NONE) {
        change(best.word(), List.of(id)).forEach(this::offer);
      } else {
        Set<Pair> changed = new HashSet<>();
        for (int word : List.copyOf(wordsOf.getOrDefault(best.pair(), Set.of()))) {
          changed.addAll(change(word, joined(words.get(word), best.pair(), id)));
        }
        changed.forEach(this::offer);
      }
    }
    return tokens;
  }

  private static String text(List<String> pieces) {
    StringBuilder text = new StringBuilder();
    for (String piece : pieces) {
      text.append(text.isEmpty() ? piece : piece.substring(2));
    }
    return text.toString();
  }

  private int id(String token) {
    Integer known = ids.putIfAbsent(token, tokens.size());
    if (known != null) {
      return known;
    }
    tokens.add(token);
    return tokens.size() - 1;
  }

  private long saving(Candidate candidate) {
    return candidate.word() == NONE
        ? pairs.getOrDefault(candidate.pair(), 0L)
        : counts.get(candidate.word()) * (words.get(candidate.word()).size() - 1);
  }

  private void offer(Pair pair) {
    long saving = pairs.getOrDefault(pair, 0L);
    if (saving > 0) {
      String joined = tokens.get(pair.left()) + tokens.get(pair.right()).substring(2);
      queue.add(new Candidate(saving, joined, pair, NONE));
    }
  }

  /** Gives a word other pieces; returns the pairs whose counts may be others then. */
  private Set<Pair> change(int word, List<Integer> pieces) {
    long count = counts.get(word);
    Set<Pair> changed = new HashSet<>();
    for (Pair pair : pairsOf(words.get(word))) {
      pairs.computeIfPresent(pair, (of, all) -> all == count ? null : all - count);
      wordsOf.computeIfPresent(pair, (of, all) -> all.remove(word) && all.isEmpty() ? null : all);
      changed.add(pair);
    }
    words.set(word, pieces);
    for (Pair pair : pairsOf(pieces)) {
      pairs.merge(pair, count, Long::sum);
      wordsOf.computeIfAbsent(pair, of -> new HashSet<>()).add(word);
      changed.add(pair);
    }
    if (pieces.size() > 1) {
      String whole = text(pieces.stream().map(tokens::get).toList());
      queue.add(new Candidate(count * (pieces.size() - 1), whole, NO_PAIR, word));
    }
    return changed;
  }

  private static List<Pair> pairsOf(List<Integer> pieces) {
    List<Pair> all = new ArrayList<>();
    for (int i = 1; i < pieces.size(); i++) {
      all.add(new Pair(pieces.get(i - 1), pieces.get(i)));
    }
    return all;
  }

  private static List<Integer> joined(List<Integer> pieces, Pair pair, int id) {
    List<Integer> result = new ArrayList<>();
    for (int i = 0; i < pieces.size(); i++) {
      boolean here =
          i + 1 < pieces.size()
              && pieces.get(i) == pair.left()
              && pieces.get(i + 1) == pair.right();
      result.add(here ? id : pieces.get(i));
      i += here ? 1 : 0;
    }
    return List.copyOf(result);
  }
}
