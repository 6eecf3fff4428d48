package org.nasvlp.cli;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.nasvlp.distributed.Cluster;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** How ranks find each other: options that count before the environment. */
final class ClusterOptions {
  private static final Pattern RENDEZVOUS = Pattern.compile("file:.+|(?!file:).+:[0-9]{1,5}");
  private static final int WEEK = 604_800;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  private @Nullable String rendezvous;
  private @Nullable Integer timeout;

  @Option(
      names = "--interface",
      paramLabel = "NAME",
      description = "Network interface that ranks exchange data by, such as eth0.")
  private @Nullable String networkInterface;

  @Option(
      names = "--transport",
      paramLabel = "gloo|nccl",
      description =
          "Library by which ranks exchange data (default: gloo). NCCL takes a CUDA device for each"
              + " rank, and has not been tried.")
  private Cluster.@Nullable Transport transport;

  @Option(
      names = "--rendezvous",
      paramLabel = "file:PATH|HOST:PORT",
      description =
          "Where ranks find each other: a file that all of them reach and that does not exist yet,"
              + " or an address of rank 0.")
  void setRendezvous(String value) {
    if (!RENDEZVOUS.matcher(value).matches()) {
      throw new ParameterException(
          spec.commandLine(),
          "Invalid value for option '--rendezvous': " + value + " is not file:PATH or HOST:PORT");
    }
    rendezvous = value;
  }

  @Option(
      names = "--rank-timeout",
      paramLabel = "SECONDS",
      description = "How long a rank waits for the others (default: 600).")
  void setTimeout(int value) {
    if (value < 1 || value > WEEK) {
      throw new ParameterException(
          spec.commandLine(),
          "Invalid value for option '--rank-timeout': %d is not between 1 and %d"
              .formatted(value, WEEK));
    }
    timeout = value;
  }

  /** What is given, as variables of the environment. */
  Map<String, String> variables() {
    Map<String, String> variables = new HashMap<>();
    if (rendezvous != null) {
      variables.put("NAS_RENDEZVOUS", rendezvous);
    }
    if (networkInterface != null) {
      variables.put("NAS_INTERFACE", networkInterface);
    }
    if (transport != null) {
      variables.put("NAS_TRANSPORT", transport.name());
    }
    if (timeout != null) {
      variables.put("NAS_TIMEOUT", timeout.toString());
    }
    return variables;
  }

  /** The file to meet by; null if none is given. */
  @Nullable Path file() {
    return rendezvous != null && rendezvous.startsWith("file:")
        ? Path.of(rendezvous.substring(5))
        : null;
  }

  /** The processes that train together, of which this is one. */
  Cluster cluster(Map<String, String> environment) {
    Map<String, String> all = new HashMap<>(environment);
    all.putAll(variables());
    return Cluster.fromEnvironment(all);
  }

  /** How many ranks share this machine, where the launcher says so; else 1. */
  static int ranksHere(Map<String, String> environment) {
    String text = environment.getOrDefault("LOCAL_WORLD_SIZE", "");
    return text.matches("[1-9][0-9]{0,5}") ? Integer.parseInt(text) : 1;
  }
}
