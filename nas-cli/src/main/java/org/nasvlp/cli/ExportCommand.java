package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.model.NasModel;
import org.nasvlp.onnx.OnnxExport;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code nas export}. */
@Command(
    name = "export",
    description = {
      "Writes a checkpoint as one safetensors file or as ONNX graphs.",
      "With --out the names are HuggingFace's, behind image_encoder., text_encoder. and"
          + " fusion_encoder.; nas train --weights reads the file, and so does whatever asks for a"
          + " --checkpoint.",
      "With --onnx ONNX Runtime and others run the model without LibTorch: docs/using-a-model.md."
    })
final class ExportCommand implements Callable<Integer> {
  private final Shell shell;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      defaultValue = "runs/demo",
      description =
          "A run's folder, one of its checkpoints, or a file of nas export (default:"
              + " ${DEFAULT-VALUE}).")
  private Path checkpoint;

  @Option(
      names = "--average",
      description =
          "Write the moving average of the parameters, which a run with momentum encoders or"
              + " training.evaluateAverage keeps, in their place.")
  private boolean average;

  @ArgGroup(multiplicity = "1")
  private Form form;

  private static final class Form {
    @Option(
        names = "--out",
        paramLabel = "FILE",
        required = true,
        description = "The file of safetensors to write; must not exist.")
    private @Nullable Path out;

    @Option(
        names = "--onnx",
        paramLabel = "DIR",
        required = true,
        description =
            "The folder to write image-encoder.onnx, text-encoder.onnx, matcher.onnx and"
                + " tokenizer.json into; must not exist, or be empty.")
    private @Nullable Path onnx;
  }

  ExportCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    try (NasModel model = NasModel.load(checkpoint)) {
      if (average) {
        model.readAverage(checkpoint);
      }
      if (form.onnx != null) {
        for (Path file : OnnxExport.write(model, form.onnx).files()) {
          shell.out().println("%s: %s bytes".formatted(file, Text.count(Files.size(file))));
        }
      }
      if (form.out != null) {
        model.exportWeights(form.out);
        shell
            .out()
            .println(
                "%s: %d tensors, %s values"
                    .formatted(
                        form.out,
                        model.parameters().byName().size(),
                        Text.count(model.parameters().count())));
      }
    }
    return 0;
  }
}
