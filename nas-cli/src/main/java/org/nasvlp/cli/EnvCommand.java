package org.nasvlp.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.Kernels;
import org.nasvlp.libtorch.LibTorch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.json.JsonMapper;

/** {@code nas env}. */
@Command(
    name = "env",
    description = "Shows versions, backends, threads and devices: what to send with a question.")
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
    shell.out().print(json ? json(facts) : table(facts));
    shell.out().flush();
    return kernels && libTorch ? 0 : Nas.FAILURE;
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
      return true;
    } catch (RuntimeException | LinkageError e) {
      facts.put("libtorch", "failed: " + Failures.describe(e));
      return false;
    }
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
