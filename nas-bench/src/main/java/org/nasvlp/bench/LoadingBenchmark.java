package org.nasvlp.bench;

import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.nasvlp.config.DataConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.BatchLoader;
import org.nasvlp.data.FirstPairs;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * The whole pipeline of a training, a pair a call: JPEG files from memory decoded, cropped at
 * random, scaled to 224, jittered; captions tokenised; batches of 32 in the seed's order.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class LoadingBenchmark {
  private static final int BATCH = 32;
  private static final int FILES = 64;

  /** Width x height of the files. */
  @Param("640x480")
  public String shape = "";

  /** Threads that decode. */
  @Param({"1", "2"})
  public int threads;

  private CaptionTokenizer tokenizer;
  private BatchLoader loader;

  private record Files(byte[][] files) implements ImageTextDataset {
    @Override
    public long size() {
      return files.length;
    }

    @Override
    public ImageTextPair get(long index) throws BadSampleException {
      RgbImage image = RgbImage.decode(files[(int) index], "file " + index, 0xFFFFFF);
      return new ImageTextPair("file " + index, index, image, "a woman with dark skin tone");
    }

    @Override
    public String name() {
      return "photographs";
    }
  }

  @Setup(Level.Trial)
  public void setUp() throws Exception {
    System.setProperty("java.awt.headless", "true");
    int cross = shape.indexOf('x');
    Files dataset =
        new Files(
            Photographs.jpegs(
                FILES,
                Integer.parseInt(shape.substring(0, cross)),
                Integer.parseInt(shape.substring(cross + 1))));
    tokenizer = CaptionTokenizer.load(Path.of("data/noto-emoji/tokenizer.json"), 30);
    DataConfig config =
        DataConfig.defaults(BATCH).toBuilder().colorJitter(0.1).loaderThreads(threads).build();
    loader = new BatchLoader(dataset, tokenizer, 224, config, 7, 0, FirstPairs.NONE);
  }

  @Benchmark
  @OperationsPerInvocation(BATCH)
  public int nas() throws InterruptedException {
    return loader.next().keys().length;
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    loader.close();
    tokenizer.close();
  }
}
