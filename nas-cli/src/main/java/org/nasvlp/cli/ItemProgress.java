package org.nasvlp.cli;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;

/** Tells on stderr, twenty times at most, how much of some work is done. Thread-safe. */
final class ItemProgress implements LongConsumer {
  private static final int PARTS = 20;

  private final Shell shell;
  private final String items;
  private final long all;
  private final AtomicLong told = new AtomicLong();

  /**
   * @param items what is counted, for example "pairs"
   */
  ItemProgress(Shell shell, String items, long all) {
    this.shell = shell;
    this.items = items;
    this.all = all;
  }

  @Override
  public void accept(long done) {
    long part = done * PARTS / all;
    if (told.getAndAccumulate(part, Math::max) < part) {
      shell.err().println("%d of %d %s".formatted(done, all, items));
    }
  }
}
