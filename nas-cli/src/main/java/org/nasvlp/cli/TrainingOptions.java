package org.nasvlp.cli;

import java.net.URI;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Options that {@code demo} and {@code train} share. */
final class TrainingOptions {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  @Option(names = "--resume", description = "Continue the run in the --out folder.")
  boolean resume;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = {
        "Threads for the computation (default: all processors; the demo, whose length the clock"
            + " decides, uses fewer where that is as fast)."
      })
  private @Nullable Integer threads;

  @Mixin DeviceOption device;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Also write the final tables to FILE as JSON.")
  @Nullable Path json;

  @Option(
      names = "--report",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description = {
        "Leave an HTML page on the run in its folder, report.html, and its final tables as JSON,"
            + " run.json (default: ${DEFAULT-VALUE})."
      })
  boolean report;

  @Option(
      names = "--tensorboard",
      description =
          "Also write the run's curves, the use of its codewords and some hard negative"
              + " images for TensorBoard, into its folder tensorboard.")
  boolean tensorBoard;

  @Option(
      names = "--mlflow",
      paramLabel = "URL",
      description =
          "Also log parameters, curves and results to an MLflow server, such as"
              + " http://localhost:5000. A server that does not answer does not hold the training"
              + " up.")
  private @Nullable URI mlflow;

  @Option(
      names = "--mlflow-experiment",
      paramLabel = "NAME",
      description = "MLflow's experiment, made if there is none of the name (default: nas).")
  private @Nullable String mlflowExperiment;

  @Option(names = "--profile", description = "Also show where the time of a step goes.")
  boolean profile;

  @Option(
      names = "--memory",
      description = "Only tell what memory and disk the run takes, and exit.")
  boolean memory;

  @Option(
      names = "--ignore-memory",
      description = "Begin although the run will not fit into the memory.")
  boolean ignoreMemory;

  /** Where the run is logged; null for nowhere. */
  MlflowListener.@Nullable Target mlflow() {
    if (mlflow == null) {
      if (mlflowExperiment != null) {
        throw new ParameterException(spec.commandLine(), "--mlflow-experiment needs --mlflow URL");
      }
      return null;
    }
    boolean web = "http".equals(mlflow.getScheme()) || "https".equals(mlflow.getScheme());
    if (!web
        || mlflow.getHost() == null
        || mlflow.getRawUserInfo() != null
        || mlflow.getRawQuery() != null) {
      throw new ParameterException(
          spec.commandLine(),
          "Invalid value for option '--mlflow': it is no address such as http://localhost:5000");
    }
    if (mlflowExperiment != null && mlflowExperiment.isBlank()) {
      throw new ParameterException(
          spec.commandLine(), "Invalid value for option '--mlflow-experiment': it is blank");
    }
    return new MlflowListener.Target(mlflow, mlflowExperiment == null ? "nas" : mlflowExperiment);
  }

  /** Whether the user says how many threads. */
  boolean namesThreads() {
    return threads != null;
  }

  int threads() {
    if (threads == null) {
      return Runtime.getRuntime().availableProcessors();
    }
    if (threads < 1 || threads > 1024) {
      throw new ParameterException(
          spec.commandLine(),
          "Invalid value for option '--threads': " + threads + " is not between 1 and 1024");
    }
    return threads;
  }
}
