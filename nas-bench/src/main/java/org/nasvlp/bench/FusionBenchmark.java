package org.nasvlp.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.libtorch.LibTorch;
import org.nasvlp.model.NasModel;
import org.nasvlp.model.Network;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * What a training step does with captions, forward and backward: 128 of them encoded, and 256 pairs
 * with 64 images judged. Beside the library's encoders, which leave padding out and compute of the
 * last layer only what the match head reads, stand {@link PaddedFusion}'s. Match logits and the
 * gradient of the word embeddings are compared first.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
public class FusionBenchmark {
  private static final String WORDS = "text_encoder.embeddings.word_embeddings.weight";
  private static final int IMAGES = 64;

  /** Whose sizes. */
  @Param("scenes")
  public String preset = "";

  /** Folder with tokenizer and captions. */
  @Param("data/scenes")
  public String data = "";

  @Param("1")
  public int threads;

  private PointerScope scope;
  private CaptionTokenizer tokenizer;
  private NasModel model;
  private PaddedFusion padded;
  private Tensor ids;
  private Tensor attentionMask;
  private Tensor fusionInput;
  private Tensor imageRows;
  private Tensor captionRows;

  @Setup(Level.Trial)
  public void setUp() throws IOException {
    LibTorch.setThreads(threads);
    System.out.println("# " + TorchBlas.use(threads));
    NasConfig config = NasConfig.preset(preset);
    tokenizer = CaptionTokenizer.load(Path.of(data, "tokenizer.json"), config.model().textTokens());
    model = NasModel.create(config, tokenizer);
    scope = new PointerScope();
    TokenizedCaptions captions = tokenizer.encode(captions(2 * IMAGES));
    ids = Tensors.longs(captions.ids(), captions.rows(), captions.length());
    attentionMask =
        Tensors.longs(captions.mask(), captions.rows(), captions.length()).ne(new Scalar(0));
    int tokens = 1 + config.model().patchTokens();
    float[] values = new float[IMAGES * tokens * config.model().width()];
    Random random = new Random(7);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    fusionInput = Tensors.floats(values, IMAGES, tokens, config.model().width());
    // Each image with its own caption, with two others and with its hard negative.
    imageRows = rows(IntStream.range(0, 4 * IMAGES).map(i -> i % IMAGES));
    captionRows =
        rows(
            IntStream.range(0, 4 * IMAGES)
                .map(i -> i / IMAGES == 3 ? IMAGES + i % IMAGES : (i + i / IMAGES * 7) % IMAGES));
    padded = new PaddedFusion(config.model(), model.parameters().byName());
    compare();
  }

  private List<String> captions(int count) throws IOException {
    List<String> captions = new ArrayList<>();
    try (ImageTextDataset scenes = ImageTextDataset.open(Path.of(data, "train.tar"), 0xFFFFFF)) {
      for (int i = 0; i < count; i++) {
        captions.add(scenes.caption(i).caption());
      }
    } catch (BadSampleException e) {
      throw new IOException(e);
    }
    return captions;
  }

  private static Tensor rows(IntStream rows) {
    long[] values = rows.asLongStream().toArray();
    return Tensors.longs(values, values.length);
  }

  /**
   * Nothing is timed that does not do the same.
   *
   * @throws IllegalStateException if logits or gradients differ by more than 1e-4 of the greatest
   */
  void compare() {
    try (PointerScope inner = new PointerScope()) {
      model.parameters().gradients().zero_();
      Tensor logits = logits();
      Tensor theirs = paddedLogits();
      logits.square().mean().backward();
      theirs.square().mean().backward();
      same("match logits", Tensors.toFloats(logits.detach()), Tensors.toFloats(theirs.detach()));
      same(
          "gradients of the word embeddings",
          Tensors.toFloats(model.parameters().byName().get(WORDS).grad()),
          Tensors.toFloats(padded.gradient(WORDS)));
    }
  }

  private static void same(String what, float[] a, float[] b) {
    double most = 0;
    double worst = 0;
    for (int i = 0; i < a.length; i++) {
      most = Math.max(most, Math.abs(a[i]));
      worst = Math.max(worst, Math.abs((double) a[i] - b[i]));
    }
    if (!(worst <= 1e-4 * most) || most == 0) {
      throw new IllegalStateException(
          "%s differ by %g, the greatest is %g; no time is told".formatted(what, worst, most));
    }
    System.out.printf(
        "%s compared: they differ by %.1e of the greatest at most%n", what, worst / most);
  }

  private Tensor logits() {
    Network network = model.network();
    return network.matchLogits(
        network.fuseCls(
            network.imageContext(fusionInput),
            imageRows,
            network.captionContext(network.encodeText(ids, attentionMask), attentionMask),
            captionRows));
  }

  private Tensor paddedLogits() {
    return padded.logits(
        fusionInput, imageRows, padded.text(ids, attentionMask), attentionMask, captionRows);
  }

  /** The library's. */
  @Benchmark
  public void nas() {
    try (PointerScope inner = new PointerScope()) {
      logits().square().mean().backward();
    }
  }

  /** As it is usually written. */
  @Benchmark
  public void padded() {
    try (PointerScope inner = new PointerScope()) {
      paddedLogits().square().mean().backward();
    }
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    scope.close();
    model.close();
    tokenizer.close();
  }
}
