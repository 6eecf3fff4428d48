package org.nasvlp.train;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.config.OptimizerConfig;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.Parameters;
import org.nasvlp.train.TrainedParameters.Range;

/**
 * AdamW (Loshchilov and Hutter, arXiv 1711.05101) over flat parameter vectors, so that a step is a
 * dozen tensor operations however many parameters there are, and its state two plain tensors in a
 * checkpoint. What {@code optimizer.freeze} names is left out of all of it, and each stretch of
 * parameters has the rate of {@link LayerRates}.
 *
 * <p>Sharded (ZeRO, Rajbhandari et al., arXiv 1910.02054, stage 1), each of several ranks holds the
 * moments of its share of the parameters, updates that share, and gets the others' from them. As
 * every element is updated by itself, from gradients that all ranks have, not a bit differs.
 */
final class AdamW implements AutoCloseable {
  private final OptimizerConfig config;
  private final Parameters parameters;
  private final TrainedParameters trained;
  private final Ranks shards;
  private final Tensor first;
  private final Tensor second;

  /** Holds all moments. */
  AdamW(OptimizerConfig config, Parameters parameters) {
    this(config, parameters, Ranks.alone());
  }

  private AdamW(OptimizerConfig config, Parameters parameters, Ranks shards) {
    this.config = config;
    this.parameters = parameters;
    this.trained = TrainedParameters.of(config, parameters);
    parameters.freeze(trained.frozen());
    this.shards = shards;
    TorchDevice device = TorchDevice.of(parameters.values());
    try (PointerScope scope = new PointerScope()) {
      first = device.zeros(shard(shards.rank()).count);
      first.retainReference();
      second = device.zeros(shard(shards.rank()).count);
      second.retainReference();
    }
  }

  /**
   * Holds the moments of this rank's share. {@link #step} and {@link #moments} are collectives.
   *
   * @param ranks that share the parameters
   */
  static AdamW sharded(OptimizerConfig config, Parameters parameters, Ranks ranks) {
    return new AdamW(config, parameters, ranks);
  }

  /** How many parameters it updates, each of which has two moments. */
  long count() {
    return trained.count();
  }

  /** Of the parameters that are trained one rank's share, which may be empty. */
  private record Shard(long begin, long count) {
    Tensor of(Tensor whole) {
      return whole.narrow(0, begin, count);
    }
  }

  private Shard shard(int rank) {
    long all = count();
    long each = Math.ceilDiv(all, (long) shards.size());
    long begin = Math.min(all, rank * each);
    return new Shard(begin, Math.min(each, all - begin));
  }

  /**
   * Exponential moving averages of the gradient and of its square, of all parameters trained.
   *
   * @param first as long as {@link #count}
   * @param second as long as {@link #count}
   */
  record Moments(Tensor first, Tensor second) {}

  /**
   * The moments of all parameters trained: the optimizer's own memory, or, sharded, copies on the
   * host that belong to the caller's scope.
   *
   * @return on another rank than the first this rank's share
   */
  Moments moments() {
    if (shards.isAlone()) {
      return new Moments(first, second);
    }
    return new Moments(gathered(first), gathered(second));
  }

  private Tensor gathered(Tensor own) {
    Tensor whole = shards.isFirst() ? Torch.empty(torch.ScalarType.Float, count()) : own;
    // One share at a time: the other ranks need not hold more than that.
    for (int rank = 0; rank < shards.size(); rank++) {
      try (PointerScope scope = new PointerScope();
          AutoGradMode off = Torch.withoutGradient()) {
        Shard shard = shard(rank);
        Tensor part =
            rank == shards.rank()
                ? Torch.host(own)
                : Torch.empty(torch.ScalarType.Float, shard.count);
        shards.broadcast(part, rank);
        if (shards.isFirst()) {
          Tensor _ = shard.of(whole).copy_(part);
        }
      }
    }
    return whole;
  }

  /**
   * Takes the moments from where a checkpoint has them; of those of all this rank's.
   *
   * @param ofFirst float32, {@link #count} of them
   * @param ofSecond float32, {@link #count} of them
   */
  void restore(MemorySegment ofFirst, MemorySegment ofSecond) {
    Shard own = shard(shards.rank());
    long begin = own.begin * Float.BYTES;
    long bytes = own.count * Float.BYTES;
    Torch.copyInto(first, ofFirst.asSlice(begin, bytes));
    Torch.copyInto(second, ofSecond.asSlice(begin, bytes));
  }

  /**
   * Clips the gradients of the parameters trained to the configured norm.
   *
   * @return their norm before
   */
  double clip() {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      for (Range gap : trained.gaps(parameters.count())) {
        // Computed all the same for a part of what is computed as one.
        parameters.gradients().narrow(0, gap.begin(), gap.count()).zero_();
      }
      double norm = parameters.gradients().norm().item_double();
      if (config.clipNorm() > 0 && norm > config.clipNorm()) {
        parameters.gradients().mul_(new Scalar(config.clipNorm() / (norm + 1e-6)));
      }
      return norm;
    }
  }

  /** One step; {@code count} is the number of steps including this one. */
  void step(double learningRate, long count) {
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      Shard own = shard(shards.rank());
      long at = 0;
      for (Range range : trained.of(own.begin, own.count)) {
        update(range, new Shard(at, range.count()), learningRate * range.rate(), count);
        at += range.count();
      }
      for (int rank = 0; rank < shards.size(); rank++) {
        for (Range range : stretches(shard(rank))) {
          shards.broadcast(parameters.values().narrow(0, range.begin(), range.count()), rank);
        }
      }
      parameters.gradients().zero_();
    }
  }

  /** Updates a range of the parameters, whose moments are a part of the rank's own. */
  private void update(Range range, Shard moments, double learningRate, long count) {
    Tensor gradients = parameters.gradients().narrow(0, range.begin(), range.count());
    Tensor values = parameters.values().narrow(0, range.begin(), range.count());
    if (config.weightDecay() > 0) {
      long decayed = Math.clamp(parameters.decayed() - range.begin(), 0, range.count());
      values.narrow(0, 0, decayed).mul_(new Scalar(1 - learningRate * config.weightDecay()));
    }
    Tensor mean = moments.of(first);
    Tensor square = moments.of(second);
    mean.lerp_(gradients, new Scalar(1 - config.beta1()));
    square
        .mul_(new Scalar(config.beta2()))
        .addcmul_(gradients, gradients, new Scalar(1 - config.beta2()));
    double correction1 = 1 - Math.pow(config.beta1(), (double) count);
    double correction2 = 1 - Math.pow(config.beta2(), (double) count);
    Tensor denominator =
        square.sqrt().div_(new Scalar(Math.sqrt(correction2))).add_(new Scalar(config.epsilon()));
    values.addcdiv_(mean, denominator, new Scalar(-learningRate / correction1));
  }

  /** What a share is of the parameters, whatever the rates: one message each. */
  private List<Range> stretches(Shard shard) {
    List<Range> joined = new ArrayList<>();
    for (Range range : trained.of(shard.begin, shard.count)) {
      if (!joined.isEmpty() && joined.getLast().end() == range.begin()) {
        Range last = joined.removeLast();
        joined.add(new Range(last.begin(), last.count() + range.count(), 1));
      } else {
        joined.add(range);
      }
    }
    return joined;
  }

  @Override
  public void close() {
    first.releaseReference();
    second.releaseReference();
  }
}
