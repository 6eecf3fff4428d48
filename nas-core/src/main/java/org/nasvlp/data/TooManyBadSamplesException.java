package org.nasvlp.data;

import java.util.List;

/** More of the samples read were bad than {@code data.maxBadShare} allows. */
public class TooManyBadSamplesException extends RuntimeException {
  private static final int SHOWN = 10;

  private final List<String> examples;

  TooManyBadSamplesException(String message, List<String> examples) {
    super(message + list(examples));
    this.examples = List.copyOf(examples);
  }

  /** Up to 100 bad samples, each as {@code "sample: reason"}. */
  public List<String> examples() {
    return examples;
  }

  private static String list(List<String> examples) {
    StringBuilder text = new StringBuilder();
    for (String example : examples.subList(0, Math.min(SHOWN, examples.size()))) {
      text.append("\n  ").append(example);
    }
    if (examples.size() > SHOWN) {
      text.append("\n  … and more");
    }
    return text.toString();
  }
}
