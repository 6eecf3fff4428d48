package example;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.scenes.SceneData;
import org.nasvlp.data.scenes.SceneOptions;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.NasModel;
import org.nasvlp.onnx.OnnxExport;
import org.nasvlp.train.NasTrainer;

/**
 * Trains a small model for a moment, writes it as graphs, and asks whether {@link Score} finds what
 * the model does: DIR, into which {@code model/} and {@code picture.png} are put.
 */
final class Check {
  private static final int WHITE = 0xFFFFFF;

  private Check() {}

  public static void main(String[] args) throws Exception {
    Path folder = Path.of(args[0]);
    Path data = folder.resolve("data");
    SceneData.write(new SceneOptions(200, 4, 32, 1, null, 0, 1 << 30), data, _ -> {});
    NasConfig config =
        NasConfig.preset("tiny")
            .withModel(
                model ->
                    model
                        .imageSize(32)
                        .patchSize(8)
                        .width(48)
                        .heads(3)
                        .imageLayers(2)
                        .textLayers(1)
                        .fusionLayers(1)
                        .projection(24))
            .withDictionary(dictionary -> dictionary.codewords(48))
            .withData(batches -> batches.batchSize(32))
            .withTraining(training -> training.steps(10).evaluateEvery(0).checkpointEvery(0));
    Path picture = folder.resolve("picture.png");
    try (ImageTextDataset pairs = ImageTextDataset.open(data.resolve("train.tar"), WHITE);
        CaptionTokenizer tokenizer =
            CaptionTokenizer.load(data.resolve("tokenizer.json"), config.model().textTokens())) {
      Files.write(picture, pairs.get(0).image().png());
      Path checkpoint =
          NasTrainer.builder()
              .config(config)
              .dataset(pairs)
              .tokenizer(tokenizer)
              .output(folder.resolve("run"))
              .build()
              .run()
              .checkpoint();
      try (NasModel model = NasModel.load(checkpoint)) {
        OnnxExport.write(model, folder.resolve("model"));
        requireSame(model, folder, picture);
      }
    }
  }

  private static void requireSame(NasModel model, Path folder, Path picture) throws Exception {
    List<String> captions = List.of("a red circle", "a blue square to the left of a green star");
    double[] expected = model.match(List.of(RgbImage.read(picture, WHITE)), captions)[0];
    PrintStream out = System.out;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
    try {
      Score.main(
          new String[] {
            folder.resolve("model").toString(), picture.toString(), captions.get(0), captions.get(1)
          });
    } finally {
      System.setOut(out);
    }
    List<String> lines = printed.toString(StandardCharsets.UTF_8).lines().toList();
    for (int i = 0; i < captions.size(); i++) {
      String[] found = lines.get(i).split("  ", 2);
      if (!found[1].equals(captions.get(i))
          || Math.abs(Double.parseDouble(found[0]) - expected[i]) > 1e-4) {
        throw new IllegalStateException("%s, the model %f".formatted(lines.get(i), expected[i]));
      }
    }
    System.out.println("ONNX Runtime finds what the model does");
  }
}
