package org.nasvlp.cli;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;

/** How much of some work is done, as one line that a terminal shows in place; else nothing. */
final class TerminalProgress implements LongConsumer, AutoCloseable {
  private final Shell shell;
  private final String items;
  private final long all;
  private final AtomicLong told = new AtomicLong(-1);

  /**
   * @param items what is counted, for example "items"
   */
  TerminalProgress(Shell shell, String items, long all) {
    this.shell = shell;
    this.items = items;
    this.all = Math.max(1, all);
  }

  @Override
  public void accept(long done) {
    long percent = 100 * done / all;
    if (told.getAndAccumulate(percent, Math::max) < percent) {
      show(
          shell, "%s of %s %s, %d %%".formatted(Text.count(done), Text.count(all), items, percent));
    }
  }

  /** Shows a line in place of the one before. */
  static void show(Shell shell, String line) {
    int width = shell.columns() - 1;
    if (width > 0) {
      String cut = line.length() > width ? line.substring(0, width) : line;
      shell.err().print("\r" + " ".repeat(width) + "\r" + cut);
      shell.err().flush();
    }
  }

  /** Takes the line away. */
  @Override
  public void close() {
    show(shell, "");
  }
}
