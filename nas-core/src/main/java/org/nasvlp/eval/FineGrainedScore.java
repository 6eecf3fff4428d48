package org.nasvlp.eval;

/** The numbers of {@link AttributeScores} by name, with the decisions that each counts. */
public enum FineGrainedScore {
  /** See {@link AttributeScores#captionChoice}. */
  CAPTION_CHOICE,
  /** See {@link AttributeScores#imageChoice}. */
  IMAGE_CHOICE,
  /** See {@link AttributeScores#text}. */
  TEXT,
  /** See {@link AttributeScores#image}. */
  IMAGE,
  /** See {@link AttributeScores#group}. */
  GROUP;

  /** Share of right decisions, in [0, 1]. */
  public double share(AttributeScores scores) {
    return switch (this) {
      case CAPTION_CHOICE -> scores.captionChoice();
      case IMAGE_CHOICE -> scores.imageChoice();
      case TEXT -> scores.text();
      case IMAGE -> scores.image();
      case GROUP -> scores.group();
    };
  }

  /** Decisions on that many pairs: two of a pair for choices, one for the other scores. */
  public int decisions(int pairs) {
    return switch (this) {
      case CAPTION_CHOICE, IMAGE_CHOICE -> 2 * pairs;
      case TEXT, IMAGE, GROUP -> pairs;
    };
  }

  /** Right decisions. */
  public long right(AttributeScores scores) {
    return Math.round(share(scores) * decisions(scores.pairs()));
  }
}
