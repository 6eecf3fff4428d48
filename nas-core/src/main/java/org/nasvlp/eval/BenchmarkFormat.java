package org.nasvlp.eval;

import java.util.Arrays;
import java.util.stream.Collectors;

/** The published fine-grained benchmarks whose files {@link PublishedBenchmark} reads. */
public enum BenchmarkFormat {
  /** ARO's Visual Genome Relation (arXiv 2210.01936): the order of subject and object. */
  ARO_RELATION("aro-relation", "ARO VG-Relation", Task.CAPTION_CHOICE),
  /** ARO's Visual Genome Attribution (arXiv 2210.01936): two attributes exchanged. */
  ARO_ATTRIBUTION("aro-attribution", "ARO VG-Attribution", Task.CAPTION_CHOICE),
  /**
   * ARO's COCO-Order (arXiv 2210.01936): a caption of COCO's test split and four orders of its
   * words.
   */
  COCO_ORDER("coco-order", "ARO COCO-Order", Task.ORDER),
  /** ARO's Flickr30k-Order: the same over Flickr30k's test split. */
  FLICKR30K_ORDER("flickr30k-order", "ARO Flickr30k-Order", Task.ORDER),
  /** Winoground (arXiv 2204.03162): two images, two captions of the same words. */
  WINOGROUND("winoground", "Winoground", Task.PAIR),
  /** VALSE (arXiv 2112.07566): a caption and its foil, by instrument (its file). */
  VALSE("valse", "VALSE", Task.CAPTION_CHOICE),
  /** SugarCrepe (arXiv 2306.14610): hard negative captions without telling artefacts. */
  SUGARCREPE("sugarcrepe", "SugarCrepe", Task.CAPTION_CHOICE),
  /** SVO-Probes (arXiv 2106.09141): a sentence and two images, by the part that differs. */
  SVO_PROBES("svo-probes", "SVO-Probes", Task.IMAGE_CHOICE),
  /** VL-CheckList (arXiv 2207.00221): a caption and one with a word replaced. */
  VL_CHECKLIST("vl-checklist", "VL-CheckList", Task.CAPTION_CHOICE),
  /** SugarCrepe++ (arXiv 2406.11171): two captions that say the same, and a wrong one. */
  SUGARCREPE_PP("sugarcrepe-pp", "SugarCrepe++", Task.TWO_RIGHT),
  /**
   * Cola's multi-object set (arXiv 2305.03689): two images, two captions of the same attributes.
   */
  COLA("cola", "Cola", Task.PAIR),
  /** ComVG (arXiv 2211.13854): a sentence and two images, by the part that differs. */
  COMVG("comvg", "ComVG", Task.IMAGE_CHOICE),
  /** What'sUp (arXiv 2310.19785): captions that differ in a preposition. */
  WHATS_UP("whatsup", "What'sUp", Task.SEVERAL),
  /** ColorSwap (arXiv 2402.04492): two images, two captions with colours exchanged. */
  COLORSWAP("colorswap", "ColorSwap", Task.PAIR),
  /** MMVP-VLM (arXiv 2401.06209): two images that CLIP takes for alike, and a statement of each. */
  MMVP_VLM("mmvp-vlm", "MMVP-VLM", Task.PAIR),
  /** NegBench's multiple choice (arXiv 2501.09425): four captions, some of them negated. */
  NEGBENCH("negbench", "NegBench", Task.SEVERAL),
  /** CREPE (arXiv 2212.07796): a caption and its hard negatives. */
  CREPE("crepe", "CREPE", Task.SEVERAL),
  /** BiVLC (arXiv 2406.09952): SugarCrepe with an image of each wrong caption. */
  BIVLC("bivlc", "BiVLC", Task.PAIR),
  /** CountBench (arXiv 2302.12066): a caption with its number, and with eight others. */
  COUNTBENCH("countbench", "CountBench", Task.SEVERAL),
  /** VSR (arXiv 2205.00363): whether a caption says truly how two things lie. */
  VSR("vsr", "VSR", Task.MATCH);

  /** What a model has to choose. */
  public enum Task {
    /** One image and two captions, the first of them right; chance 1/2. */
    CAPTION_CHOICE,
    /** One image and five captions, the first of them right; chance 1/5. */
    ORDER,
    /** One image and several captions, as many as the item has, the first of them right. */
    SEVERAL,
    /** One image and three captions, of which the first two are right; chance 1/3. */
    TWO_RIGHT,
    /** Two images, the first of them right, and one caption; chance 1/2. */
    IMAGE_CHOICE,
    /**
     * One image and one caption, which belong together or do not ({@link BenchmarkItem#matches}).
     * Only a match's log-odds ({@code itm}) say so: other scores have no threshold.
     */
    MATCH,
    /**
     * Two images and two captions, the first of each together and the second of each: text, image
     * and group score; chance 1/4, 1/4 and 1/6.
     */
    PAIR;

    int images() {
      return this == IMAGE_CHOICE || this == PAIR ? 2 : 1;
    }

    /** How many captions an item has. */
    int captions(BenchmarkItem item) {
      return switch (this) {
        case IMAGE_CHOICE, MATCH -> 1;
        case CAPTION_CHOICE, PAIR -> 2;
        case TWO_RIGHT -> 3;
        case ORDER -> 5;
        case SEVERAL -> item.captions().size();
      };
    }
  }

  private final String id;
  private final String title;
  private final Task task;

  BenchmarkFormat(String id, String title, Task task) {
    this.id = id;
    this.title = title;
    this.task = task;
  }

  /** The name on the command line, for example {@code aro-relation}. */
  public String id() {
    return id;
  }

  /** The name in tables. */
  public String title() {
    return title;
  }

  /** What a model has to choose. */
  public Task task() {
    return task;
  }

  /**
   * Fewest items of a category that tables show a percentage of and average over. VG-Attribution
   * has thousands of pairs of attributes, and its authors average over those with at least 25
   * items.
   */
  public int leastItems() {
    return this == ARO_ATTRIBUTION ? 25 : LargeTypes.LEAST_PAIRS;
  }

  /**
   * Whether scores of a way are of use: to tell true captions from false ones only log-odds of a
   * match ({@code itm}) are.
   */
  public boolean scoredBy(String way) {
    return task != Task.MATCH || way.equals("itm");
  }

  /** Whether the authors' own average leaves smaller categories out as well. */
  boolean averagesLargeOnly() {
    return this == ARO_ATTRIBUTION;
  }

  /**
   * The format of a name.
   *
   * @throws IllegalArgumentException for another name; the message lists them all
   */
  public static BenchmarkFormat of(String id) {
    for (BenchmarkFormat format : values()) {
      if (format.id.equals(id)) {
        return format;
      }
    }
    throw new IllegalArgumentException(
        "there is no benchmark '%s'; there are %s"
            .formatted(
                id,
                Arrays.stream(values())
                    .map(BenchmarkFormat::id)
                    .collect(Collectors.joining(", "))));
  }
}
