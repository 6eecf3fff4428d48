package example;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.model.NasModel;

/**
 * Finds pictures for a caption: contrast finds candidates in a Lucene index, matching orders them.
 *
 * <p>Arguments: a model, a folder of pictures, a caption.
 */
final class Search {
  /** White, where a picture is transparent. */
  private static final int BACKGROUND = 0xFFFFFF;

  /** How many pictures are encoded at a time. */
  private static final int BATCH = 64;

  private Search() {}

  public static void main(String[] args) throws IOException, BadSampleException {
    Path pictures = Path.of(args[1]);
    try (NasModel model = NasModel.load(Path.of(args[0]));
        PictureIndex index = index(model, pictures, pictures.resolve("lucene"))) {
      for (Found found : find(model, index, args[2], 50).stream().limit(10).toList()) {
        System.out.printf("%.3f  %.3f  %s%n", found.match, found.cosine, found.path);
      }
    }
  }

  /** Encodes all PNG and JPEG files of a folder. */
  static PictureIndex index(NasModel model, Path pictures, Path folder)
      throws IOException, BadSampleException {
    List<Path> paths;
    try (var files = Files.list(pictures)) {
      paths = files.filter(file -> file.toString().matches(".*\\.(png|jpe?g)")).sorted().toList();
    }
    float[][] embeddings = new float[paths.size()][];
    for (int from = 0; from < paths.size(); from += BATCH) {
      List<RgbImage> images = read(paths.subList(from, Math.min(paths.size(), from + BATCH)));
      System.arraycopy(model.encodeImage(images), 0, embeddings, from, images.size());
    }
    return PictureIndex.write(folder, paths, embeddings);
  }

  /** A picture that was found, with the probability that the caption matches it. */
  record Found(Path path, double cosine, double match, double score) {}

  /** The candidates that contrast finds, by the sum of both logits. */
  static List<Found> find(NasModel model, PictureIndex index, String caption, int candidates)
      throws IOException, BadSampleException {
    float[] query = model.encodeText(List.of(caption))[0];
    List<PictureIndex.Hit> hits = index.nearest(query, candidates);
    List<RgbImage> images = read(hits.stream().map(PictureIndex.Hit::path).toList());
    int[] each = IntStream.range(0, hits.size()).toArray();
    double[] logits = model.itmScorer().score(images, List.of(caption), each, new int[hits.size()]);
    List<Found> found = new ArrayList<>();
    for (int i = 0; i < logits.length; i++) {
      PictureIndex.Hit hit = hits.get(i);
      double score = hit.cosine() / model.temperature() + logits[i];
      found.add(new Found(hit.path(), hit.cosine(), 1 / (1 + Math.exp(-logits[i])), score));
    }
    found.sort(Comparator.comparingDouble(Found::score).reversed());
    return found;
  }

  private static List<RgbImage> read(List<Path> paths) throws BadSampleException {
    List<RgbImage> images = new ArrayList<>();
    for (Path path : paths) {
      images.add(RgbImage.read(path, BACKGROUND));
    }
    return images;
  }
}
