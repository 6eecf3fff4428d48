package org.nasvlp.spark;

import java.io.BufferedOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.util.HexFormat;

/** Counts and digests what is written to a file. */
final class Tally extends FilterOutputStream {
  private final MessageDigest digest = ImageFiles.sha256();
  private long bytes;

  Tally(OutputStream file) {
    super(new BufferedOutputStream(file, 1 << 16));
  }

  @Override
  public void write(int b) throws IOException {
    out.write(b);
    digest.update((byte) b);
    bytes++;
  }

  @Override
  public void write(byte[] from, int offset, int length) throws IOException {
    out.write(from, offset, length);
    digest.update(from, offset, length);
    bytes += length;
  }

  long bytes() {
    return bytes;
  }

  /** In hexadecimal; begins anew. */
  String sha256() {
    return HexFormat.of().formatHex(digest.digest());
  }
}
