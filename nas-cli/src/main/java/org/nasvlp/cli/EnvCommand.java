package org.nasvlp.cli;

import java.io.IOException;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.libtorch.LibTorch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.json.JsonMapper;

/** {@code nas env}. */
@Command(
    name = "env",
    description =
        "Shows versions, backends, threads, devices and how ranks would meet: what to send with a"
            + " question.")
final class EnvCommand implements Callable<Integer> {
  private static final String NONE = "none";

  private final Shell shell;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  EnvCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("nas", Version.get());
    facts.put("java", System.getProperty("java.vendor") + " " + Runtime.version());
    facts.put("heap", Text.count(Runtime.getRuntime().maxMemory() >> 20) + " MiB at most");
    facts.put(
        "system",
        String.join(
            " ",
            System.getProperty("os.name"),
            System.getProperty("os.version"),
            System.getProperty("os.arch")));
    facts.put("processors", Runtime.getRuntime().availableProcessors() + processorName());
    ProcessMemory.machineMebibytes()
        .ifPresent(memory -> facts.put("memory", Text.count(memory) + " MiB"));
    boolean kernels = kernels(facts);
    boolean libTorch = libTorch(facts);
    facts.put("gpu", graphicsCard());
    facts.put("interfaces", interfaces());
    String variables = clusterVariables();
    if (!variables.isEmpty()) {
      facts.put("rank variables", variables);
    }
    boolean cluster = cluster(facts);
    shell.out().print(json ? json(facts) : table(facts));
    shell.out().flush();
    return kernels && libTorch && cluster ? 0 : Nas.FAILURE;
  }

  private static boolean kernels(Map<String, String> facts) {
    try {
      facts.put("kernels", Kernels.describe());
      for (Backend backend : Backend.values()) {
        String reason = Kernels.unavailableReason(backend);
        facts.put(
            "kernels " + backend.toString().toLowerCase(Locale.ROOT),
            reason.isEmpty() ? "available" : "not available: " + reason);
      }
      return true;
    } catch (RuntimeException | LinkageError e) {
      facts.put("kernels", "failed: " + Failures.describe(e));
      return false;
    }
  }

  private static boolean libTorch(Map<String, String> facts) {
    facts.put("libtorch", LibTorch.version());
    try {
      facts.put("libtorch threads", Integer.toString(LibTorch.threads()));
      String reason = LibTorch.cudaUnavailableReason(0);
      facts.put("training on cuda", reason.isEmpty() ? "available" : "not available: " + reason);
      reason = LibTorch.glooUnavailableReason();
      facts.put("gloo", reason.isEmpty() ? "available" : "not available: " + reason);
      facts.put("nccl", LibTorch.nccl());
      return true;
    } catch (RuntimeException | LinkageError e) {
      facts.put("libtorch", "failed: " + Failures.describe(e));
      return false;
    }
  }

  /** Those that are up, with their addresses. */
  private static String interfaces() {
    try {
      String text =
          NetworkInterface.networkInterfaces()
              .filter(EnvCommand::isUp)
              .map(
                  network ->
                      network.getInterfaceAddresses().stream()
                          .map(address -> address.getAddress().getHostAddress())
                          // Java appends the interface's name to some.
                          .map(address -> address.replaceAll("%.*", ""))
                          .collect(Collectors.joining(" ", network.getName() + " ", "")))
              .collect(Collectors.joining(", "));
      return text.isEmpty() ? NONE : text;
    } catch (SocketException e) {
      return NONE;
    }
  }

  private static boolean isUp(NetworkInterface network) {
    try {
      return network.isUp();
    } catch (SocketException e) {
      return false;
    }
  }

  private String clusterVariables() {
    return Cluster.environmentVariables().stream()
        .filter(shell.environment()::containsKey)
        .map(name -> name + "=" + shell.environment().get(name))
        .collect(Collectors.joining(" "));
  }

  private boolean cluster(Map<String, String> facts) {
    try {
      Cluster cluster = Cluster.fromEnvironment(shell.environment());
      facts.put("cluster", cluster.isAlone() ? "none: a training here is alone" : text(cluster));
      return true;
    } catch (IllegalArgumentException e) {
      facts.put("cluster", "failed: " + Failures.describe(e));
      return false;
    }
  }

  private static String text(Cluster cluster) {
    return "rank %d of %d, local rank %d; meeting at %s by %s; waiting %d s"
        .formatted(
            cluster.rank(),
            cluster.size(),
            cluster.localRank(),
            cluster.file() != null
                ? cluster.file()
                : cluster.masterAddress() + ":" + cluster.masterPort(),
            cluster.networkInterface() == null
                ? "the interface that leads there"
                : cluster.networkInterface(),
            cluster.timeout().toSeconds());
  }

  private static String processorName() {
    try {
      return Files.readAllLines(Path.of("/proc/cpuinfo"), StandardCharsets.ISO_8859_1).stream()
          .filter(line -> line.startsWith("model name"))
          .findFirst()
          .map(line -> ", " + line.substring(line.indexOf(':') + 1).strip())
          .orElse("");
    } catch (IOException e) {
      return "";
    }
  }

  private static String graphicsCard() {
    try {
      Process smi =
          new ProcessBuilder(
                  "nvidia-smi",
                  "--query-gpu=name,memory.total,driver_version",
                  "--format=csv,noheader")
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      String text = new String(smi.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
      if (!smi.waitFor(10, TimeUnit.SECONDS) || smi.exitValue() != 0 || text.isEmpty()) {
        return NONE;
      }
      return text.replace("\n", "; ");
    } catch (IOException e) {
      return NONE;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return NONE;
    }
  }

  private static String table(Map<String, String> facts) {
    StringBuilder table = new StringBuilder();
    facts.forEach(
        (name, value) -> table.append(String.format(Locale.ROOT, "%-17s%s%n", name, value)));
    return table.toString();
  }

  private static String json(Map<String, String> facts) {
    return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(facts) + "\n";
  }
}
