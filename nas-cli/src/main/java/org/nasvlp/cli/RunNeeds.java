package org.nasvlp.cli;

import java.nio.file.Path;
import java.util.Locale;
import org.nasvlp.config.DataConfig;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.ObjectiveConfig;

/**
 * What a run on the CPU takes, as told before its first step: counted for the disk, estimated for
 * the memory.
 *
 * @param parameters numbers that the model trains
 * @param stateBytes parameters, gradients, optimizer and momentum encoders, in LibTorch's memory
 * @param activationBytes what a step computes and keeps for its gradients, the same
 * @param checkpointBytes one checkpoint's files
 * @param checkpoints most that lie on the disk at a time
 */
record RunNeeds(
    long parameters, long stateBytes, long activationBytes, long checkpointBytes, int checkpoints) {

  /** Share by which the estimate was off at most, of runs measured (docs/deploying.md). */
  private static final double ACCURACY = 0.15;

  /** LibTorch's code, the JVM's own and what both hold whatever the model. */
  private static final long FIXED_BYTES = 380L << 20;

  /** Most of the heap that a run was seen to use; a list of millions of pairs takes more. */
  private static final long USUAL_HEAP_BYTES = 250L << 20;

  // Numbers of d that a layer keeps for each of its tokens, for the gradient and while it passes.
  private static final long OF_LAYER = 20;
  private static final long OF_CROSS_ATTENTION = 8;
  // The same of a stem's output pixels, in numbers of its channels.
  private static final long OF_STEM = 4;
  // Logits, their softmax and its gradient.
  private static final long OF_LOGITS = 4;

  /**
   * Of a configuration.
   *
   * @param vocabulary tokens of the tokenizer
   * @param benchmarks published ones that are evaluated
   * @param compared whether fine-grained pairs are evaluated
   * @param ranks that train together
   */
  static RunNeeds of(
      NasConfig config, int vocabulary, int benchmarks, boolean compared, int ranks) {
    long parameters = parameters(config, vocabulary);
    ObjectiveConfig objective = config.objective();
    int copies = (config.keepsAverage() ? 1 : 0) + (objective.distillWeight() > 0 ? 1 : 0);
    long queue = 2L * objective.queue() * config.model().projection();
    long dictionary = 3L * config.dictionary().codewords() * config.model().width();
    long words = config.nva().usesWords() ? 4L * config.dictionary().codewords() * vocabulary : 0;
    // Parameters, two moments, average and start; beside them in memory the gradients.
    long saved = 4 * (parameters * (3 + copies) + queue + dictionary + words);
    long moments = 8 * parameters;
    long others = config.training().shardedOptimizer() ? moments - moments / ranks : 0;
    int best = config.training().keepBest() ? (compared ? 4 : 0) + 2 * benchmarks : 0;
    return new RunNeeds(
        parameters,
        saved + 4 * parameters - others,
        4 * activations(config, vocabulary),
        saved,
        config.training().keepCheckpoints() + 1 + best);
  }

  /** Exact: a test counts those of a model. */
  private static long parameters(NasConfig config, int vocabulary) {
    ModelConfig model = config.model();
    long d = model.width();
    long attention = 4 * (d * d + d);
    long norm = 2 * d;
    long layer = attention + 8 * d * d + 5 * d + 2 * norm;
    long image =
        d + (1L + model.patchTokens()) * d + stem(model) + model.imageLayers() * layer + norm;
    long text = (vocabulary + model.textTokens() + 2L) * d + norm + model.textLayers() * layer;
    long fusion = model.fusionLayers() * (layer + attention + norm) + norm;
    long projections = 2L * (d + 1) * model.projection();
    long heads = 2 * d + 2 + d * d + d + norm + vocabulary + 1;
    long masked = config.objective().mvmWeight() > 0 ? d * d + 2 * d : 0;
    return image + text + fusion + projections + heads + masked;
  }

  private static long stem(ModelConfig model) {
    long d = model.width();
    if (model.stem() == ModelConfig.Stem.PATCH) {
      return 3L * model.patchSize() * model.patchSize() * d + d;
    }
    long parameters = 0;
    long in = 3;
    for (int halvings = stages(model); halvings > 0; halvings--) {
      long out = channels(model, halvings);
      parameters += 9 * in * out + 2 * out;
      in = out;
    }
    return parameters + in * d + d;
  }

  private static int stages(ModelConfig model) {
    return Integer.numberOfTrailingZeros(model.patchSize());
  }

  /** Channels of the convolution that leaves so many halvings, itself included, to the grid. */
  private static long channels(ModelConfig model, int halvings) {
    return Math.max(8, (model.width() >> (halvings - 1)) / 8 * 8);
  }

  /** Numbers that a step with all its losses keeps at once, roughly. */
  private static long activations(NasConfig config, int vocabulary) {
    ModelConfig model = config.model();
    DataConfig data = config.data();
    ObjectiveConfig objective = config.objective();
    long d = model.width();
    long batch = data.batchSize();
    long imageTokens = 1L + model.patchTokens();
    long side = model.imageSize();
    long stem = 0;
    if (model.stem() == ModelConfig.Stem.CONVOLUTION) {
      for (int halvings = stages(model); halvings > 0; halvings--) {
        side /= 2;
        stem += OF_STEM * side * side * channels(model, halvings);
      }
    }
    int kept = config.training().gradientCheckpointing() ? 1 : model.imageLayers();
    long image =
        3L * model.imageSize() * model.imageSize()
            + stem
            + imageTokens * d * (OF_LAYER * kept + model.imageLayers());
    boolean swaps = config.nva().enabled();
    double edits = config.nta().enabled() ? config.nta().share() : 0;
    // At most: those of captions that name a direction.
    double mirrored = config.nva().mirrorWeight() > 0 ? edits : 0;
    boolean masks = objective.mlmWeight() > 0;
    // Captions: the true ones, their hard negatives, the masked ones.
    double captions = batch * (1 + edits + (masks ? 1 : 0));
    double pairs =
        batch
            * (1
                + 2 * objective.itmShare()
                + edits
                + 2 * mirrored
                + (swaps ? 3 * config.nva().imageShare() : 0)
                + (masks ? 1 : 0)
                + (objective.mvmWeight() > 0 ? 1 : 0));
    long text = (long) (captions * model.textTokens() * d * OF_LAYER * model.textLayers());
    double images = batch * ((swaps ? 2 : 1) + mirrored);
    long pair =
        model.fusionLayers()
            * d
            * (model.textTokens() * (OF_LAYER + OF_CROSS_ATTENTION) + 4 * imageTokens);
    long logits =
        masks
            ? (long) (OF_LOGITS * batch * model.textTokens() * objective.maskRatio() * vocabulary)
            : 0;
    int batches = config.optimizer().accumulation();
    // Contrast over several batches keeps the patch tokens of all of them for the dictionary.
    long forDictionary =
        objective.itcOverAccumulation() && batches > 1
            ? batches * batch * model.patchTokens() * d
            : 0;
    return batch * image
        + forDictionary
        + text
        + (long) (images * imageTokens * d * (2 + 2L * model.fusionLayers()))
        + (long) (pairs * pair)
        + logits;
  }

  /** Bytes outside the heap at the peak, as exact as {@link #ACCURACY} says. */
  long nativeBytes() {
    return FIXED_BYTES + stateBytes + activationBytes;
  }

  /** All of the process at the peak, with a heap of at most that many bytes. */
  long bytes(long maxHeap) {
    return nativeBytes() + Math.min(maxHeap, USUAL_HEAP_BYTES);
  }

  long diskBytes() {
    return checkpoints * checkpointBytes;
  }

  /**
   * For people.
   *
   * @param maxHeap the heap's limit, in bytes
   * @param memory what the machine or container has, in bytes
   * @param disk free where the run's folder is, in bytes
   */
  String text(long maxHeap, long memory, long disk) {
    return String.format(
        Locale.ROOT,
        """
        memory      %s MiB, some %.0f %% more or less; up to %s once the heap is full of garbage
          heap      %s MiB in use (limit %s)
          program   %s MiB
          model     %s MiB: %s parameters, their gradients, the optimizer's moments
          a step    %s MiB: what it keeps for the gradients
        of          %s MiB in this machine or container
        disk        %s MiB: %d checkpoints of %s MiB at most, and a log of some 1 KB a step
        of          %s MiB free
        """,
        mebibytes(bytes(maxHeap)),
        100 * ACCURACY,
        mebibytes(nativeBytes() + Math.max(maxHeap, USUAL_HEAP_BYTES)),
        mebibytes(Math.min(maxHeap, USUAL_HEAP_BYTES)),
        mebibytes(maxHeap),
        mebibytes(FIXED_BYTES),
        mebibytes(stateBytes),
        Text.count(parameters),
        mebibytes(activationBytes),
        mebibytes(memory),
        mebibytes(diskBytes()),
        checkpoints,
        mebibytes(checkpointBytes),
        mebibytes(disk));
  }

  /** Whether the memory falls short of the estimate by more than the estimate is ever wrong. */
  boolean isBeyond(long maxHeap, long memory) {
    return bytes(maxHeap) * (1 - ACCURACY) > memory;
  }

  /** A warning where the memory will hardly do; else empty. */
  String memoryWarning(long maxHeap, long memory) {
    if (bytes(maxHeap) <= memory) {
      return "";
    }
    return String.format(
        Locale.ROOT,
        "the run takes some %s MiB of memory, and this machine or container has %s: the system may"
            + " kill it. Less takes a smaller data.batchSize (with optimizer.accumulation for the"
            + " same pairs in a step), training.gradientCheckpointing, a smaller model, or a"
            + " smaller heap (NAS_JAVA_OPTS=-Xmx512m; now %s MiB); --memory tells what takes how"
            + " much",
        mebibytes(bytes(maxHeap)),
        mebibytes(memory),
        mebibytes(maxHeap));
  }

  /** A warning where the disk will hardly do; else empty. */
  String diskWarning(long free) {
    if (diskBytes() <= free) {
      return "";
    }
    return String.format(
        Locale.ROOT,
        "the run's checkpoints take %s MiB, and %s are free: make room, name another --out, or set"
            + " a smaller training.keepCheckpoints or training.keepBest: false",
        mebibytes(diskBytes()),
        mebibytes(free));
  }

  /** What a run writes, for its beginning. */
  String diskLine(Path output) {
    return String.format(
        Locale.ROOT,
        "disk: %d checkpoints of %s MiB at most, %s MiB in all, in %s",
        checkpoints,
        mebibytes(checkpointBytes),
        mebibytes(diskBytes()),
        output);
  }

  private static String mebibytes(long bytes) {
    return Text.count((bytes + (1 << 20) - 1) >> 20);
  }
}
