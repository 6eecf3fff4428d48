package org.nasvlp.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.FileSums;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.checkpoint.TensorRange;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.internal.InputFiles;
import org.nasvlp.internal.Torch;

/** The files that a model's parts are kept in: a checkpoint's, and exported weights. */
final class ModelFiles {
  /** Under which an exported file carries its configuration and its tokenizer, as JSON. */
  static final String CONFIG_METADATA = "nas_config";

  static final String TOKENIZER_METADATA = "nas_tokenizer";

  private static final String CONFIG = "config.json";
  private static final String TOKENIZER = "tokenizer.json";
  private static final String PARAMETERS = "model.safetensors";

  private static final List<String> ALL =
      List.of(CONFIG, TOKENIZER, PARAMETERS, DictionaryFile.NAME);

  private ModelFiles() {}

  /**
   * Checks a checkpoint's files of the model against its list of sums.
   *
   * @throws IOException naming the file and the remedy, if one is missing or was changed
   */
  static void check(Path checkpoint) throws IOException {
    FileSums.check(checkpoint, ALL);
  }

  /** Lists the files of the model, which are complete, with their sums. */
  static void list(Path checkpoint) throws IOException {
    FileSums.add(checkpoint, ALL);
  }

  static NasConfig readConfig(Path checkpoint) throws IOException {
    Path file = checkpoint.resolve(CONFIG);
    return config(file, InputFiles.text(file));
  }

  private static NasConfig config(Path file, String json) throws IOException {
    try {
      return NasConfig.fromJson(json, file.toString());
    } catch (IllegalArgumentException e) {
      throw new IOException(e.getMessage(), e);
    }
  }

  static CaptionTokenizer readTokenizer(Path checkpoint, int textTokens) throws IOException {
    return CaptionTokenizer.load(checkpoint.resolve(TOKENIZER), textTokens);
  }

  static void write(Path checkpoint, NasConfig config, CaptionTokenizer tokenizer)
      throws IOException {
    Files.writeString(checkpoint.resolve(CONFIG), config.toJson());
    Files.writeString(checkpoint.resolve(TOKENIZER), tokenizer.json());
  }

  /**
   * Replaces all parameters by a checkpoint's; none if they do not fit or are not finite.
   *
   * @throws IOException naming file and parameter
   */
  static void readParameters(Path checkpoint, Parameters parameters) throws IOException {
    Path file = checkpoint.resolve(PARAMETERS);
    try (Arena arena = Arena.ofConfined()) {
      readParameters(file, Safetensors.read(file, arena), parameters);
    }
  }

  private static void readParameters(
      Path file, Map<String, Safetensors.Entry> found, Parameters parameters) throws IOException {
    Map<String, Tensor> own = parameters.byName();
    TreeSet<String> missing = new TreeSet<>(own.keySet());
    missing.removeAll(found.keySet());
    TreeSet<String> unexpected = new TreeSet<>(found.keySet());
    unexpected.removeAll(own.keySet());
    if (!missing.isEmpty() || !unexpected.isEmpty()) {
      throw new IOException(
          file + " holds another architecture: missing " + missing + ", unexpected " + unexpected);
    }
    for (var parameter : own.entrySet()) {
      Safetensors.Entry entry = found.get(parameter.getKey());
      long[] shape = Torch.shape(parameter.getValue());
      if (entry.type() != Safetensors.Type.F32 || !Arrays.equals(entry.shape(), shape)) {
        throw new IOException(
            file
                + " holds another architecture: "
                + parameter.getKey()
                + " is "
                + entry.type()
                + " "
                + Arrays.toString(entry.shape())
                + ", the model's is F32 "
                + Arrays.toString(shape));
      }
      TensorRange.FINITE.require(file, parameter.getKey(), entry);
    }
    for (var parameter : own.entrySet()) {
      Torch.copyInto(parameter.getValue(), found.get(parameter.getKey()).data());
    }
  }

  static void writeParameters(Path checkpoint, Parameters parameters) throws IOException {
    try (PointerScope scope = new PointerScope()) {
      Safetensors.write(checkpoint.resolve(PARAMETERS), tensors(parameters));
    }
  }

  /** The parameters by name: live memory on the host, else copies in the caller's scope. */
  private static Map<String, Safetensors.Entry> tensors(Parameters parameters) {
    Map<String, Safetensors.Entry> tensors = new TreeMap<>();
    for (var parameter : parameters.byName().entrySet()) {
      Tensor value = parameter.getValue();
      tensors.put(
          parameter.getKey(),
          new Safetensors.Entry(
              Safetensors.Type.F32, Torch.shape(value), Torch.segment(Torch.host(value))));
    }
    return tensors;
  }

  /**
   * Writes parameters, dictionary, configuration and tokenizer into one file: whole, or not at all.
   */
  static void export(
      Path file,
      Parameters parameters,
      VisualDictionary.@Nullable Saved dictionary,
      NasConfig config,
      CaptionTokenizer tokenizer)
      throws IOException {
    if (Files.exists(file)) {
      throw new FileAlreadyExistsException(
          file.toString(), null, "exists already; name another file, or remove this one");
    }
    Path target = file.toAbsolutePath();
    Path temporary = target.resolveSibling("." + target.getFileName() + ".writing");
    Files.createDirectories(temporary.getParent());
    Files.deleteIfExists(temporary);
    Map<String, String> metadata =
        Map.of(
            "format", "pt", CONFIG_METADATA, config.toJson(), TOKENIZER_METADATA, tokenizer.json());
    try (PointerScope scope = new PointerScope()) {
      Map<String, Safetensors.Entry> tensors = tensors(parameters);
      if (dictionary != null) {
        DictionaryFile.tensors(dictionary, config.dictionary().codewords(), config.model().width())
            .forEach((name, entry) -> tensors.put(DictionaryFile.PREFIX + name, entry));
      }
      Safetensors.write(temporary, tensors, metadata);
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  /**
   * An exported file while it is read.
   *
   * @param config the model's
   * @param tokenizer its tokenizer, as JSON
   * @param parameters tensors by name
   * @param dictionary tensors by name; empty if the file has none
   */
  record Exported(
      Path file,
      NasConfig config,
      String tokenizer,
      Map<String, Safetensors.Entry> parameters,
      Map<String, Safetensors.Entry> dictionary) {

    /**
     * Maps a file, for as long as the arena lives.
     *
     * @throws IOException naming the file, if it is damaged or not one that {@link #export} wrote
     */
    static Exported open(Path file, Arena arena) throws IOException {
      Safetensors.Contents contents = Safetensors.open(file, arena);
      String config = contents.metadata().get(CONFIG_METADATA);
      String tokenizer = contents.metadata().get(TOKENIZER_METADATA);
      if (config == null || tokenizer == null) {
        Path folder = file.toAbsolutePath().getParent();
        throw new IOException(
            file
                + " is not a model that nas export wrote: its metadata has no "
                + (config == null ? CONFIG_METADATA : TOKENIZER_METADATA)
                + (Files.exists(folder.resolve(CONFIG))
                    ? "; for the checkpoint give its folder " + folder
                    : "; a training may start from such weights with --weights, --image-weights"
                        + " or --text-weights"));
      }
      Map<String, Safetensors.Entry> parameters = new TreeMap<>();
      Map<String, Safetensors.Entry> dictionary = new TreeMap<>();
      contents
          .tensors()
          .forEach(
              (name, entry) -> {
                if (name.startsWith(DictionaryFile.PREFIX)) {
                  dictionary.put(name.substring(DictionaryFile.PREFIX.length()), entry);
                } else {
                  parameters.put(name, entry);
                }
              });
      return new Exported(file, ModelFiles.config(file, config), tokenizer, parameters, dictionary);
    }

    CaptionTokenizer readTokenizer() throws IOException {
      return CaptionTokenizer.of(file, tokenizer, config.model().textTokens());
    }

    /** {@link ModelFiles#readParameters} of this file. */
    void readParameters(Parameters into) throws IOException {
      ModelFiles.readParameters(file, parameters, into);
    }
  }
}
