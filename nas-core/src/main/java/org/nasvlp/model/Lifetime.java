package org.nasvlp.model;

import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * The time from a model's creation to its {@code close}, which waits for what is under way on other
 * threads; what begins later is refused.
 */
final class Lifetime {
  private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
  private boolean closed;

  /** A stretch in which the model stays open; ends on the thread that began it. */
  interface Use extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * @throws IllegalStateException if the model is closed
   */
  Use use() {
    lock.readLock().lock();
    if (closed) {
      lock.readLock().unlock();
      throw new IllegalStateException("the model is closed");
    }
    return lock.readLock()::unlock;
  }

  /**
   * @throws IllegalStateException if the model is closed
   */
  void check() {
    use().close();
  }

  /** Ends it and releases what the model holds, the first time. */
  void close(Runnable release) {
    lock.writeLock().lock();
    try {
      if (!closed) {
        closed = true;
        release.run();
      }
    } finally {
      lock.writeLock().unlock();
    }
  }
}
