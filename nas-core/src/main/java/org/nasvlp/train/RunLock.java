package org.nasvlp.train;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;
import org.nasvlp.distributed.Ranks;

/**
 * Keeps an output folder to one run at a time, by a lock on its file {@code lock}. The operating
 * system releases it when the process ends, however it does; the file stays.
 */
final class RunLock implements AutoCloseable {
  private final @Nullable FileChannel channel;

  private RunLock(@Nullable FileChannel channel) {
    this.channel = channel;
  }

  /** {@link #take(Path)} on rank 0, for all ranks. */
  static RunLock take(Path output, Ranks ranks) throws IOException {
    return ranks.isFirst() ? take(output) : new RunLock(null);
  }

  /**
   * Takes the lock of a folder, which is made if absent.
   *
   * @throws TrainingException if another run holds it, of this process or another
   * @throws IOException if folder or file cannot be made
   */
  static RunLock take(Path output) throws IOException {
    Files.createDirectories(output);
    FileChannel channel =
        FileChannel.open(
            output.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    try {
      if (isLocked(channel)) {
        return new RunLock(channel);
      }
      throw new TrainingException(
          output + " is in use by another run; choose another output or wait for it to end");
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  private static boolean isLocked(FileChannel channel) throws IOException {
    try {
      return channel.tryLock() != null;
    } catch (OverlappingFileLockException e) {
      // Held by this process: the same answer as for another one.
      return false;
    }
  }

  /** Releases the lock; a second time does nothing. */
  @Override
  public void close() throws IOException {
    if (channel != null) {
      channel.close();
    }
  }
}
