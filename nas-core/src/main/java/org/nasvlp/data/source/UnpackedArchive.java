package org.nasvlp.data.source;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.apache.commons.compress.compressors.gzip.GzipCompressorInputStream;
import org.jspecify.annotations.Nullable;

/**
 * An archive's copy without its compression: a temporary file that its owner alone may read, and
 * that has no name any more once it is open, so that it goes with the process however that ends.
 */
final class UnpackedArchive implements ArchiveBytes {
  /** Bytes that a copy may have for each of the archive's. */
  private static final long MOST_RATIO = 100;

  /** Bytes up to which the ratio does not count: captions alone shrink by more. */
  private static final long FREE_OF_RATIO = 1L << 26;

  private static final long MOST_BYTES = 1L << 34;

  /** Bytes that are left free beside the copy. */
  private static final long SPARE = 1L << 26;

  private static final int BLOCK = 1 << 16;

  /** Bytes after which the free space is looked at again. */
  private static final int STRIDE = 1 << 24;

  private final Path file;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment bytes;

  /**
   * Makes the copy, in the folder of temporary files.
   *
   * @param most bytes that the copy may have; 0 for a hundred times the archive's, but 64 MiB at
   *     least and 16 GiB at most
   * @throws IOException naming the archive, if it is damaged, the copy is too large, or there is no
   *     space for it
   */
  UnpackedArchive(Path file, long most) throws IOException {
    this(file, most, SPARE);
  }

  /** The same with another number of bytes that are left free. */
  UnpackedArchive(Path file, long most, long spare) throws IOException {
    this.file = file;
    Path folder = Path.of(System.getProperty("java.io.tmpdir")).toAbsolutePath();
    long packed = Files.size(file);
    long limit = most > 0 ? most : Math.clamp(packed * MOST_RATIO, FREE_OF_RATIO, MOST_BYTES);
    try (FileChannel copy = unnamed(folder);
        InputStream in = decompressing()) {
      requireSpace(folder, packed, spare);
      byte[] block = new byte[BLOCK];
      long size = 0;
      for (int count = read(in, block); count >= 0; count = read(in, block)) {
        if (size / STRIDE != (size + count) / STRIDE) {
          requireSpace(folder, STRIDE, spare);
        }
        size += count;
        if (size > limit) {
          throw new IOException(
              ("%s: its %d bytes unpack to more than %d; if that is right, allow more with"
                      + " --max-unpacked (DatasetOptions.withMaxUnpackedBytes), or decompress it")
                  .formatted(file, packed, limit));
        }
        write(copy, ByteBuffer.wrap(block, 0, count), folder);
      }
      bytes = copy.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
    } catch (IOException | RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  private InputStream decompressing() throws IOException {
    InputStream in = new BufferedInputStream(Files.newInputStream(file), BLOCK);
    try {
      // The JDK's own takes garbage behind a member, another's damaged header too, for the end.
      return GzipCompressorInputStream.builder()
          .setInputStream(in)
          .setDecompressConcatenated(true)
          .get();
    } catch (IOException e) {
      in.close();
      throw damaged(e);
    }
  }

  private int read(InputStream in, byte[] block) throws IOException {
    try {
      return in.read(block);
    } catch (IOException e) {
      throw damaged(e);
    }
  }

  private IOException damaged(IOException cause) {
    return new IOException(
        file + ": damaged or cut short (" + cause.getMessage() + "); fetch the file again", cause);
  }

  private FileChannel unnamed(Path folder) throws IOException {
    try {
      Path copy = Files.createTempFile(folder, "nas-shard-", ".tar");
      // On Linux this unlinks it at once.
      return FileChannel.open(
          copy,
          StandardOpenOption.READ,
          StandardOpenOption.WRITE,
          StandardOpenOption.DELETE_ON_CLOSE);
    } catch (IOException e) {
      throw noSpace(folder, e.getMessage(), e);
    }
  }

  private void requireSpace(Path folder, long bytes, long spare) throws IOException {
    long free = Files.getFileStore(folder).getUsableSpace();
    if (free < spare || free - spare < bytes) {
      throw noSpace(folder, free + " bytes are free", null);
    }
  }

  private void write(FileChannel copy, ByteBuffer block, Path folder) throws IOException {
    try {
      while (block.hasRemaining()) {
        int _ = copy.write(block);
      }
    } catch (IOException e) {
      throw noSpace(folder, e.getMessage(), e);
    }
  }

  private IOException noSpace(Path folder, String why, @Nullable IOException cause) {
    return new IOException(
        "%s cannot be decompressed into %s (%s): free some space there, name another folder with"
                .formatted(file, folder, why)
            + " -Djava.io.tmpdir, or decompress the shards",
        cause);
  }

  @Override
  public long size() {
    return bytes.byteSize();
  }

  @Override
  public void read(ByteBuffer into, long at) {
    long count = Math.clamp(bytes.byteSize() - at, 0, into.remaining());
    if (count > 0) {
      into.put(bytes.asSlice(at, count).asByteBuffer());
    }
  }

  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
