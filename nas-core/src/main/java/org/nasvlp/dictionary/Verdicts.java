package org.nasvlp.dictionary;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nasvlp.kernels.Codebook;
import org.nasvlp.kernels.Verdict;

/** The verdicts on a codebook's enqueued calls, asked together. For one thread. */
final class Verdicts implements AutoCloseable {
  private final Codebook codebook;
  private final Deque<Verdict> idle = new ArrayDeque<>();
  private final List<Verdict> given = new ArrayList<>();

  Verdicts(Codebook codebook) {
    this.codebook = codebook;
  }

  /** A verdict for the next call. */
  Verdict next() {
    Verdict verdict = idle.isEmpty() ? codebook.verdict() : idle.pop();
    given.add(verdict);
    return verdict;
  }

  /** Asks all verdicts given so far; throws what the first bad one says. */
  void check() {
    RuntimeException first = null;
    for (Verdict verdict : given) {
      first = ask(verdict, first);
      idle.push(verdict);
    }
    given.clear();
    if (first != null) {
      throw first;
    }
  }

  private static @Nullable RuntimeException ask(Verdict verdict, @Nullable RuntimeException first) {
    if (!verdict.isPending()) {
      return first; // its call was refused
    }
    try {
      verdict.check();
      return first;
    } catch (RuntimeException e) {
      if (first == null) {
        return e;
      }
      first.addSuppressed(e);
      return first;
    }
  }

  /** Frees the verdicts; what they would have said of calls no longer matters. */
  @Override
  public void close() {
    try {
      check();
    } catch (RuntimeException e) {
      // The dictionary is going away, and nobody has asked for the results.
    } finally {
      idle.forEach(Verdict::close);
      idle.clear();
    }
  }
}
