package org.nasvlp.onnx;

import ai.onnx.proto.OnnxMl.ModelProto;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.NasModel;

/**
 * Writes a model as three ONNX graphs, which ONNX Runtime and others run without this library:
 *
 * <ul>
 *   <li>{@code image-encoder.onnx}: {@code pixels} (images x 3 x S x S float32, RGB, (p / 255 -
 *       0.5) / 0.5) to {@code embedding} (images x p, of length 1), {@code image_tokens} (images x
 *       (1 + N) x d, for the matcher) and {@code codes} (images x N int64, the nearest codewords);
 *   <li>{@code text-encoder.onnx}: {@code input_ids} and {@code attention_mask} (captions x length
 *       int64) to {@code embedding} (captions x p, of length 1) and {@code text_states} (captions x
 *       length x d, zeros at padding);
 *   <li>{@code matcher.onnx}: {@code image_tokens}, {@code text_states} and {@code attention_mask}
 *       to {@code logit} and {@code probability} of each pair; one image for all captions, one
 *       caption for all images, or as many of both.
 * </ul>
 *
 * <p>All values are float32, whatever precision the model computes in, and the operators those of
 * opset {@value OnnxGraph#OPSET}. Weights have the names of the model's parameters; matrices of a
 * linear map are transposed, and {@code .transposed} then ends the name. Each file says in its
 * metadata how the model is used: {@code image_size}, {@code mean}, {@code std}, {@code background}
 * (RGB behind transparent pixels), {@code caption_length} (tokens at most), the ids {@code pad_id},
 * {@code cls_id} and {@code sep_id}, {@code temperature} of the contrast, {@code config} (JSON) and
 * {@code fingerprint} ({@link NasModel#fingerprint}). The tokenizer lies beside them as {@code
 * tokenizer.json}.
 *
 * <p>Codes are decided in float32 here and exactly in {@link NasModel}: where two codewords are
 * almost equally near to a patch token, the graph may name the other.
 */
public final class OnnxExport {
  /** What the graphs are named, as parameters of the model are. */
  static final String DICTIONARY = "visual_dictionary";

  static final String CODEWORDS = DICTIONARY + ".codewords";
  static final String FUSION_POSITIONS = "fusion_encoder.positions";

  /** What a file of protobuf may have at most, less what is small. */
  private static final long MOST_BYTES = Integer.MAX_VALUE - (64L << 20);

  private OnnxExport() {}

  /**
   * What was written.
   *
   * @param imageEncoder from pixels to embeddings and tokens
   * @param textEncoder from token ids to embeddings and states
   * @param matcher from both to probabilities
   * @param tokenizer the HuggingFace tokenizer
   */
  public record Written(Path imageEncoder, Path textEncoder, Path matcher, Path tokenizer) {
    /** The four files. */
    public List<Path> files() {
      return List.of(imageEncoder, textEncoder, matcher, tokenizer);
    }
  }

  /**
   * Writes the graphs and the tokenizer. The folder appears whole or not at all. The model must not
   * be trained or closed meanwhile.
   *
   * @param directory to make; must not exist, or be empty
   * @throws FileAlreadyExistsException if the folder is there already and not empty
   * @throws IOException if it cannot be written, or a graph would be larger than ONNX files can be
   *     (2 GiB)
   * @throws IllegalStateException if the dictionary has not been started, or the model is closed
   */
  public static Written write(NasModel model, Path directory) throws IOException {
    return write(model, directory, MOST_BYTES);
  }

  /**
   * @param mostBytes of a graph's weights
   */
  static Written write(NasModel model, Path directory, long mostBytes) throws IOException {
    Path target = directory.toAbsolutePath().normalize();
    requireEmpty(directory, target);
    Path part = target.resolveSibling("." + target.getFileName() + ".part");
    delete(part);
    try {
      Files.createDirectories(part);
      write(model, part, directory, mostBytes);
      Files.deleteIfExists(target);
      Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      delete(part);
    }
    return files(directory);
  }

  private static Written files(Path directory) {
    return new Written(
        directory.resolve("image-encoder.onnx"),
        directory.resolve("text-encoder.onnx"),
        directory.resolve("matcher.onnx"),
        directory.resolve("tokenizer.json"));
  }

  /**
   * A graph to write.
   *
   * @param prefix of the parameters that it holds, all but small ones
   */
  private record Part(Path file, String prefix, Consumer<OnnxGraph> build) {
    void write(Path named, Map<String, Tensor> parameters, Map<String, String> metadata, long most)
        throws IOException {
      long bytes =
          parameters.entrySet().stream()
              .filter(parameter -> parameter.getKey().startsWith(prefix))
              .mapToLong(parameter -> parameter.getValue().nbytes())
              .sum();
      if (bytes > most) {
        throw new IOException(
            "%s would have %d bytes of weights, and an ONNX file may have no more than %d; nas export"
                    .formatted(named.resolve(file.getFileName()), bytes, most)
                + " --out FILE writes them into one file of safetensors");
      }
      ModelProto onnx;
      try (PointerScope scope = new PointerScope()) {
        OnnxGraph graph = new OnnxGraph(prefix, parameters);
        build.accept(graph);
        onnx = graph.model(metadata);
      }
      try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file))) {
        onnx.writeTo(out);
      }
    }
  }

  private static void write(NasModel model, Path into, Path named, long mostBytes)
      throws IOException {
    ModelConfig config = model.config().model();
    Tensor codewords = model.dictionary().codewords();
    Map<String, Tensor> parameters = new HashMap<>(model.parameters().byName());
    if (model.config().model().fusionPositions() == ModelConfig.FusionPositions.SINE_COSINE) {
      parameters.put(FUSION_POSITIONS, model.network().fusionPositions());
    }
    parameters.put(CODEWORDS, codewords);
    Map<String, String> metadata = metadata(model);
    Written files = files(into);
    for (Part part :
        List.of(
            new Part(
                files.imageEncoder(),
                "image_encoder",
                graph -> ImageEncoderGraph.build(graph, config, codewords)),
            new Part(
                files.textEncoder(),
                "text_encoder",
                graph -> TextEncoderGraph.build(graph, config)),
            new Part(
                files.matcher(), "fusion_encoder", graph -> MatcherGraph.build(graph, config)))) {
      part.write(named, parameters, metadata, mostBytes);
    }
    Files.writeString(files.tokenizer(), model.tokenizer().json());
  }

  private static Map<String, String> metadata(NasModel model) {
    NasConfig config = model.config();
    CaptionTokenizer tokenizer = model.tokenizer();
    Map<String, String> metadata = new TreeMap<>();
    metadata.put("image_size", Integer.toString(config.model().imageSize()));
    metadata.put("mean", "0.5,0.5,0.5");
    metadata.put("std", "0.5,0.5,0.5");
    metadata.put("background", "#%06X".formatted(config.data().background()));
    metadata.put("caption_length", Integer.toString(config.model().textTokens()));
    metadata.put("pad_id", Integer.toString(tokenizer.padId()));
    metadata.put("cls_id", Integer.toString(tokenizer.clsId()));
    metadata.put("sep_id", Integer.toString(tokenizer.sepId()));
    metadata.put("temperature", Double.toString(model.temperature()));
    metadata.put("config", config.toJson());
    metadata.put("fingerprint", model.fingerprint());
    return metadata;
  }

  private static void requireEmpty(Path directory, Path target) throws IOException {
    if (!Files.exists(target)) {
      return;
    }
    boolean empty = false;
    if (Files.isDirectory(target)) {
      try (Stream<Path> children = Files.list(target)) {
        empty = children.findAny().isEmpty();
      }
    }
    if (!empty) {
      throw new FileAlreadyExistsException(
          directory.toString(), null, "exists and is not empty; remove it or name another one");
    }
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    List<Path> all;
    try (Stream<Path> walk = Files.walk(folder)) {
      all = walk.toList();
    }
    for (Path path : all.reversed()) {
      Files.deleteIfExists(path);
    }
  }
}
