package org.nasvlp.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import tools.jackson.databind.JsonNode;

/**
 * Checks that a file's weights mean here what they meant where they were trained. Shapes do not
 * tell heads, epsilon and activation: the configuration in the file or beside it does.
 */
final class WeightConfigCheck {
  private WeightConfigCheck() {}

  /**
   * @throws IOException naming each field that differs, and the remedy
   */
  static void check(ImportedFile of) throws IOException {
    if (of.file().names() != null) {
      checkTimm(of);
    } else if (of.kind() == WeightKind.MODEL) {
      checkExported(of);
    } else {
      checkPublished(of);
    }
    if (of.kind() == WeightKind.IMAGE) {
      checkPixels(of);
    }
  }

  /** Neither timm nor ALBEF writes these beside weights; what is told is what their code has. */
  private static void checkTimm(ImportedFile of) {
    ModelConfig config = of.config();
    int each = config.width() / config.heads();
    if (each != 64 || config.imageNormEps() != 1e-6) {
      of.note(
          "timm's ViTs have heads 64 wide and norms of epsilon 1e-6; here they are "
              + each
              + " wide (model.heads) and model.imageNormEps is "
              + config.imageNormEps());
    }
    if (of.kind() == WeightKind.MODEL) {
      if (config.textNormEps() != 1e-12) {
        of.note("ALBEF's BERT has norms of epsilon 1e-12, here " + config.textNormEps());
      }
      if (config.fusionPositions() != ModelConfig.FusionPositions.NONE) {
        of.note(
            "ALBEF's fusion encoder sees patch tokens as they are: it computes what it was trained"
                + " to with model.fusionPositions NONE; visual_norm starts as without weights");
      }
    }
  }

  private static void checkPublished(ImportedFile of) throws IOException {
    Path path = of.file().folder().resolve("config.json");
    if (!Files.isRegularFile(path)) {
      of.note(
          "there is no config.json beside it: heads, layer_norm_eps and activation could not be"
              + " checked");
      return;
    }
    boolean image = of.kind() == WeightKind.IMAGE;
    ModelConfig config = of.config();
    JsonNode found = WeightFile.json(path);
    List<String> faults = new ArrayList<>();
    List<String> types = image ? List.of("vit", "deit") : List.of("bert");
    String type = found.path("model_type").asString(types.getFirst());
    if (!types.contains(type)) {
      faults.add("model_type is " + type + ": only " + String.join(" and ", types) + " fit");
    }
    // What the file leaves out has the defaults of HuggingFace's configurations.
    int heads = found.path("num_attention_heads").asInt(12);
    if (heads != config.heads()) {
      faults.add(
          "num_attention_heads is "
              + heads
              + ", model.heads is "
              + config.heads()
              + ": set model.heads to "
              + heads);
    }
    String activation = found.path("hidden_act").asString("gelu");
    if (!activation.equals("gelu")) {
      faults.add(
          "hidden_act is "
              + activation
              + ": this model computes gelu by the error function only; take other weights");
    }
    String positions = found.path("position_embedding_type").asString("absolute");
    if (!positions.equals("absolute")) {
      faults.add("position_embedding_type is " + positions + ": only absolute fits");
    }
    double eps = found.path("layer_norm_eps").asDouble(1e-12);
    String field = image ? "model.imageNormEps" : "model.textNormEps";
    double own = image ? config.imageNormEps() : config.textNormEps();
    if (eps != own) {
      faults.add(
          "layer_norm_eps is "
              + eps
              + ", "
              + field
              + " is "
              + own
              + ": set "
              + field
              + " to "
              + eps);
    }
    if (!faults.isEmpty()) {
      throw new IOException(
          path + " does not fit the model's configuration: " + String.join("; ", faults));
    }
  }

  private static void checkPixels(ImportedFile of) throws IOException {
    Path path = of.file().folder().resolve("preprocessor_config.json");
    if (!Files.isRegularFile(path)) {
      return;
    }
    JsonNode found = WeightFile.json(path);
    for (String field : List.of("image_mean", "image_std")) {
      for (JsonNode value : found.path(field)) {
        if (value.asDouble(0.5) != 0.5) {
          of.note(
              "it was trained on pixels of another scale ("
                  + field
                  + " is "
                  + found.path(field)
                  + ", here 0.5): its features differ until training has adapted them");
          break;
        }
      }
    }
  }

  private static void checkExported(ImportedFile of) throws IOException {
    WeightFile file = of.file();
    String json = file.metadata().get(ModelFiles.CONFIG_METADATA);
    if (json == null) {
      json = file.beside("config.json");
    }
    if (json == null) {
      of.note("it carries no configuration: heads and norm epsilons could not be checked");
      return;
    }
    ModelConfig theirs;
    try {
      theirs = NasConfig.fromJson(json, file.path() + " (its configuration)").model();
    } catch (IllegalArgumentException e) {
      throw new IOException(e.getMessage(), e);
    }
    ModelConfig own = of.config();
    List<String> faults = new ArrayList<>();
    compare(faults, "model.heads", theirs.heads(), own.heads());
    compare(faults, "model.imageNormEps", theirs.imageNormEps(), own.imageNormEps());
    compare(faults, "model.textNormEps", theirs.textNormEps(), own.textNormEps());
    compare(faults, "model.fusionInput", theirs.fusionInput(), own.fusionInput());
    compare(faults, "model.fusionPositions", theirs.fusionPositions(), own.fusionPositions());
    if (!faults.isEmpty()) {
      throw new IOException(
          file.path()
              + " does not fit the model's configuration: "
              + String.join("; ", faults)
              + ": set the same values");
    }
  }

  private static void compare(List<String> faults, String field, Object theirs, Object own) {
    if (!theirs.equals(own)) {
      faults.add(field + " is " + theirs + " there and " + own + " here");
    }
  }
}
