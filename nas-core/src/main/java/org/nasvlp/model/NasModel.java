package org.nasvlp.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Checkpoints;
import org.nasvlp.checkpoint.FileSums;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.checkpoint.TensorRange;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.layer.ParameterScope;
import org.nasvlp.random.Draws;
import org.nasvlp.scoring.Embedder;
import org.nasvlp.scoring.ImageTextScorer;

/**
 * A vision-language model: image, text and fusion encoders, their heads, the Visual Dictionary and
 * the tokenizer. {@link #load} brings one back from a checkpoint.
 *
 * <p>The methods that encode and score, and the scorers and the embedder, may be used from several
 * threads at once, but not while the model is being trained. {@link #close} waits for those under
 * way; afterwards every method but {@link #config} throws IllegalStateException. Closing twice does
 * nothing.
 */
public final class NasModel implements AutoCloseable {
  /** The file of a checkpoint that holds what a run goes on from besides the model. */
  public static final String TRAINING_FILE = "training.safetensors";

  /** The tensor of {@link #TRAINING_FILE} with the moving average of all parameters. */
  public static final String AVERAGE = "momentum";

  /** Images that are encoded at once for their codes. */
  private static final int CHUNK = 64;

  private final NasConfig config;
  private final CaptionTokenizer tokenizer;
  private final boolean ownsTokenizer;
  private final TorchDevice device;
  private final Network network;
  private final Parameters parameters;
  private final Lifetime lifetime = new Lifetime();
  private final ModelInputs inputs;
  private final ContrastiveEmbedder embedder;
  private final ItmScorer itmScorer;
  private @Nullable VisualDictionary dictionary;

  private NasModel(
      NasConfig config, CaptionTokenizer tokenizer, boolean ownsTokenizer, TorchDevice device) {
    this.config = config;
    this.tokenizer = tokenizer;
    this.ownsTokenizer = ownsTokenizer;
    this.device = device;
    ModelConfig model = config.model();
    ParameterScope declared = ParameterScope.root();
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      network = network(declared);
      parameters =
          Parameters.create(declared, Draws.PARAMETERS.seed(config.training().seed()), device);
      network.setTemperature(config.objective().temperature());
    }
    inputs = new ModelInputs(tokenizer, model.imageSize(), device);
    embedder = new ContrastiveEmbedder(network, inputs, lifetime);
    itmScorer = new ItmScorer(network, inputs, this::dictionary, lifetime);
  }

  private Network network(ParameterScope scope) {
    return new Network(
        scope,
        config.model(),
        tokenizer.vocabularySize(),
        config.objective().mvmWeight() > 0,
        config.training().precision());
  }

  /**
   * A model with fresh parameters and no dictionary yet, the same for the same configuration, on
   * the device that it names.
   *
   * @param tokenizer stays the caller's to close, after the model
   * @throws IllegalStateException if the device cannot be used, with the reason
   */
  public static NasModel create(NasConfig config, CaptionTokenizer tokenizer) {
    return new NasModel(config, tokenizer, false, TorchDevice.of(config.training().device()));
  }

  /** {@link #load(Path, String)} on the host, wherever the model was trained. */
  public static NasModel load(Path path) throws IOException {
    return load(path, "cpu");
  }

  /**
   * Reads a model from a checkpoint's folder, from the newest checkpoint of a run's output, or from
   * a file that {@link #exportWeights} wrote.
   *
   * @param device where it is to compute: {@code cpu}, {@code cuda}, {@code cuda:N} or {@code
   *     auto}, as {@link org.nasvlp.config.TrainingConfig#device}
   * @throws IOException naming the file, if one is missing, was changed since it was written, does
   *     not fit the model's configuration, or holds a number that no model has
   * @throws IllegalStateException if the device cannot be used, with the reason
   */
  public static NasModel load(Path path, String device) throws IOException {
    TorchDevice on = TorchDevice.of(device);
    if (Files.isRegularFile(path)) {
      return loadExported(path, on);
    }
    Path checkpoint = Checkpoints.resolve(path);
    ModelFiles.check(checkpoint);
    NasConfig config = ModelFiles.readConfig(checkpoint);
    CaptionTokenizer tokenizer = ModelFiles.readTokenizer(checkpoint, config.model().textTokens());
    NasModel model = new NasModel(config, tokenizer, true, on);
    try {
      model.readChecked(checkpoint);
      return model;
    } catch (IOException | RuntimeException e) {
      model.close();
      throw e;
    }
  }

  private static NasModel loadExported(Path file, TorchDevice on) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      ModelFiles.Exported exported = ModelFiles.Exported.open(file, arena);
      NasConfig config = exported.config();
      NasModel model = new NasModel(config, exported.readTokenizer(), true, on);
      try {
        exported.readParameters(model.parameters);
        if (!exported.dictionary().isEmpty()) {
          model.restore(
              DictionaryFile.read(
                  file,
                  exported.dictionary(),
                  config.dictionary().codewords(),
                  config.model().width()));
        }
        return model;
      } catch (IOException | RuntimeException e) {
        model.close();
        throw e;
      }
    }
  }

  /**
   * Replaces parameters and dictionary by those of a checkpoint's folder.
   *
   * @throws IOException as {@link #load(Path, String)} does
   */
  public void read(Path checkpoint) throws IOException {
    lifetime.check();
    ModelFiles.check(checkpoint);
    readChecked(checkpoint);
  }

  private void readChecked(Path checkpoint) throws IOException {
    try (Lifetime.Use use = lifetime.use()) {
      ModelFiles.readParameters(checkpoint, parameters);
      restore(
          DictionaryFile.read(
              checkpoint.resolve(DictionaryFile.NAME),
              config.dictionary().codewords(),
              config.model().width()));
    }
  }

  private void restore(VisualDictionary.Saved saved) {
    if (dictionary != null) {
      dictionary.close();
    }
    dictionary =
        VisualDictionary.restore(
            config.dictionary(), config.model().width(), saved, device.toString());
  }

  /**
   * Writes configuration, tokenizer, parameters and dictionary into a checkpoint's folder, and the
   * list of their sums.
   */
  public void write(Path directory) throws IOException {
    try (Lifetime.Use use = lifetime.use()) {
      ModelFiles.write(directory, config, tokenizer);
      ModelFiles.writeParameters(directory, parameters);
      DictionaryFile.write(
          directory.resolve(DictionaryFile.NAME),
          dictionary().state(),
          config.dictionary().codewords(),
          config.model().width());
      ModelFiles.list(directory);
    }
  }

  /**
   * Replaces parameters by published weights: position embeddings are fitted to the model's image
   * size and caption length, word embeddings to its tokenizer. Not while the model is in use by
   * another thread, and before {@link #momentumCopy}.
   *
   * @return what became of every tensor and every parameter
   * @throws IOException naming file, tensor and remedy, if a file is missing, damaged, of another
   *     format or architecture, or does not fit the configuration; the model is then unchanged
   * @throws IllegalArgumentException if no file is named
   */
  public WeightReport importWeights(PretrainedWeights weights) throws IOException {
    lifetime.check();
    if (weights.isEmpty()) {
      throw new IllegalArgumentException("no weights file is named");
    }
    try (Lifetime.Use use = lifetime.use();
        Parameters staged = parameters.hostCopy();
        PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      WeightReport report = new WeightImport(config.model(), tokenizer, staged).run(weights);
      parameters.values().copy_(staged.values());
      return report;
    }
  }

  /**
   * Replaces the parameters by their moving average, which a run with momentum encoders or {@code
   * training.evaluateAverage} keeps. Not while the model is in use by another thread.
   *
   * @param path the checkpoint's folder that the model is from, or the run's
   * @throws IOException naming the file, if it has no average or was changed since it was written;
   *     the model is then unchanged
   */
  public void readAverage(Path path) throws IOException {
    try (Lifetime.Use use = lifetime.use();
        Arena arena = Arena.ofConfined()) {
      if (Files.isRegularFile(path)) {
        throw new IOException(path + " is no checkpoint: an exported file has no average");
      }
      Path checkpoint = Checkpoints.resolve(path);
      FileSums.check(checkpoint, List.of(TRAINING_FILE));
      Path file = checkpoint.resolve(TRAINING_FILE);
      Safetensors.Entry average = Safetensors.read(file, arena).get(AVERAGE);
      if (average == null
          || average.type() != Safetensors.Type.F32
          || !Arrays.equals(average.shape(), new long[] {parameters.count()})) {
        throw new IOException(
            file
                + " has no average of this model's parameters: train with"
                + " training.evaluateAverage true");
      }
      TensorRange.FINITE.require(file, AVERAGE, average);
      Torch.copyInto(parameters.values(), average.data());
    }
  }

  /**
   * Writes all parameters as float32 into one safetensors file, under the names that {@link
   * #importWeights} reads: {@code image_encoder.} and HuggingFace's names of a ViT, {@code
   * text_encoder.} and {@code fusion_encoder.} and those of a BERT, then the heads, and the
   * dictionary's tensors behind {@code visual_dictionary.}. Configuration and tokenizer are in the
   * file's metadata, so that {@link #load(Path)} needs nothing else. The file appears whole or not
   * at all.
   *
   * @throws FileAlreadyExistsException if the file exists
   * @throws IOException if it cannot be written
   */
  public void exportWeights(Path file) throws IOException {
    try (Lifetime.Use use = lifetime.use()) {
      ModelFiles.export(
          file, parameters, dictionary == null ? null : dictionary.state(), config, tokenizer);
    }
  }

  /** The configuration it was made with. */
  public NasConfig config() {
    return config;
  }

  /** The tokenizer it was made with. */
  public CaptionTokenizer tokenizer() {
    lifetime.check();
    return tokenizer;
  }

  /** The forward passes, for training. */
  public Network network() {
    lifetime.check();
    return network;
  }

  /** The parameters, for training. */
  public Parameters parameters() {
    lifetime.check();
    return parameters;
  }

  /** The Visual Dictionary. */
  public VisualDictionary dictionary() {
    lifetime.check();
    if (dictionary == null) {
      throw new IllegalStateException("the dictionary has not been started");
    }
    return dictionary;
  }

  /** Starts the dictionary from patch tokens: see {@link VisualDictionary#start}. */
  public void startDictionary(float[] features) {
    try (Lifetime.Use use = lifetime.use()) {
      if (dictionary != null) {
        throw new IllegalStateException("the dictionary has already been started");
      }
      dictionary =
          VisualDictionary.start(
              config.dictionary(),
              features,
              config.model().width(),
              Draws.DICTIONARY_START.seed(config.training().seed()),
              device.toString());
    }
  }

  /**
   * A copy of the parameters without gradients, and a network over it: momentum encoders, or the
   * model of a run's start.
   */
  public MomentumCopy momentumCopy() {
    try (Lifetime.Use use = lifetime.use()) {
      ParameterScope declared = ParameterScope.root();
      Network copy = network(declared);
      return new MomentumCopy(parameters.frozenCopy(declared, device), copy);
    }
  }

  /** A network without gradients; owns its parameters. */
  public record MomentumCopy(Parameters parameters, Network network) implements AutoCloseable {
    @Override
    public void close() {
      parameters.close();
    }
  }

  /**
   * Contrastive embeddings of images.
   *
   * @return per image an L2-normalized vector of the projection's width
   * @throws IllegalStateException if the weights are too large to give finite numbers
   */
  public float[][] encodeImage(List<RgbImage> images) {
    return embedder.images(images);
  }

  /**
   * Contrastive embeddings of captions.
   *
   * @return per caption an L2-normalized vector of the projection's width
   * @throws IllegalStateException if the weights are too large to give finite numbers
   */
  public float[][] encodeText(List<String> captions) {
    return embedder.texts(captions);
  }

  /**
   * The SHA-256 of all parameters, in hexadecimal: it tells whether embeddings that were kept are
   * this model's.
   */
  public String fingerprint() {
    try (Lifetime.Use use = lifetime.use();
        PointerScope scope = new PointerScope()) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      MemorySegment values = Torch.segment(Torch.host(parameters.values()));
      for (long at = 0; at < values.byteSize(); at += 1 << 26) {
        digest.update(values.asSlice(at, Math.min(1 << 26, values.byteSize() - at)).asByteBuffer());
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /** The learned temperature of the contrast: a cosine over it is a logit. */
  public double temperature() {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      return network().temperature().item_double();
    }
  }

  /**
   * How probably each caption matches the image, by the match head (ITM).
   *
   * @return per caption a probability in 0..1
   * @throws IllegalStateException if the weights are too large to give finite numbers
   */
  public double[] score(RgbImage image, List<String> captions) {
    return match(List.of(image), captions)[0];
  }

  /**
   * How probably each caption matches each image, by the match head (ITM): {@link #score} of many.
   *
   * @return per image a probability in 0..1 of each caption
   * @throws IllegalStateException if the weights are too large to give finite numbers
   */
  public double[][] match(List<RgbImage> images, List<String> captions) {
    int columns = captions.size();
    int[] imageIndex = new int[Math.multiplyExact(images.size(), columns)];
    int[] captionIndex = new int[imageIndex.length];
    for (int i = 0; i < imageIndex.length; i++) {
      imageIndex[i] = i / columns;
      captionIndex[i] = i % columns;
    }
    double[] logits = itmScorer.score(images, captions, imageIndex, captionIndex);
    double[][] match = new double[images.size()][columns];
    for (int i = 0; i < logits.length; i++) {
      match[i / columns][i % columns] = 1 / (1 + Math.exp(-logits[i]));
    }
    return match;
  }

  /**
   * The codes of images' patch tokens: which codeword of the Visual Dictionary is nearest to each.
   *
   * @return per image N codes of 0..K-1, row by row in the patch grid
   * @throws IllegalStateException if the dictionary has not been started
   */
  public int[][] codes(List<RgbImage> images) {
    int[][] codes = new int[images.size()][];
    int tokens = config.model().patchTokens();
    try (Lifetime.Use use = lifetime.use()) {
      for (int from = 0; from < codes.length; from += CHUNK) {
        List<RgbImage> chunk = images.subList(from, Math.min(codes.length, from + CHUNK));
        try (PointerScope scope = new PointerScope();
            AutoGradMode off = Torch.withoutGradient()) {
          Tensor features = network.encodeImage(inputs.pixels(chunk));
          int[] found =
              Torch.toInts(dictionary().lookup(features.narrow(1, 1, tokens).contiguous()));
          for (int i = 0; i < chunk.size(); i++) {
            codes[from + i] = Arrays.copyOfRange(found, i * tokens, (i + 1) * tokens);
          }
        }
      }
    }
    return codes;
  }

  /**
   * Where the model looks in a picture for each word of a caption: {@link #wordRelevance(RgbImage,
   * String, int)} of the fusion layer in the middle, as ALBEF shows it (the third of six).
   */
  public WordRelevance wordRelevance(RgbImage image, String caption) {
    return wordRelevance(image, caption, Math.max(1, config.model().fusionLayers() / 2));
  }

  /**
   * Where the model looks in a picture for each word of a caption: Grad-CAM of the fusion encoder's
   * cross-attention (Selvaraju et al., arXiv 1610.02391; ALBEF, arXiv 2107.07651). A word's value
   * for a patch is A · max(0, ∂s/∂A), the mean over the heads and over the word's tokens, where A
   * is the weight by which the token attends to the patch and s are the log-odds of a match. Words
   * that the caption's greatest length cuts off have zeros. Computed in float32 whatever the
   * precision.
   *
   * @param layer of the fusion encoder, 1 to one less than it has: in the last one only the class
   *     token reaches the match head, and words have no such gradient
   * @throws IllegalArgumentException if there is no such layer, so for every one where the fusion
   *     encoder has a single layer
   * @throws IllegalStateException if the weights are too large to give finite numbers, or the
   *     tokenizer makes other tokens of a caption's words than of the caption
   */
  public WordRelevance wordRelevance(RgbImage image, String caption, int layer) {
    try (Lifetime.Use use = lifetime.use()) {
      int layers = config.model().fusionLayers();
      if (layer < 1 || layer >= layers) {
        throw new IllegalArgumentException(
            "fusion layer %d: words reach the match head from layer 1 to %d of the model's %d"
                .formatted(layer, layers - 1, layers));
      }
      int tokens = config.model().patchTokens();
      try (PointerScope scope = new PointerScope()) {
        List<String> words = List.of(CaptionTokenizer.normalize(caption).split(" ", -1));
        int[] wordOf = tokenizer.wordOfTokens(caption);
        Tensor relevance;
        Tensor logits;
        try (AutoGradMode off = Torch.withoutGradient()) {
          Tensor input =
              ItmScorer.fusionInput(
                  network, this::dictionary, network.encodeImage(inputs.pixels(List.of(image))));
          ModelInputs.Text text = inputs.text(List.of(caption));
          Tensor encoded = network.encodeText(text.ids(), text.attentionMask());
          relevance = network.relevance(input, encoded, text.attentionMask(), layer - 1);
          Tensor first = inputs.index(new int[1]);
          logits =
              network.matchLogits(
                  network.fuseCls(
                      network.imageContext(input),
                      first,
                      network.captionContext(encoded, text.attentionMask()),
                      first));
        }
        float[] match = ModelInputs.finite("a match logit", Torch.toFloats(logits));
        float[] values = ModelInputs.finite("a relevance", Torch.toFloats(relevance));
        float[][] patches = new float[words.size()][tokens];
        int[] count = new int[words.size()];
        // Behind [CLS], before [SEP]; patches behind the image's class token.
        int kept = Math.min(wordOf.length, values.length / (1 + tokens) - 2);
        for (int t = 0; t < kept; t++) {
          count[wordOf[t]]++;
          for (int i = 0; i < tokens; i++) {
            patches[wordOf[t]][i] += values[(1 + t) * (1 + tokens) + 1 + i];
          }
        }
        for (int word = 0; word < patches.length; word++) {
          for (int i = 0; i < tokens; i++) {
            patches[word][i] /= Math.max(1, count[word]);
          }
        }
        return new WordRelevance(words, patches, 1 / (1 + Math.exp((double) match[0] - match[1])));
      }
    }
  }

  /** The contrastive embeddings, for retrieval. */
  public Embedder embedder() {
    lifetime.check();
    return embedder;
  }

  /** Scores by the cosine of the contrastive embeddings (ITC). */
  public ImageTextScorer itcScorer() {
    lifetime.check();
    return new ItcScorer(embedder);
  }

  /** Scores by the match head's log-odds of match against mismatch (ITM). */
  public ImageTextScorer itmScorer() {
    lifetime.check();
    return itmScorer;
  }

  @Override
  public void close() {
    lifetime.close(
        () -> {
          parameters.close();
          if (dictionary != null) {
            dictionary.close();
          }
          if (ownsTokenizer) {
            tokenizer.close();
          }
        });
  }
}
