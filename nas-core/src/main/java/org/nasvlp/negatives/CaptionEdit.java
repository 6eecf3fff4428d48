package org.nasvlp.negatives;

import java.util.Objects;
import org.nasvlp.config.EditType;

/**
 * A hard negative caption and how it came about.
 *
 * @param caption the negative, as captions are tokenised
 * @param type what was changed
 * @param replaced the words of the true caption that were changed; of a swap, the part that came
 *     first
 * @param replacement what stands in their place; of a swap, the part that came second. An article
 *     that had to follow ("a" to "an") is in neither
 */
public record CaptionEdit(String caption, EditType type, String replaced, String replacement) {
  /** Checks that nothing is null. */
  public CaptionEdit {
    Objects.requireNonNull(caption, "caption");
    Objects.requireNonNull(type, "type");
    Objects.requireNonNull(replaced, "replaced");
    Objects.requireNonNull(replacement, "replacement");
  }
}
