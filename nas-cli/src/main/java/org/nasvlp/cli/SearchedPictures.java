package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.source.DatasetOptions;

/**
 * Pictures that a search looks through: the files below a folder, or the pictures of a data set.
 * Their keys change when a file does, so that a kept embedding is never another picture's.
 */
final class SearchedPictures implements AutoCloseable {
  private static final List<String> ENDINGS =
      List.of(".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp");

  private final Path path;
  private final int background;
  private final @Nullable ImageTextDataset dataset;

  /** What is shown of each key: a file's path, or a pair's key. */
  private final Map<String, String> names = new LinkedHashMap<>();

  /** The places of a data set's pictures. */
  private final Map<String, Long> places = new LinkedHashMap<>();

  private SearchedPictures(Path path, int background, @Nullable ImageTextDataset dataset) {
    this.path = path;
    this.background = background;
    this.dataset = dataset;
  }

  /**
   * Lists the pictures.
   *
   * @throws CommandFailure if there is none
   */
  static SearchedPictures open(Path path, int background) throws IOException {
    SearchedPictures pictures = Files.isDirectory(path) ? files(path, background) : null;
    if (pictures == null || pictures.names.isEmpty()) {
      if (pictures != null && isEmptyOfData(path)) {
        throw new CommandFailure(
            path + ": holds no picture (" + String.join(", ", ENDINGS) + ") and no data set");
      }
      pictures = ofDataset(path, background);
    }
    return pictures;
  }

  private static boolean isEmptyOfData(Path folder) throws IOException {
    try (Stream<Path> children = Files.list(folder)) {
      return children.noneMatch(
          child -> child.toString().matches("(?i).*\\.(tar|tar\\.gz|tgz|json|jsonl|csv|tsv)"));
    }
  }

  private static SearchedPictures files(Path folder, int background) throws IOException {
    SearchedPictures pictures = new SearchedPictures(folder, background, null);
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path file : all.filter(SearchedPictures::isPicture).sorted().toList()) {
        BasicFileAttributes about = Files.readAttributes(file, BasicFileAttributes.class);
        if (about.isRegularFile()) {
          String name = folder.relativize(file).toString();
          pictures.names.put(
              about.size() + " " + about.lastModifiedTime().toMillis() + " " + name, name);
        }
      }
    }
    return pictures;
  }

  private static boolean isPicture(Path file) {
    Path name = file.getFileName();
    if (name == null || name.toString().startsWith(".")) {
      return false;
    }
    String lower = name.toString().toLowerCase(Locale.ROOT);
    return ENDINGS.stream().anyMatch(lower::endsWith);
  }

  private static SearchedPictures ofDataset(Path path, int background) throws IOException {
    ImageTextDataset dataset = ImageTextDataset.open(path, DatasetOptions.of(background));
    SearchedPictures pictures = new SearchedPictures(path, background, dataset);
    String stamp = Files.exists(path) ? Files.getLastModifiedTime(path).toMillis() + " " : "";
    Set<Long> images = new HashSet<>();
    for (long i = 0; i < dataset.size(); i++) {
      try {
        if (images.add(dataset.caption(i).imageId())) {
          String key = stamp + i;
          pictures.names.put(key, "pair " + i);
          pictures.places.put(key, i);
        }
      } catch (BadSampleException e) {
        // A pair without a caption is a picture all the same.
        pictures.names.put(stamp + i, "pair " + i);
        pictures.places.put(stamp + i, i);
      }
    }
    return pictures;
  }

  /** The keys of all pictures. */
  Set<String> keys() {
    return names.keySet();
  }

  /** What a picture is called: the path of its file, or its number and caption in the data set. */
  String name(String key) {
    String name = names.getOrDefault(key, key);
    Long place = places.get(key);
    if (dataset == null || place == null) {
      return name;
    }
    try {
      return name + ": " + dataset.caption(place).caption();
    } catch (BadSampleException e) {
      return name;
    }
  }

  /** Reads a picture. */
  RgbImage read(String key) throws BadSampleException {
    Long place = places.get(key);
    return dataset == null || place == null
        ? RgbImage.read(path.resolve(names.get(key)), background)
        : dataset.get(place).image();
  }

  @Override
  public void close() {
    if (dataset != null) {
      dataset.close();
    }
  }
}
