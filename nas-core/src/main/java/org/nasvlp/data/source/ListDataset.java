package org.nasvlp.data.source;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageCaption;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.random.StableHash;
import tools.jackson.databind.JsonNode;

/**
 * A list of images in a folder with their captions. Symbolic links inside the folder are followed;
 * paths that lead out of it are refused. Thread-safe.
 */
final class ListDataset implements ImageTextDataset {
  private static final int SHOWN = 10;

  private final Path file;
  private final Path root;
  private final int background;
  private final ListReader.Naming naming;
  private final PairTable pairs;
  private volatile boolean closed;

  private ListDataset(
      Path file, Path root, int background, ListReader.Naming naming, PairTable pairs) {
    this.file = file;
    this.root = root;
    this.background = background;
    this.naming = naming;
    this.pairs = pairs;
  }

  static ListDataset open(Path file, DatasetOptions options) throws IOException {
    @Nullable Path images = options.images();
    if (images != null && !Files.isDirectory(images)) {
      throw new IOException(images + " is no folder; it should hold the images of " + file);
    }
    Path root =
        images == null
            ? file.toAbsolutePath().normalize().getParent()
            : images.toAbsolutePath().normalize();
    ListReader reader = new ListReader(file, root, options);
    PairTable pairs = reader.read();
    if (IntStream.range(0, pairs.size()).allMatch(pairs::isBad)) {
      IOException nothing =
          DatasetOpener.nothingUsable(
              file,
              "images with captions",
              IntStream.range(0, Math.min(SHOWN, pairs.size()))
                  .mapToObj(i -> bad(pairs, i).getMessage())
                  .toList());
      pairs.close();
      throw nothing;
    }
    return new ListDataset(file, root, options.background(), reader.naming(), pairs);
  }

  private static BadSampleException bad(PairTable pairs, int pair) {
    return new BadSampleException(pairs.badSample(pair), pairs.badReason(pair));
  }

  @Override
  public long size() {
    return pairs.size();
  }

  @Override
  public String name() {
    return file.toString();
  }

  @Override
  public ImageTextPair get(long index) throws BadSampleException {
    int pair = usable(index);
    String path = pairs.path(pair);
    String sample =
        naming.sample(file.getFileName().toString(), pairs.entry(pair), pairs.part(pair));
    String name = sample + " (" + path + ")";
    RgbImage image = RgbImage.decode(RgbImage.readFile(root.resolve(path), name), name, background);
    int turn = pairs.turn(pair);
    return new ImageTextPair(
        turn == 0 ? path : path + "#" + turn, pairs.imageId(pair), image, pairs.caption(pair));
  }

  @Override
  public byte[] encodedImage(long index) throws BadSampleException {
    String path = pairs.path(usable(index));
    return RgbImage.readFile(root.resolve(path), file + " (" + path + ")");
  }

  @Override
  public ImageCaption caption(long index) throws BadSampleException {
    int pair = usable(index);
    return new ImageCaption(pairs.imageId(pair), pairs.caption(pair));
  }

  private int usable(long index) throws BadSampleException {
    int pair = (int) Objects.checkIndex(index, (long) pairs.size());
    if (closed) {
      throw new IllegalStateException(file + " is closed");
    }
    if (pairs.isBad(pair)) {
      throw bad(pairs, pair);
    }
    return pair;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      pairs.close();
    }
  }

  /** An {@code image_id}: an integer as it is, a string by its hash. */
  static long imageId(JsonNode id, String sample) throws BadSampleException {
    if (id.isIntegralNumber() && id.canConvertToLong()) {
      return id.longValue();
    }
    if (id.isString()) {
      return StableHash.of(id.stringValue());
    }
    throw new BadSampleException(
        sample, "\"image_id\" is " + ListReader.kind(id) + "; an integer or a string is needed");
  }
}
