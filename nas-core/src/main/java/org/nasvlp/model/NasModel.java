package org.nasvlp.model;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Checkpoints;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.image.ImageTransform;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.dictionary.VisualDictionary;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.kernels.CodebookState;
import org.nasvlp.random.Draws;
import org.nasvlp.scoring.Embedder;
import org.nasvlp.scoring.ImageTextScorer;

/**
 * A vision-language model: image, text and fusion encoders, their heads, the Visual Dictionary and
 * the tokenizer. {@link #load} brings one back from a checkpoint.
 *
 * <p>The methods that encode and score may be called from several threads at once, but not while
 * the model is being trained or after {@link #close}.
 */
public final class NasModel implements AutoCloseable {
  private static final int CHUNK = 64;

  /** Under which an exported file carries its configuration and its tokenizer, as JSON. */
  static final String CONFIG_METADATA = "nas_config";

  static final String TOKENIZER_METADATA = "nas_tokenizer";

  private final NasConfig config;
  private final CaptionTokenizer tokenizer;
  private final boolean ownsTokenizer;
  private final TorchDevice device;
  private final List<Parameters.Spec> specs;
  private final Parameters parameters;
  private final Tensor positions2d;
  private final Network network;
  private final ImageTransform transform;
  private @Nullable VisualDictionary dictionary;
  private boolean closed;

  private NasModel(
      NasConfig config, CaptionTokenizer tokenizer, boolean ownsTokenizer, TorchDevice device) {
    this.config = config;
    this.device = device;
    this.tokenizer = tokenizer;
    this.ownsTokenizer = ownsTokenizer;
    ModelConfig model = config.model();
    this.specs =
        Network.specs(model, tokenizer.vocabularySize(), config.objective().mvmWeight() > 0);
    this.parameters =
        Parameters.create(specs, Draws.PARAMETERS.seed(config.training().seed()), device);
    try (PointerScope scope = new PointerScope()) {
      positions2d =
          device.floats(
              Network.sineCosine(model.grid(), model.width()),
              1,
              model.patchTokens(),
              model.width());
      positions2d.retainReference();
    }
    this.network = new Network(model, config.training().precision(), parameters, positions2d);
    this.transform = ImageTransform.evaluation(model.imageSize());
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      network.setTemperature(config.objective().temperature());
    }
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
  public static NasModel load(Path directory) throws IOException {
    return load(directory, "cpu");
  }

  /**
   * Reads a model from a checkpoint's folder, or from the newest checkpoint of a run's output.
   *
   * @param device where it is to compute: {@code cpu}, {@code cuda}, {@code cuda:N} or {@code
   *     auto}, as {@link org.nasvlp.config.TrainingConfig#device}
   * @throws IOException naming the file, if one is missing, cut short, or does not fit the
   *     checkpoint's configuration
   * @throws IllegalStateException if the device cannot be used, with the reason
   */
  public static NasModel load(Path directory, String device) throws IOException {
    TorchDevice on = TorchDevice.of(device);
    Path checkpoint = Checkpoints.resolve(directory);
    Path configFile = checkpoint.resolve("config.json");
    NasConfig config;
    try {
      config = NasConfig.fromJson(Files.readString(configFile), configFile.toString());
    } catch (IllegalArgumentException e) {
      throw new IOException(e.getMessage(), e);
    }
    CaptionTokenizer tokenizer =
        CaptionTokenizer.load(checkpoint.resolve("tokenizer.json"), config.model().textTokens());
    NasModel model = new NasModel(config, tokenizer, true, on);
    try {
      model.read(checkpoint);
      return model;
    } catch (IOException | RuntimeException e) {
      model.close();
      throw e;
    }
  }

  /** Replaces parameters and dictionary by those of a checkpoint's folder. */
  public void read(Path checkpoint) throws IOException {
    Path file = checkpoint.resolve("model.safetensors");
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Safetensors.Entry> found = Safetensors.read(file, arena);
      TreeSet<String> missing = new TreeSet<>(parameters.byName().keySet());
      missing.removeAll(found.keySet());
      TreeSet<String> unexpected = new TreeSet<>(found.keySet());
      unexpected.removeAll(parameters.byName().keySet());
      if (!missing.isEmpty() || !unexpected.isEmpty()) {
        throw new IOException(
            file
                + " holds another architecture: missing "
                + missing
                + ", unexpected "
                + unexpected);
      }
      for (var parameter : parameters.byName().entrySet()) {
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
      }
      for (var parameter : parameters.byName().entrySet()) {
        Torch.copyInto(parameter.getValue(), found.get(parameter.getKey()).data());
      }
    }
    readDictionary(checkpoint.resolve("dictionary.safetensors"));
  }

  private void readDictionary(Path file) throws IOException {
    int k = config.dictionary().codewords();
    int d = config.model().width();
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Safetensors.Entry> found = Safetensors.read(file, arena);
      float[] codewords =
          entry(file, found, "codewords", Safetensors.Type.F32, k, d)
              .toArray(ValueLayout.JAVA_FLOAT);
      double[] n =
          entry(file, found, "n", Safetensors.Type.F64, k).toArray(ValueLayout.JAVA_DOUBLE);
      float[] m =
          entry(file, found, "m", Safetensors.Type.F32, k, d).toArray(ValueLayout.JAVA_FLOAT);
      int[] dead =
          entry(file, found, "dead_steps", Safetensors.Type.I32, k).toArray(ValueLayout.JAVA_INT);
      Safetensors.Entry lists = found.get("neighbours");
      int[] neighbours = new int[0];
      int radius = 0;
      if (lists != null) {
        radius = (int) lists.shape()[1];
        neighbours =
            entry(file, found, "neighbours", Safetensors.Type.I32, k, radius)
                .toArray(ValueLayout.JAVA_INT);
      }
      long restarts =
          entry(file, found, "restarts", Safetensors.Type.I64, 1).get(ValueLayout.JAVA_LONG, 0);
      long[] epochCounts =
          entry(file, found, "epoch_counts", Safetensors.Type.I64, k)
              .toArray(ValueLayout.JAVA_LONG);
      if (dictionary != null) {
        dictionary.close();
      }
      dictionary =
          VisualDictionary.restore(
              config.dictionary(),
              d,
              new VisualDictionary.Saved(
                  new CodebookState(codewords, n, m, dead),
                  neighbours,
                  radius,
                  restarts,
                  epochCounts),
              device);
    }
  }

  private static MemorySegment entry(
      Path file,
      Map<String, Safetensors.Entry> found,
      String name,
      Safetensors.Type type,
      long... shape)
      throws IOException {
    Safetensors.Entry entry = found.get(name);
    if (entry == null || entry.type() != type || !Arrays.equals(entry.shape(), shape)) {
      throw new IOException(
          file
              + " does not fit the checkpoint's configuration: "
              + name
              + (entry == null
                  ? " is missing"
                  : " is " + entry.type() + " " + Arrays.toString(entry.shape()))
              + ", expected "
              + type
              + " "
              + Arrays.toString(shape));
    }
    // Copied: a mapped file promises no more than byte alignment.
    MemorySegment copy = MemorySegment.ofArray(new long[(int) ((entry.data().byteSize() + 7) / 8)]);
    return copy.asSlice(0, entry.data().byteSize()).copyFrom(entry.data());
  }

  /** Writes configuration, tokenizer, parameters and dictionary into a checkpoint's folder. */
  public void write(Path directory) throws IOException {
    Files.writeString(directory.resolve("config.json"), config.toJson());
    Files.writeString(directory.resolve("tokenizer.json"), tokenizer.json());
    try (PointerScope scope = new PointerScope()) {
      Safetensors.write(directory.resolve("model.safetensors"), tensors());
    }

    VisualDictionary.Saved saved = dictionary().state();
    long k = config.dictionary().codewords();
    long d = config.model().width();
    Map<String, Safetensors.Entry> state = new TreeMap<>();
    state.put("codewords", f32(saved.codebook().codewords(), k, d));
    state.put("m", f32(saved.codebook().m(), k, d));
    state.put(
        "n",
        new Safetensors.Entry(
            Safetensors.Type.F64,
            new long[] {k},
            bytes(MemorySegment.ofArray(saved.codebook().n()))));
    state.put(
        "dead_steps",
        new Safetensors.Entry(
            Safetensors.Type.I32,
            new long[] {k},
            bytes(MemorySegment.ofArray(saved.codebook().deadSteps()))));
    if (saved.radius() > 0) {
      state.put(
          "neighbours",
          new Safetensors.Entry(
              Safetensors.Type.I32,
              new long[] {k, saved.radius()},
              bytes(MemorySegment.ofArray(saved.neighbours()))));
    }
    state.put(
        "epoch_counts",
        new Safetensors.Entry(
            Safetensors.Type.I64,
            new long[] {k},
            bytes(MemorySegment.ofArray(saved.epochCounts()))));
    state.put(
        "restarts",
        new Safetensors.Entry(
            Safetensors.Type.I64,
            new long[] {1},
            bytes(MemorySegment.ofArray(new long[] {saved.restarts()}))));
    Safetensors.write(directory.resolve("dictionary.safetensors"), state);
  }

  /** The parameters by name: live memory on the host, else copies in the caller's scope. */
  private Map<String, Safetensors.Entry> tensors() {
    Map<String, Safetensors.Entry> tensors = new TreeMap<>();
    for (var parameter : parameters.byName().entrySet()) {
      tensors.put(
          parameter.getKey(),
          new Safetensors.Entry(
              Safetensors.Type.F32,
              Torch.shape(parameter.getValue()),
              Torch.segment(Torch.host(parameter.getValue()))));
    }
    return tensors;
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
    if (weights.isEmpty()) {
      throw new IllegalArgumentException("no weights file is named");
    }
    try (Parameters staged = Parameters.frozenCopy(specs, parameters, TorchDevice.CPU);
        PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      WeightReport report = new WeightImport(config.model(), tokenizer, staged).run(weights);
      parameters.values().copy_(staged.values());
      return report;
    }
  }

  /**
   * Writes all parameters as float32 into one safetensors file, under the names that {@link
   * #importWeights} reads: {@code image_encoder.} and HuggingFace's names of a ViT, {@code
   * text_encoder.} and {@code fusion_encoder.} and those of a BERT, then the heads. Configuration
   * and tokenizer are in the file's metadata. The file appears whole or not at all.
   *
   * @throws FileAlreadyExistsException if the file exists
   * @throws IOException if it cannot be written
   */
  public void exportWeights(Path file) throws IOException {
    if (Files.exists(file)) {
      throw new FileAlreadyExistsException(
          file.toString(), null, "exists already; name another file, or remove this one");
    }
    Path target = file.toAbsolutePath();
    Path temporary = target.resolveSibling("." + target.getFileName() + ".writing");
    Files.createDirectories(temporary.getParent());
    Files.deleteIfExists(temporary);
    try (PointerScope scope = new PointerScope()) {
      Safetensors.write(
          temporary,
          tensors(),
          Map.of(
              "format",
              "pt",
              CONFIG_METADATA,
              config.toJson(),
              TOKENIZER_METADATA,
              tokenizer.json()));
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private static Safetensors.Entry f32(float[] values, long... shape) {
    return new Safetensors.Entry(Safetensors.Type.F32, shape, bytes(MemorySegment.ofArray(values)));
  }

  private static MemorySegment bytes(MemorySegment array) {
    // A ByteBuffer view, which writing needs, exists for byte arrays and native memory only.
    return MemorySegment.ofArray(array.toArray(ValueLayout.JAVA_BYTE));
  }

  /** The configuration it was made with. */
  public NasConfig config() {
    return config;
  }

  /** The tokenizer it was made with. */
  public CaptionTokenizer tokenizer() {
    return tokenizer;
  }

  /** The forward passes, for training. */
  public Network network() {
    return network;
  }

  /** The parameters, for training. */
  public Parameters parameters() {
    return parameters;
  }

  /** The Visual Dictionary. */
  public VisualDictionary dictionary() {
    if (dictionary == null) {
      throw new IllegalStateException("the dictionary has not been started");
    }
    return dictionary;
  }

  /** Starts the dictionary from patch tokens: see {@link VisualDictionary#start}. */
  public void startDictionary(float[] features) {
    if (dictionary != null) {
      throw new IllegalStateException("the dictionary has already been started");
    }
    dictionary =
        VisualDictionary.start(
            config.dictionary(),
            features,
            config.model().width(),
            Draws.DICTIONARY_START.seed(config.training().seed()),
            device);
  }

  /** A copy of the parameters without gradients, and a network over it, for momentum encoders. */
  public MomentumCopy momentumCopy() {
    Parameters copy = Parameters.frozenCopy(specs, parameters, device);
    return new MomentumCopy(
        copy, new Network(config.model(), config.training().precision(), copy, positions2d));
  }

  /** Momentum encoders; owns its parameters. */
  public record MomentumCopy(Parameters parameters, Network network) implements AutoCloseable {
    @Override
    public void close() {
      parameters.close();
    }
  }

  /**
   * What the fusion encoder sees of encoded images: the form that positives have in training.
   *
   * @param features B x (1 + N) x d from {@link Network#encodeImage}
   */
  private Tensor fusionInput(Tensor features) {
    int n = config.model().patchTokens();
    Tensor tokens = features.narrow(1, 1, n).contiguous();
    if (config.model().fusionInput() == ModelConfig.FusionInput.QUANTIZED) {
      tokens = dictionary().quantise(tokens, dictionary().lookup(tokens));
    }
    return network.fusionInput(features.select(1, 0), tokens);
  }

  private Tensor pixels(List<RgbImage> images, int from, int to) {
    int size = config.model().imageSize();
    int each = 3 * size * size;
    float[] values = new float[(to - from) * each];
    for (int i = from; i < to; i++) {
      transform.apply(images.get(i), "", 0, 0, 0, values, (i - from) * each);
    }
    return device.floats(values, to - from, 3, size, size);
  }

  private record TextFeatures(Tensor features, Tensor attends) {}

  private TextFeatures encode(List<String> captions) {
    TokenizedCaptions tokens = tokenizer.encode(captions);
    Tensor ids = device.longs(tokens.ids(), tokens.rows(), tokens.length());
    Tensor attends = device.longs(tokens.mask(), tokens.rows(), tokens.length()).ne(new Scalar(0));
    return new TextFeatures(network.encodeText(ids, attends), attends);
  }

  /**
   * Contrastive embeddings of images.
   *
   * @return per image an L2-normalised vector of the projection's width
   */
  public float[][] encodeImage(List<RgbImage> images) {
    List<float[]> out = new ArrayList<>();
    for (int from = 0; from < images.size(); from += CHUNK) {
      try (PointerScope scope = new PointerScope();
          AutoGradMode off = new AutoGradMode(false)) {
        int to = Math.min(images.size(), from + CHUNK);
        Tensor features = network.encodeImage(pixels(images, from, to));
        split(network.projectImage(features.select(1, 0)), out);
      }
    }
    return out.toArray(float[][]::new);
  }

  /**
   * Contrastive embeddings of captions.
   *
   * @return per caption an L2-normalised vector of the projection's width
   */
  public float[][] encodeText(List<String> captions) {
    List<float[]> out = new ArrayList<>();
    for (int from = 0; from < captions.size(); from += CHUNK) {
      try (PointerScope scope = new PointerScope();
          AutoGradMode off = new AutoGradMode(false)) {
        int to = Math.min(captions.size(), from + CHUNK);
        Tensor features = encode(captions.subList(from, to)).features();
        split(network.projectText(features.select(1, 0)), out);
      }
    }
    return out.toArray(float[][]::new);
  }

  private void split(Tensor embeddings, List<float[]> out) {
    float[] all = Torch.toFloats(embeddings);
    int width = config.model().projection();
    for (int at = 0; at < all.length; at += width) {
      out.add(Arrays.copyOfRange(all, at, at + width));
    }
  }

  /**
   * How probably each caption matches the image, by the match head (ITM).
   *
   * @return per caption a probability in 0..1
   */
  public double[] score(RgbImage image, List<String> captions) {
    int[] captionIndex = new int[captions.size()];
    Arrays.setAll(captionIndex, i -> i);
    double[] logits =
        itmScorer().score(List.of(image), captions, new int[captions.size()], captionIndex);
    return Arrays.stream(logits).map(logit -> 1 / (1 + Math.exp(-logit))).toArray();
  }

  /** The contrastive embeddings, for retrieval. */
  public Embedder embedder() {
    return new Embedder() {
      @Override
      public float[][] images(List<RgbImage> images) {
        return encodeImage(images);
      }

      @Override
      public float[][] texts(List<String> captions) {
        return encodeText(captions);
      }
    };
  }

  /** Scores by the cosine of the contrastive embeddings (ITC). */
  public ImageTextScorer itcScorer() {
    return (images, captions, imageIndex, captionIndex) -> {
      float[][] image = encodeImage(images);
      float[][] text = encodeText(captions);
      double[] scores = new double[imageIndex.length];
      for (int k = 0; k < scores.length; k++) {
        float[] a = image[imageIndex[k]];
        float[] b = text[captionIndex[k]];
        for (int i = 0; i < a.length; i++) {
          scores[k] += (double) a[i] * b[i];
        }
      }
      return scores;
    };
  }

  /** Scores by the match head's log-odds of match against mismatch (ITM). */
  public ImageTextScorer itmScorer() {
    return (images, captions, imageIndex, captionIndex) -> {
      double[] scores = new double[imageIndex.length];
      Integer[] order = new Integer[scores.length];
      Arrays.setAll(order, k -> k);
      // By image, so that each is encoded once while no more than a chunk of them is held.
      Arrays.sort(order, java.util.Comparator.comparingInt(k -> imageIndex[k]));
      int k = 0;
      while (k < order.length) {
        List<RgbImage> chunk = new ArrayList<>();
        int end = k;
        int last = -1;
        int[] row = new int[order.length - k];
        while (end < order.length) {
          int image = imageIndex[order[end]];
          if (image != last) {
            if (chunk.size() == CHUNK) {
              break;
            }
            chunk.add(images.get(image));
            last = image;
          }
          row[end - k] = chunk.size() - 1;
          end++;
        }
        scoreChunk(chunk, captions, captionIndex, order, k, end, row, scores);
        k = end;
      }
      return scores;
    };
  }

  private void scoreChunk(
      List<RgbImage> chunk,
      List<String> captions,
      int[] captionIndex,
      Integer[] order,
      int from,
      int to,
      int[] row,
      double[] scores) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = new AutoGradMode(false)) {
      Network.ImageContext context =
          network.imageContext(fusionInput(network.encodeImage(pixels(chunk, 0, chunk.size()))));
      for (int at = from; at < to; at += 2 * CHUNK) {
        int end = Math.min(to, at + 2 * CHUNK);
        try (PointerScope inner = new PointerScope()) {
          List<String> texts = new ArrayList<>();
          for (int i = at; i < end; i++) {
            texts.add(captions.get(captionIndex[order[i]]));
          }
          TextFeatures text = encode(texts);
          Tensor rows = device.index(Arrays.copyOfRange(row, at - from, end - from));
          Tensor fused = network.fuse(context, rows, text.features(), text.attends());
          float[] logits = Torch.toFloats(network.matchLogits(fused.select(1, 0)));
          for (int i = at; i < end; i++) {
            scores[order[i]] = (double) logits[2 * (i - at) + 1] - logits[2 * (i - at)];
          }
        }
      }
    }
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    parameters.close();
    positions2d.releaseReference();
    if (dictionary != null) {
      dictionary.close();
    }
    if (ownsTokenizer) {
      tokenizer.close();
    }
  }
}
