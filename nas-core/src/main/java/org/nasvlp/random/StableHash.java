package org.nasvlp.random;

import java.nio.charset.StandardCharsets;

/** A 64-bit hash of text that never changes between runs or versions of Java. */
public final class StableHash {
  private StableHash() {}

  /** FNV-1a over the UTF-8 bytes, then the finaliser of MurmurHash3. */
  public static long of(String text) {
    return of(text.getBytes(StandardCharsets.UTF_8));
  }

  /** The same of a text's UTF-8 bytes. */
  public static long of(byte[] utf8) {
    long hash = 0xcbf29ce484222325L;
    for (byte b : utf8) {
      hash = (hash ^ (b & 0xFF)) * 0x100000001b3L;
    }
    hash = (hash ^ hash >>> 33) * 0xff51afd7ed558ccdL;
    hash = (hash ^ hash >>> 33) * 0xc4ceb9fe1a85ec53L;
    return hash ^ hash >>> 33;
  }
}
