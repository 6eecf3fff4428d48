package org.nasvlp.report;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Patches that codewords stand for, as pictures within a text. */
final class PatchSamples {
  private final @Nullable LearnedDictionary dictionary;
  private final int patches;
  private final int cell;
  private final Map<Integer, LearnedDictionary.Codeword> codewords = new HashMap<>();

  /**
   * @param dictionary null where no patches are known
   * @param patches of a codeword at most
   * @param cell pixels of a patch with its surroundings
   */
  PatchSamples(@Nullable LearnedDictionary dictionary, int patches, int cell) {
    this.dictionary = dictionary;
    this.patches = patches;
    this.cell = cell;
    if (dictionary != null) {
      dictionary.codewords().forEach(codeword -> codewords.put(codeword.code(), codeword));
    }
  }

  boolean has(int code) {
    return codewords.containsKey(code);
  }

  void write(Html html, int code) {
    LearnedDictionary.Codeword codeword = codewords.get(code);
    if (dictionary == null || codeword == null) {
      return;
    }
    List<LearnedDictionary.Place> places =
        codeword.places().subList(0, Math.min(patches, codeword.places().size()));
    html.single(
        "img",
        "class",
        "strip",
        "src",
        Picture.shortUri(PatchStrip.of(dictionary, places, cell)),
        "alt",
        "patches of codeword " + code,
        "title",
        "codeword " + code);
  }
}
