package org.nasvlp.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.StringJoiner;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.eval.BenchmarkFormat;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.eval.PublishedBenchmark;

/** Benchmarks over {@link Shapes}. */
final class ShapesBenchmarks {
  private ShapesBenchmarks() {}

  /** Two pairs of a red and a blue shape. */
  static FineGrainedBenchmark pairs(Path folder) throws IOException {
    StringJoiner json = new StringJoiner(",", "[", "]");
    for (String rest : new String[] {"square left", "bar right"}) {
      json.add(
          """
          {"attribute": "colour", "a": {"key": "red-%s", "caption": "red %s"},
           "b": {"key": "blue-%s", "caption": "blue %s"}}
          """
              .formatted(rest.replace(' ', '-'), rest, rest.replace(' ', '-'), rest));
    }
    Path file = Files.writeString(folder.resolve("pairs.json"), json.toString());
    return FineGrainedBenchmark.load(file, new Shapes());
  }

  /**
   * Four items in SugarCrepe's form, whose negative captions are all "green frame right".
   *
   * @param pictures folder that the pictures are written to
   * @param readable how many of the four there are
   */
  static PublishedBenchmark published(Path folder, Path pictures, int readable) throws IOException {
    Shapes shapes = new Shapes();
    StringJoiner items = new StringJoiner(",", "{", "}");
    try {
      for (int i = 0; i < 4; i++) {
        String name = i + ".png";
        if (i < readable) {
          Files.write(pictures.resolve(name), shapes.encodedImage(i));
        }
        items.add(
            """
            "%d": {"filename": "%s", "caption": "%s", "negative_caption": "green frame right"}
            """
                .formatted(i, name, shapes.get(i).caption()));
      }
    } catch (BadSampleException e) {
      throw new AssertionError(e);
    }
    Path file = Files.writeString(folder.resolve("replace_att.json"), items.toString());
    return PublishedBenchmark.read(BenchmarkFormat.SUGARCREPE, file);
  }
}
