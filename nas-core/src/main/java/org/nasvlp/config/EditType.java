package org.nasvlp.config;

/** What a hard negative caption changes about the true one. */
public enum EditType {
  /** A noun for a related one: "dog" to "cat". */
  NOUN,
  /** An adjective or material for its contrary: "open" to "closed". */
  ADJECTIVE,
  /** An action or posture for another: "sitting" to "standing". */
  VERB,
  /** A spatial relation for its contrary: "in front of" to "behind". */
  RELATION,
  /** A count, an ordinal or an hour of the clock. */
  NUMBER,
  /** A color. */
  COLOR,
  /** A size. */
  SIZE,
  /** Left, right, up, down and the like. */
  DIRECTION,
  /** A person's or figure's gender. */
  GENDER,
  /** A skin tone. */
  TONE,
  /** A person's or animal's age. */
  AGE,
  /** Colour or kind of hair. */
  HAIR,
  /** A word for one that a masked language model proposes. */
  WORD,
  /** Two nouns exchanged. */
  NOUN_SWAP,
  /** Two attributes of one kind exchanged between their nouns. */
  ADJECTIVE_SWAP,
  /** Subject and object exchanged around a relation. */
  ROLE_SWAP;

  /** Whether two parts of the caption are exchanged, so that no word is new. */
  public boolean isSwap() {
    return this == NOUN_SWAP || this == ADJECTIVE_SWAP || this == ROLE_SWAP;
  }
}
