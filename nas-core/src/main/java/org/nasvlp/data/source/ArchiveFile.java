package org.nasvlp.data.source;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** An archive that is read where it is. */
final class ArchiveFile implements ArchiveBytes {
  private final Path file;
  private final Object lock = new Object();
  private final long size;
  private FileChannel channel;
  private boolean closed;

  ArchiveFile(Path file) throws IOException {
    this.file = file;
    this.channel = FileChannel.open(file, StandardOpenOption.READ);
    this.size = channel.size();
  }

  @Override
  public long size() {
    return size;
  }

  @Override
  public void read(ByteBuffer into, long at) throws IOException {
    long start = at - into.position();
    // An interrupt in the middle of a read closes the channel for every thread.
    boolean interrupted = Thread.interrupted();
    try {
      boolean ended = false;
      while (into.hasRemaining() && !ended) {
        FileChannel open = channel();
        try {
          ended = open.read(into, start + into.position()) < 0;
        } catch (ClosedChannelException e) {
          interrupted |= Thread.interrupted();
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private FileChannel channel() throws IOException {
    synchronized (lock) {
      if (closed) {
        throw new IllegalStateException(file + " is closed");
      }
      if (!channel.isOpen()) {
        channel = FileChannel.open(file, StandardOpenOption.READ);
      }
      return channel;
    }
  }

  @Override
  public void close() throws IOException {
    synchronized (lock) {
      closed = true;
      channel.close();
    }
  }
}
