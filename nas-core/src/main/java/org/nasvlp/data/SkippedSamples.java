package org.nasvlp.data;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * How many distinct samples a {@link BatchLoader} has read for the batches it has handed out, and
 * which of them were bad. A sample read in several epochs counts once. Thread-safe.
 */
public final class SkippedSamples {
  private static final int MAX_EXAMPLES = 100;

  private final BitSet read = new BitSet();
  private final BitSet bad = new BitSet();
  private final List<String> examples = new ArrayList<>();
  private long readCount;
  private long badCount;

  SkippedSamples() {}

  /** Distinct samples read, good or bad. */
  public synchronized long read() {
    return readCount;
  }

  /** Distinct samples that were bad. */
  public synchronized long skipped() {
    return badCount;
  }

  /** The first 100 bad samples, each as {@code "sample: reason"}, in the order of the batches. */
  public synchronized List<String> examples() {
    return List.copyOf(examples);
  }

  synchronized void good(int index) {
    countRead(index);
  }

  synchronized void bad(int index, String message) {
    countRead(index);
    if (!bad.get(index)) {
      bad.set(index);
      badCount++;
      if (examples.size() < MAX_EXAMPLES) {
        examples.add(message);
      }
    }
  }

  synchronized LoaderState state(long firstStep, long truncatedCaptions) {
    return new LoaderState(
        firstStep, read.toByteArray(), bad.toByteArray(), examples, truncatedCaptions);
  }

  synchronized void restore(LoaderState state) {
    read.clear();
    read.or(BitSet.valueOf(state.read()));
    bad.clear();
    bad.or(BitSet.valueOf(state.bad()));
    readCount = read.cardinality();
    badCount = bad.cardinality();
    examples.clear();
    examples.addAll(state.examples());
  }

  private void countRead(int index) {
    if (!read.get(index)) {
      read.set(index);
      readCount++;
    }
  }
}
