package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.nasvlp.model.NasModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code nas export}. */
@Command(
    name = "export",
    description = {
      "Writes a checkpoint's weights into one safetensors file.",
      "The names are HuggingFace's, behind image_encoder., text_encoder. and fusion_encoder.; nas"
          + " train --weights reads the file."
    })
final class ExportCommand implements Callable<Integer> {
  private final Shell shell;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      defaultValue = "runs/demo",
      description = "A run's folder or one of its checkpoints (default: ${DEFAULT-VALUE}).")
  private Path checkpoint;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      required = true,
      description = "The file to write; must not exist.")
  private Path out;

  ExportCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    try (NasModel model = NasModel.load(checkpoint)) {
      model.exportWeights(out);
      shell
          .out()
          .println(
              "%s: %d tensors, %s values"
                  .formatted(
                      out,
                      model.parameters().byName().size(),
                      Text.count(model.parameters().count())));
    }
    return 0;
  }
}
