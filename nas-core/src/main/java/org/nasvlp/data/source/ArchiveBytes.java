package org.nasvlp.data.source;

import java.io.IOException;
import java.nio.ByteBuffer;

/** The bytes of an archive by position. Thread-safe. */
interface ArchiveBytes extends AutoCloseable {
  /** How many there are. */
  long size();

  /**
   * Reads bytes from a position on until the buffer is full or the archive ends.
   *
   * @throws IllegalStateException after {@link #close}
   */
  void read(ByteBuffer into, long at) throws IOException;

  /** Closing twice does nothing. */
  @Override
  void close() throws IOException;
}
