package org.nasvlp.internal;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/** Reads files that anyone may have written: regular ones alone, and no more than is said. */
public final class InputFiles {
  /** Bytes of a text that is read whole, where its reader names no other number. */
  public static final int MAX_TEXT_BYTES = 1 << 28;

  private InputFiles() {}

  /**
   * Refuses what a reader could wait for without end, or read without end.
   *
   * @return the file's size in bytes
   * @throws java.nio.file.NoSuchFileException if there is no such file
   * @throws IOException naming the file, if it is a folder, a pipe or a device
   */
  public static long requireRegular(Path file) throws IOException {
    BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
    if (!attributes.isRegularFile()) {
      throw new IOException(
          "%s: is %s, not a regular file; name a file, or copy what it gives into one"
              .formatted(file, attributes.isDirectory() ? "a folder" : "a pipe or a device"));
    }
    return attributes.size();
  }

  /** The same, and refuses a file of more bytes than are read. */
  public static void requireRegular(Path file, long most) throws IOException {
    long size = requireRegular(file);
    if (size > most) {
      throw new IOException(
          "%s: has %d bytes; up to %d are read: is it the right file?".formatted(file, size, most));
    }
  }

  /** The text of a file of up to {@link #MAX_TEXT_BYTES}. */
  public static String text(Path file) throws IOException {
    return text(file, MAX_TEXT_BYTES);
  }

  /**
   * The text of a file.
   *
   * @param most bytes that are read
   * @throws java.nio.file.NoSuchFileException if there is no such file
   * @throws IOException naming the file, if it is not regular, is larger or is not UTF-8
   */
  public static String text(Path file, int most) throws IOException {
    requireRegular(file, most);
    byte[] bytes = Files.readAllBytes(file);
    ByteBuffer in = ByteBuffer.wrap(bytes);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(in).toString();
    } catch (CharacterCodingException e) {
      int line = 1;
      for (int i = 0; i < in.position(); i++) {
        line += bytes[i] == '\n' ? 1 : 0;
      }
      throw notUtf8(file + ": line " + line, e);
    }
  }

  /**
   * What is thrown for text that is not UTF-8.
   *
   * @param where file, and line where it is known
   */
  public static IOException notUtf8(String where, CharacterCodingException cause) {
    return new IOException(
        where + " is not UTF-8 text; convert it (iconv -f ENCODING -t UTF-8)", cause);
  }
}
