package org.nasvlp.spark;

import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.spark.BarrierTaskContext;
import org.apache.spark.BarrierTaskInfo;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkEnv;
import org.apache.spark.SparkException;
import org.apache.spark.api.java.JavaSparkContext;
import org.nasvlp.checkpoint.Checkpoints;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.train.NasTrainer;
import org.nasvlp.train.NasTrainerBuilder;
import org.nasvlp.train.TrainingException;
import org.nasvlp.train.TrainingResult;
import scala.collection.Iterator;
import scala.jdk.javaapi.CollectionConverters;
import scala.reflect.ClassTag$;
import scala.runtime.AbstractFunction1;

/**
 * A training as one stage of Spark whose tasks run all at once or not at all (barrier execution
 * mode). Each task is a rank; Spark tells them where rank 0 is, and begins all of them anew when
 * one is lost.
 */
final class Barrier {
  /** How long executors that were asked for may be on their way. */
  static final long SLOTS_SECONDS = 60;

  private Barrier() {}

  /**
   * Trains.
   *
   * @param slotsSeconds how long to wait until all ranks can run at once
   */
  static Trained train(SparkContext spark, TrainOptions options, long slotsSeconds) {
    awaitSlots(spark, options.ranks(), slotsSeconds);
    List<Integer> ranks = IntStream.range(0, options.ranks()).boxed().toList();
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark);
    try {
      if (!options.resume() && holdsRun(context, options.output())) {
        throw new TrainingException(
            options.output()
                + " already holds a run: go on with it by withResume(true), or choose another"
                + " output");
      }
      return context
          .parallelize(ranks, options.ranks())
          .rdd()
          .barrier()
          .mapPartitions(new Rank(options), false, ClassTag$.MODULE$.apply(Trained.class))
          .toJavaRDD()
          // A shuffle: of a barrier's stages Spark begins anew those alone that are not a job's
          // last.
          .repartition(1)
          .collect()
          .getFirst();
    } catch (Exception e) {
      // Spark throws its checked exception undeclared.
      if (e instanceof SparkException) {
        throw new TrainingException("training on Spark failed: " + e.getMessage(), e);
      }
      throw e;
    }
  }

  /**
   * Asked before the stage: an attempt cannot tell an earlier attempt's run from another call's.
   */
  private static boolean holdsRun(JavaSparkContext spark, String output) {
    return spark
        .parallelize(List.of(output), 1)
        .map(folder -> Checkpoints.latest(Path.of(folder)).isPresent())
        .first();
  }

  /**
   * Waits until all ranks can run at once: Spark itself waits ten minutes, and its message does not
   * say for what.
   */
  private static void awaitSlots(SparkContext spark, int ranks, long seconds) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
    int slots = slots(spark);
    while (slots < ranks && System.nanoTime() - end < 0) {
      try {
        Thread.sleep(200);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new TrainingException("interrupted while waiting for executors", e);
      }
      slots = slots(spark);
    }
    if (slots < ranks) {
      throw new TrainingException(
          ("%d ranks run at once, and after %d s Spark has room for %d tasks: add executors, give"
                  + " each as many cores as spark.task.cpus, or train on fewer ranks")
              .formatted(ranks, seconds, slots));
    }
  }

  private static int slots(SparkContext spark) {
    return spark.maxNumConcurrentTasks(spark.resourceProfileManager().defaultResourceProfile());
  }

  /** What a task does. */
  private static final class Rank extends AbstractFunction1<Iterator<Integer>, Iterator<Trained>>
      implements Serializable {
    private static final long serialVersionUID = 1;

    private final TrainOptions options;

    Rank(TrainOptions options) {
      this.options = options;
    }

    @Override
    public Iterator<Trained> apply(Iterator<Integer> own) {
      BarrierTaskContext task = BarrierTaskContext.get();
      TrainingResult result;
      try {
        result = train(task, cluster(task));
      } catch (RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new TrainingException(String.valueOf(e.getMessage()), e);
      }
      return CollectionConverters.asScala(
          task.partitionId() > 0
              ? List.<Trained>of().iterator()
              : List.of(
                      new Trained(
                          result.checkpoint().toString(),
                          result.step(),
                          result.stopped(),
                          new LinkedHashMap<>(result.losses()),
                          result.skippedSamples(),
                          task.stageAttemptNumber() + 1))
                  .iterator());
    }

    private Cluster cluster(BarrierTaskContext task) {
      BarrierTaskInfo[] tasks = task.getTaskInfos();
      int rank = task.partitionId();
      if (tasks.length == 1) {
        return Cluster.alone();
      }
      List<String> hosts = Stream.of(tasks).map(BarrierTaskInfo::address).map(Rank::host).toList();
      String port = rank == 0 ? String.valueOf(freePort(hosts.getFirst())) : "";
      String[] told = task.allGather(SparkEnv.get().executorId() + " " + port);
      Map<String, Integer> rankOf = new HashMap<>();
      for (int r = 0; r < told.length; r++) {
        String executor = told[r].substring(0, told[r].lastIndexOf(' '));
        Integer other = rankOf.put(executor, r);
        if (other != null) {
          throw new TrainingException(
              ("ranks %d and %d are in one executor, %s, and a process trains as one rank: set"
                      + " spark.executor.cores to spark.task.cpus")
                  .formatted(other, r, executor));
        }
      }
      long local = hosts.subList(0, rank).stream().filter(hosts.get(rank)::equals).count();
      // As torchrun would set them; NAS_INTERFACE and NAS_TIMEOUT are the executor's own.
      Map<String, String> environment = new HashMap<>(System.getenv());
      environment.put("RANK", String.valueOf(rank));
      environment.put("WORLD_SIZE", String.valueOf(tasks.length));
      environment.put("LOCAL_RANK", String.valueOf(local));
      environment.put("MASTER_ADDR", hosts.getFirst());
      environment.put("MASTER_PORT", told[0].substring(told[0].lastIndexOf(' ') + 1));
      return Cluster.fromEnvironment(environment);
    }

    /** Of "host:port". */
    private static String host(String address) {
      int colon = address.lastIndexOf(':');
      return colon < 0 ? address : address.substring(0, colon);
    }

    private static int freePort(String host) {
      try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName(host))) {
        return socket.getLocalPort();
      } catch (IOException e) {
        throw new UncheckedIOException(
            "rank 0 cannot listen on " + host + ", as its executor is called: " + e.getMessage(),
            e);
      }
    }

    private TrainingResult train(BarrierTaskContext task, Cluster cluster) throws Exception {
      NasConfig config = NasConfig.fromJson(options.config(), "the options' configuration");
      try (ImageTextDataset data =
              ImageTextDataset.open(Path.of(options.data()), config.data().background());
          CaptionTokenizer tokenizer =
              CaptionTokenizer.load(Path.of(options.tokenizer()), config.model().textTokens())) {
        NasTrainerBuilder trainer =
            NasTrainer.builder()
                .config(config)
                .dataset(data)
                .tokenizer(tokenizer)
                .output(Path.of(options.output()))
                .captionEdits(Path.of(options.data(), "captions"))
                // Nothing is there at the first attempt, unless it is to be resumed.
                .resume(true)
                .threads(task.cpus())
                .cluster(cluster);
        TrainOptions.Trainer extend = options.trainer();
        if (extend != null) {
          extend.extend(trainer);
        }
        return trainer.build().run();
      }
    }
  }
}
