package org.nasvlp.kernels.internal;

import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.StampedLock;

/**
 * A read-write lock, not reentrant, that allocates nothing for readers. A StampedLock alone lets a
 * stream of readers pass a waiting writer for ever, so writers close a gate in front of it first.
 */
public final class SharedLock {
  private final ReentrantLock gate = new ReentrantLock();
  private final StampedLock lock = new StampedLock();

  /** Waits for writers; the stamp goes to {@link #endRead}. */
  @SuppressWarnings("LockNotBeforeTry") // nothing happens between: this only waits for the gate
  public long beginRead() {
    if (gate.isLocked()) {
      gate.lock();
      gate.unlock();
    }
    return lock.readLock();
  }

  /** Ends what {@link #beginRead} began. */
  public void endRead(long stamp) {
    lock.unlockRead(stamp);
  }

  /** Holds new readers off and waits for the others; the stamp goes to {@link #endWrite}. */
  public long beginWrite() {
    gate.lock();
    return lock.writeLock();
  }

  /** Ends what {@link #beginWrite} began, on the same thread. */
  public void endWrite(long stamp) {
    lock.unlockWrite(stamp);
    gate.unlock();
  }
}
