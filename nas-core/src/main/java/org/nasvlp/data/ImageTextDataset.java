package org.nasvlp.data;

import java.io.IOException;
import java.nio.file.Path;
import org.nasvlp.data.source.DatasetOpener;
import org.nasvlp.data.source.DatasetOptions;

/**
 * A fixed list of image–caption pairs with random access. Implement it to train on data of your
 * own.
 */
public interface ImageTextDataset extends AutoCloseable {
  /** The number of pairs, bad ones included; at least 1, and the same at every call. */
  long size();

  /**
   * Reads and decodes a pair. Called by several threads at once. The same index must give the same
   * pair every time, or runs cannot be repeated.
   *
   * @param index from 0 to {@link #size()} − 1
   * @throws BadSampleException if this pair cannot be used; it is then skipped and counted
   * @throws IndexOutOfBoundsException for any other index
   * @throws IllegalStateException after {@link #close()}
   */
  ImageTextPair get(long index) throws BadSampleException;

  /**
   * Reads a pair's caption and image id alone. Data sets whose captions can be had without decoding
   * a picture override it; this one reads the whole pair. The answer is that of {@link #get},
   * except that a pair whose picture alone is bad may have one.
   *
   * @param index from 0 to {@link #size()} − 1
   * @throws BadSampleException if the caption or the image id cannot be read
   * @throws IndexOutOfBoundsException for any other index
   * @throws IllegalStateException after {@link #close()}
   */
  default ImageCaption caption(long index) throws BadSampleException {
    ImageTextPair pair = get(index);
    return new ImageCaption(pair.imageId(), pair.caption());
  }

  /**
   * A pair's image as a file of some format. Data sets that have it as such override it; this one
   * makes a PNG.
   *
   * @param index from 0 to {@link #size()} − 1
   * @throws BadSampleException if the image cannot be read
   * @throws IndexOutOfBoundsException for any other index
   * @throws IllegalStateException after {@link #close()}
   */
  default byte[] encodedImage(long index) throws BadSampleException {
    return get(index).image().png();
  }

  /** What messages call this data set, for example its file name. */
  String name();

  /** Releases files. Closing twice does nothing. */
  @Override
  default void close() {}

  /**
   * Opens a data set:
   *
   * <ul>
   *   <li>a WebDataset shard, a {@code .tar} (or {@code .tar.gz}, of which an uncompressed copy is
   *       made in the folder of temporary files) with {@code key.png}, {@code key.jpg} or {@code
   *       key.jpeg}, {@code key.txt} (the caption, UTF-8) and, if wanted, {@code key.json}, of
   *       which {@code image_id} (integer or string) is used;
   *   <li>a folder of such shards, taken in the order of their names, or a pattern of their names,
   *       {@code shards/{00000..00331}.tar} or {@code shards/{a,b}.tar};
   *   <li>a {@code .json} or {@code .jsonl} list of {@code {"image": path, "caption": string or
   *       list of strings, "image_id": optional}};
   *   <li>COCO's captions, a {@code .json} object with {@code images} ({@code id}, {@code
   *       file_name}) and {@code annotations} ({@code image_id}, {@code caption});
   *   <li>a Karpathy split, a {@code .json} object with {@code images} ({@code filepath} if it has
   *       one, {@code filename}, {@code split}, {@code sentences} with {@code raw}, {@code cocoid}
   *       or {@code imgid});
   *   <li>a {@code .csv} (RFC 4180) or {@code .tsv} (no quotes) table whose first line names the
   *       columns;
   *   <li>a mixture of data sets, a {@code .json} object {@code {"sources": [{"path": …, "weight":
   *       2}, …]}}: an epoch holds each pair of a source as often as its weight (1) says. Further
   *       fields of a source are {@code images}, {@code imageColumn}, {@code captionColumn} and
   *       {@code splits} of {@link DatasetOptions}; paths are relative to the file's folder
   *   <li>a folder that holds {@code captions.json}, {@code list.json} or the same as {@code
   *       .jsonl}.
   * </ul>
   *
   * <p>Image paths are relative to the list's folder, or to {@link DatasetOptions#images}. Without
   * an id an image's id is a hash of the shard's name and the key, or of the image's path. Pairs
   * that are already seen to be bad (a key without its partner, the place where a shard was cut
   * short, an entry of a wrong type) keep an index, and {@link #get} of it throws, so that they are
   * counted and listed with all others. The images of a Karpathy file's other splits are no pairs.
   *
   * @throws IOException if the path is not a data set or holds no usable pair, or if an option does
   *     not apply to its form; the message names the file
   */
  static ImageTextDataset open(Path path, DatasetOptions options) throws IOException {
    return DatasetOpener.open(path, options);
  }

  /**
   * Opens a data set as its own files describe it, as {@link #open(Path, DatasetOptions)} does.
   *
   * @param background RGB colour, {@code 0xRRGGBB}, behind transparent pixels
   * @throws IOException if the path is not a data set or holds no usable pair; the message names
   *     the file
   */
  static ImageTextDataset open(Path path, int background) throws IOException {
    return open(path, DatasetOptions.of(background));
  }
}
