package org.nasvlp.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.nasvlp.checkpoint.Checkpoints;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.distributed.Ranks;
import org.nasvlp.distributed.RanksLostException;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.objective.Objective;
import org.nasvlp.random.StableHash;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Brings the ranks of a run together, and sees to it that they train the same. */
final class RanksOfRun {
  /** Captions that two data sets are compared by, evenly spread. */
  private static final long COMPARED = 64;

  private static final JsonMapper JSON = JsonMapper.builder().build();

  private RanksOfRun() {}

  /**
   * Waits for all ranks of a run.
   *
   * @throws TrainingException if one does not come, or was started with something else, or the
   *     configuration cannot be divided
   */
  static Ranks join(RunSettings settings) {
    Cluster cluster = settings.cluster();
    if (cluster.isAlone()) {
      return Ranks.alone();
    }
    int batch = settings.config().data().batchSize();
    if (batch % cluster.size() != 0) {
      throw new TrainingException(
          "a batch of %d pairs cannot be divided among %d ranks: set data.batchSize to a multiple of %d"
              .formatted(batch, cluster.size(), cluster.size()));
    }
    String device = settings.config().training().device();
    if (cluster.transport() == Cluster.Transport.NCCL && !device.startsWith("cuda")) {
      throw new TrainingException(
          "NCCL exchanges what lies on CUDA devices, and training.device is %s: set it to cuda, or exchange by gloo"
              .formatted(device));
    }
    try {
      Ranks ranks = Ranks.join(cluster, facts(settings));
      if (settings.timesWaiting()) {
        ranks.timeWaiting();
      }
      return ranks;
    } catch (RanksLostException | IllegalStateException e) {
      throw new TrainingException(e.getMessage(), e);
    }
  }

  /**
   * The settings with the rank's own CUDA device, where the configuration asks for "cuda" or
   * "auto": the one of its number among the ranks of its machine.
   *
   * @throws TrainingException if the machine has CUDA devices, and fewer than ranks
   */
  static RunSettings onOwnDevice(RunSettings settings) {
    Cluster cluster = settings.cluster();
    String asked = settings.config().training().device();
    boolean auto = asked.equals("auto");
    if (cluster.isAlone() || !(auto || asked.equals("cuda"))) {
      return settings;
    }
    if (auto && !TorchDevice.unavailableReason(0).isEmpty()) {
      return settings;
    }
    String reason = TorchDevice.unavailableReason(cluster.localRank());
    if (!reason.isEmpty()) {
      throw new TrainingException(
          "rank %d, number %d on its machine, has no CUDA device of its own: %s; start one rank for each device"
              .formatted(cluster.rank(), cluster.localRank(), reason));
    }
    return settings.with(
        settings.config().withTraining(training -> training.device("cuda:" + cluster.localRank())));
  }

  /** What ranks must have in common, by name. */
  private static Map<String, String> facts(RunSettings settings) {
    Map<String, String> facts = new LinkedHashMap<>();
    Package version = RanksOfRun.class.getPackage();
    facts.put("the library's version", String.valueOf(version.getImplementationVersion()));
    facts.putAll(fields(settings.config()));
    ImageTextDataset dataset = settings.dataset();
    facts.put("the number of pairs of the data set", String.valueOf(dataset.size()));
    facts.put("the data set's captions (by a hash)", hash(dataset));
    facts.put(
        "the tokenizer (by a hash)", Long.toHexString(StableHash.of(settings.tokenizer().json())));
    facts.put(
        "the objectives besides the configuration's",
        settings.objectives().stream().map(Objective::name).toList().toString());
    facts.put("whether there is a benchmark", String.valueOf(settings.benchmark() != null));
    facts.put("the published benchmarks", settings.published().keySet().toString());
    facts.put("the metrics of the program's own", settings.metrics().keySet().toString());
    facts.put("the guard", String.valueOf(settings.guard()));
    facts.put("whether the run is resumed", String.valueOf(settings.resume()));
    facts.put("whether waiting for other ranks is timed", String.valueOf(settings.timesWaiting()));
    return facts;
  }

  /** The configuration's fields but those that may differ from rank to rank. */
  private static Map<String, String> fields(NasConfig config) {
    Map<String, String> fields = new LinkedHashMap<>();
    flatten("", JSON.readTree(config.toJson()), fields);
    fields.keySet().removeAll(Set.of("training.device", "data.loaderThreads"));
    return fields;
  }

  private static void flatten(String name, JsonNode value, Map<String, String> fields) {
    if (!value.isObject()) {
      fields.put(name, value.toString());
      return;
    }
    value
        .properties()
        .forEach(
            field ->
                flatten(
                    name.isEmpty() ? field.getKey() : name + "." + field.getKey(),
                    field.getValue(),
                    fields));
  }

  private static String hash(ImageTextDataset dataset) {
    StringBuilder captions = new StringBuilder();
    for (long i = 0; i < COMPARED; i++) {
      long index = dataset.size() * i / COMPARED;
      try {
        captions.append(dataset.caption(index).caption()).append('\n');
      } catch (BadSampleException e) {
        captions.append('\n');
      }
    }
    return Long.toHexString(StableHash.of(captions.toString()));
  }

  /**
   * The checkpoint that a run goes on from, once rank 0 has mended what a kill has left. A
   * collective.
   *
   * @throws TrainingException if the ranks do not see the same
   */
  static Optional<Path> latest(Path output, Ranks ranks) throws IOException {
    if (ranks.isFirst()) {
      Checkpoints.recover(output);
    }
    ranks.await();
    Optional<Path> latest = Checkpoints.latest(output);
    String mine = latest.map(path -> path.getFileName().toString()).orElse("none");
    byte[][] all = ranks.gather(mine.getBytes(StandardCharsets.UTF_8));
    for (int rank = 1; rank < all.length; rank++) {
      String first = new String(all[0], StandardCharsets.UTF_8);
      String other = new String(all[rank], StandardCharsets.UTF_8);
      if (!first.equals(other)) {
        throw new TrainingException(
            "the newest checkpoint in %s is %s for rank 0 and %s for rank %d: give a folder that all ranks reach"
                .formatted(output, first, other, rank));
      }
    }
    return latest;
  }

  /** What another rank's end means for this one's run. */
  static TrainingException failure(Path output, RanksLostException lost) {
    String resume;
    try {
      resume =
          Checkpoints.latest(output)
              .map(path -> "resume from the last checkpoint, " + path)
              .orElse("no checkpoint was written yet");
    } catch (IOException | UncheckedIOException e) {
      resume = "checkpoints in " + output + " cannot be read";
    }
    return new TrainingException(lost.getMessage() + "; " + resume, lost);
  }
}
