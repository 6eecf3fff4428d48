package org.nasvlp.spark;

import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.ChecksumException;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.security.AccessControlException;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;

/** Image files: read, and made fit for a shard. */
final class ImageFiles {
  /** Of a JPEG that is written again. */
  static final float JPEG_QUALITY = 0.9f;

  private static final long MAX_BYTES = 1L << 28;

  private ImageFiles() {}

  /**
   * The bytes of an image file.
   *
   * @throws BadSampleException if it will not be readable on another try either
   * @throws IOException if it may be
   */
  static byte[] read(String file, Configuration configuration)
      throws BadSampleException, IOException {
    try {
      Path path = new Path(file);
      FileSystem files = path.getFileSystem(configuration);
      FileStatus status = files.getFileStatus(path);
      if (!status.isFile()) {
        throw new BadSampleException(file, "is not an image file but a folder or the like");
      }
      checkSize(file, status.getLen());
      byte[] bytes = new byte[(int) status.getLen()];
      try (FSDataInputStream in = files.open(path)) {
        in.readFully(0, bytes);
      }
      return bytes;
    } catch (FileNotFoundException e) {
      throw new BadSampleException(file, "the image file does not exist", e);
    } catch (AccessControlException | ChecksumException | IllegalArgumentException e) {
      throw new BadSampleException(file, "cannot be read (" + e.getMessage() + ")", e);
    }
  }

  /** The bytes of an image column's value, which is a path or they themselves. */
  static byte[] bytes(@Nullable Object value, Configuration configuration)
      throws BadSampleException, IOException {
    if (value instanceof byte[] bytes) {
      checkSize("image", bytes.length);
      return bytes;
    }
    if (value == null) {
      throw new BadSampleException("image", "there is none");
    }
    return read((String) value, configuration);
  }

  private static void checkSize(String name, long size) throws BadSampleException {
    if (size > MAX_BYTES) {
      throw new BadSampleException(
          name, "has " + size + " bytes; images of up to " + MAX_BYTES + " are read");
    }
  }

  /**
   * The file that a shard gets: as it is if it is a PNG or JPEG and small enough, else a JPEG of a
   * JPEG, and a PNG of anything else.
   *
   * @param holds whether a shard can hold the file's form
   * @param shorterSide 0 for any size
   */
  static byte[] fit(byte[] file, String name, boolean holds, int shorterSide, int background)
      throws BadSampleException, IOException {
    if (holds && shorterSide == 0) {
      return file;
    }
    RgbImage image = RgbImage.decode(file, name, background);
    int shorter = Math.min(image.width(), image.height());
    boolean small = shorterSide == 0 || shorter <= shorterSide;
    if (small) {
      return holds ? file : image.png();
    }
    RgbImage shrunk =
        image.resize(
            scaled(image.width(), shorterSide, shorter),
            scaled(image.height(), shorterSide, shorter));
    return (file[0] & 0xFF) == 0xFF ? jpeg(shrunk) : shrunk.png();
  }

  private static int scaled(int side, int shorterSide, int shorter) {
    return (int) Math.round((double) side * shorterSide / shorter);
  }

  private static byte[] jpeg(RgbImage image) throws IOException {
    BufferedImage pixels =
        new BufferedImage(image.width(), image.height(), BufferedImage.TYPE_3BYTE_BGR);
    byte[] bgr = ((DataBufferByte) pixels.getRaster().getDataBuffer()).getData();
    byte[] rgb = image.rgb();
    for (int i = 0; i < rgb.length; i += 3) {
      bgr[i] = rgb[i + 2];
      bgr[i + 1] = rgb[i + 1];
      bgr[i + 2] = rgb[i];
    }
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (MemoryCacheImageOutputStream stream = new MemoryCacheImageOutputStream(out)) {
      ImageWriteParam how = writer.getDefaultWriteParam();
      how.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
      how.setCompressionQuality(JPEG_QUALITY);
      writer.setOutput(stream);
      writer.write(null, new IIOImage(pixels, null, null), how);
    } finally {
      writer.dispose();
    }
    return out.toByteArray();
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java runtime has SHA-256", e);
    }
  }
}
