package org.nasvlp.data;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.nasvlp.data.text.CaptionTokenizer;

/** Images, archives and a tokenizer for the tests. */
public final class Fixtures {
  public static final int WHITE = 0xFFFFFF;

  private Fixtures() {}

  /** The resource's words have these ids. */
  public static final int PAD = 0;

  public static final int UNK = 1;
  public static final int CLS = 2;
  public static final int SEP = 3;
  public static final int MASK = 4;
  public static final int A = 5;
  public static final int RED = 6;
  public static final int DOG = 8;

  public static Path tokenizerFile() {
    try {
      return Path.of(Fixtures.class.getResource("/data/tokenizer.json").toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  public static CaptionTokenizer tokenizer() {
    try {
      return CaptionTokenizer.load(tokenizerFile(), 8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** A picture in which no two neighbours are equal. */
  public static BufferedImage pattern(int width, int height, int type) {
    BufferedImage image = new BufferedImage(width, height, type);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        image.setRGB(
            x, y, 0xFF000000 + ((x * 7 % 256) << 16) + ((y * 5 % 256) << 8) + (x + y) % 256);
      }
    }
    return image;
  }

  public static byte[] encode(BufferedImage image, String format) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      if (!ImageIO.write(image, format, out)) {
        throw new IllegalStateException("no writer for " + format);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }

  public static byte[] png(int rgb) {
    BufferedImage image = new BufferedImage(4, 4, BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < 16; i++) {
      image.setRGB(i % 4, i / 4, rgb);
    }
    return encode(image, "png");
  }

  /** A PNG built from raw chunks: {@code name, data, name, data, …}. */
  public static byte[] pngOf(Object... chunks) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'});
    for (int i = 0; i < chunks.length; i += 2) {
      byte[] type = ((String) chunks[i]).getBytes(StandardCharsets.ISO_8859_1);
      byte[] data = (byte[]) chunks[i + 1];
      CRC32 crc = new CRC32();
      crc.update(type);
      crc.update(data);
      out.writeBytes(bigEndian(data.length));
      out.writeBytes(type);
      out.writeBytes(data);
      out.writeBytes(bigEndian((int) crc.getValue()));
    }
    return out.toByteArray();
  }

  public static byte[] bigEndian(int value) {
    return new byte[] {
      (byte) (value >> 24), (byte) (value >> 16), (byte) (value >> 8), (byte) value
    };
  }

  public static byte[] header(int width, int height, int depth, int colourType) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(bigEndian(width));
    out.writeBytes(bigEndian(height));
    out.writeBytes(new byte[] {(byte) depth, (byte) colourType, 0, 0, 0});
    return out.toByteArray();
  }

  /** Builds an archive in memory. */
  public static final class Tar {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final TarArchiveOutputStream out = new TarArchiveOutputStream(bytes, 512, "UTF-8");

    public Tar() {
      out.setLongFileMode(TarArchiveOutputStream.LONGFILE_POSIX);
      out.setAddPaxHeadersForNonAsciiNames(true);
    }

    public Tar add(String name, byte[] data) {
      try {
        TarArchiveEntry entry = new TarArchiveEntry(name, true);
        entry.setSize(data.length);
        out.putArchiveEntry(entry);
        out.write(data);
        out.closeArchiveEntry();
        return this;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    public Tar add(String name, String text) {
      return add(name, utf8(text));
    }

    public Tar pair(String key, int rgb, String caption) {
      return add(key + ".png", png(rgb)).add(key + ".txt", caption);
    }

    public Tar link(String name, String target) {
      try {
        TarArchiveEntry entry = new TarArchiveEntry(name, TarConstants.LF_SYMLINK);
        entry.setLinkName(target);
        out.putArchiveEntry(entry);
        out.closeArchiveEntry();
        return this;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    /** The archive so far, without an end mark. */
    public byte[] open() {
      try {
        out.flush();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      return bytes.toByteArray();
    }

    public byte[] bytes() {
      try {
        out.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      return bytes.toByteArray();
    }

    public Path write(Path file) throws IOException {
      return Files.write(file, bytes());
    }
  }
}
