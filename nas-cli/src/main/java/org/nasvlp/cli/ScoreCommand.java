package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.model.NasModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code nas score}. */
@Command(
    name = "score",
    description = {
      "Tells how well captions fit a picture.",
      "match: probability that caption and picture belong together (ITM); cosine: similarity of"
          + " their embeddings (ITC)."
    })
final class ScoreCommand implements Callable<Integer> {
  private final Shell shell;

  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "IMAGE", description = "A PNG or JPEG file.")
  private Path image;

  @Parameters(index = "1..*", arity = "1..*", paramLabel = "CAPTION", description = "A caption.")
  private List<String> captions;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      defaultValue = "runs/demo",
      description = "A run's folder or one of its checkpoints (default: ${DEFAULT-VALUE}).")
  private Path checkpoint;

  @Mixin private DeviceOption device;

  @Option(names = "--json", description = "Print JSON instead of a table.")
  private boolean json;

  ScoreCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException, BadSampleException {
    for (String caption : captions) {
      if (caption.isBlank()) {
        throw new ParameterException(spec.commandLine(), "A caption is blank");
      }
    }
    try (NasModel model = NasModel.load(checkpoint, device.orCpu())) {
      RgbImage picture = RgbImage.read(image, model.config().data().background());
      double[] match = model.score(picture, captions);
      float[] imageEmbedding = model.encodeImage(List.of(picture))[0];
      float[][] captionEmbeddings = model.encodeText(captions);
      double[] cosine = new double[captions.size()];
      for (int i = 0; i < cosine.length; i++) {
        cosine[i] = dot(imageEmbedding, captionEmbeddings[i]);
      }
      shell.out().print(json ? json(match, cosine) : table(match, cosine));
      shell.out().flush();
      Path folder = image.getParent();
      shell.suggest(
          "search",
          captions.getFirst(),
          "--images",
          folder == null ? "." : folder.toString(),
          "--checkpoint",
          checkpoint.toString());
    }
    return 0;
  }

  private static double dot(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
  }

  private String table(double[] match, double[] cosine) {
    StringBuilder table =
        new StringBuilder(String.format(Locale.ROOT, "%7s %8s  caption%n", "match", "cosine"));
    for (int i = 0; i < match.length; i++) {
      table.append(
          String.format(Locale.ROOT, "%7.4f %8.4f  %s%n", match[i], cosine[i], captions.get(i)));
    }
    return table.toString();
  }

  private String json(double[] match, double[] cosine) {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("image", image.toString());
    root.put("checkpoint", checkpoint.toString());
    var scores = root.putArray("scores");
    for (int i = 0; i < match.length; i++) {
      scores
          .addObject()
          .put("caption", captions.get(i))
          .put("match", match[i])
          .put("cosine", cosine[i]);
    }
    return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
  }
}
