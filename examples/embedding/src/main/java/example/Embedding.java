package example;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.NasModel;
import org.nasvlp.train.NasTrainer;
import org.nasvlp.train.StepReport;
import org.nasvlp.train.TrainingListener;
import org.nasvlp.train.TrainingResult;
import org.nasvlp.train.TrainingStart;

/**
 * Pretrains a very small model inside a program, on a data set of the program's own, with a loss
 * and a listener of its own, and asks the model about a picture.
 */
final class Embedding {
  private static final String CONFIG =
      """
      {
        "preset": "tiny",
        "model": {"imageSize": 32, "patchSize": 8, "width": 48, "heads": 3, "imageLayers": 2,
                  "textLayers": 1, "fusionLayers": 1, "projection": 24},
        "dictionary": {"codewords": 32},
        "nva": {"neighbours": 8},
        "objective": {"queue": 0, "softTargets": 0},
        "optimizer": {"learningRate": 0.003},
        "data": {"batchSize": 24, "flip": false, "colorJitter": 0, "minCropScale": 0.9},
        "training": {"steps": 40, "evaluateEvery": 0, "checkpointEvery": 0}
      }
      """;

  private Embedding() {}

  /** Remembers the losses and prints some of them. */
  private static final class LossPrinter implements TrainingListener {
    private final List<Double> losses = new ArrayList<>();

    @Override
    public void onStart(TrainingStart start) {
      System.out.println(start.pairs() + " pairs, kernels: " + start.kernels());
    }

    @Override
    public void onStep(StepReport report) {
      losses.add(report.loss());
      if (report.step() == 1 || report.step() % 10 == 0) {
        System.out.printf(
            "step %d: loss %.3f, its own %.5f%n",
            report.step(), report.loss(), report.losses().get("cyclic"));
      }
    }

    double mean(int from, int to) {
      return losses.subList(from, to).stream().mapToDouble(Double::doubleValue).average().orElse(0);
    }
  }

  public static void main(String[] args) throws IOException, BadSampleException {
    Path folder = Files.createTempDirectory(Files.createDirectories(Path.of(args[0])), "run-");
    NasConfig config = NasConfig.fromJson(CONFIG, "the example's configuration");
    LossPrinter printer = new LossPrinter();
    try (ColouredShapes shapes = new ColouredShapes();
        CaptionTokenizer tokenizer =
            CaptionTokenizer.ofWords(ColouredShapes.words(), config.model().textTokens())) {
      TrainingResult result =
          NasTrainer.builder()
              .config(config)
              .dataset(shapes)
              .tokenizer(tokenizer)
              .output(folder.resolve("out"))
              .objective(new CyclicConsistency(0.25))
              .listener(printer)
              .build()
              .run();
      double before = printer.mean(0, 5);
      double after = printer.mean(printer.losses.size() - 5, printer.losses.size());
      System.out.printf("mean loss: first five steps %.3f, last five %.3f%n", before, after);
      if (!(after < before)) {
        throw new IllegalStateException("the loss did not fall");
      }
      ask(result.checkpoint(), shapes.get(0));
    }
    System.out.println("embedding works");
  }

  private static void ask(Path checkpoint, ImageTextPair pair) throws IOException {
    List<String> captions = List.of(pair.caption(), "a large black ring");
    try (NasModel model = NasModel.load(checkpoint)) {
      double[] match = model.score(pair.image(), captions);
      for (int i = 0; i < match.length; i++) {
        System.out.printf("%.3f  %s%n", match[i], captions.get(i));
      }
    }
  }
}
