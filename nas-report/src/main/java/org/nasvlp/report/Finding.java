package org.nasvlp.report;

/**
 * One thing that often goes wrong in a training, and whether it does in a run.
 *
 * @param level how bad it is
 * @param subject what was looked at
 * @param figure what was found
 * @param threshold beyond what it is worth a look or a problem
 * @param remedy what to do; empty where nothing is to be done
 */
public record Finding(Level level, String subject, String figure, String threshold, String remedy) {
  /** How bad a finding is. */
  public enum Level {
    /** Nothing learned this way is worth much. */
    PROBLEM,
    /** Worth a look. */
    WARNING,
    /** What it should be. */
    FINE,
    /** The run's folder does not tell. */
    UNKNOWN;

    /** For people. */
    public String label() {
      return switch (this) {
        case PROBLEM -> "problem";
        case WARNING -> "look";
        case FINE -> "fine";
        case UNKNOWN -> "not known";
      };
    }
  }
}
