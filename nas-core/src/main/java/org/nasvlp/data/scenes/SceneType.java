package org.nasvlp.data.scenes;

import java.util.Locale;

/** The one respect in which two scenes of a pair, and their captions, differ. */
public enum SceneType {
  /** Left for right, above for below, inside for outside, in front of for behind. */
  RELATION,
  /** A thing on the left of the picture, on its right, at its top or at its bottom. */
  PLACE,
  /** A cat to the left of a dog, a dog to the left of a cat. */
  ROLE,
  /** A red circle and a blue square, a blue circle and a red square. */
  BINDING,
  /** A color for another. */
  COLOR,
  /** One more or one less. */
  COUNT,
  /** Which of two things is the large one. */
  SIZE,
  /** A thing for another. */
  OBJECT,
  /** A thing that is there, and one that is not. */
  PRESENCE;

  /** Its name in files and tables, which is the emoji's where both have the type. */
  public String label() {
    return this == COLOR ? "colour" : name().toLowerCase(Locale.ROOT);
  }
}
