package org.nasvlp.kernels.internal;

import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Collectors;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.CpuTier;
import org.nasvlp.kernels.CudaTier;
import org.nasvlp.kernels.NasNativeException;

/**
 * What this process runs on: each library loaded at most once, the default backend chosen once, and
 * the settings that hold for all codebooks.
 */
public final class Libraries {
  private static final System.Logger LOG = System.getLogger("org.nasvlp.kernels");
  private static final int MAX_THREADS = 1024;

  private static final KernelLibrary JAVA = new JavaLibrary();

  /**
   * What became of an attempt to load a library.
   *
   * @param library the library, or null
   * @param reason why there is none, with the remedy; "" if there is one
   * @param fatal whether the user asked for what failed, so that going on without it would be wrong
   */
  record Outcome(NativeLibrary library, String reason, boolean fatal) {
    static Outcome of(NativeLibrary library) {
      return new Outcome(library, "", false);
    }

    static Outcome none(String reason) {
      return new Outcome(null, reason, false);
    }

    static Outcome failed(String reason) {
      return new Outcome(null, reason, true);
    }
  }

  private static final Object LOCK = new Object();
  private static volatile Outcome cuda;
  private static volatile Outcome cpu;
  private static volatile Backend chosen;
  private static volatile int threads;

  private Libraries() {}

  /** The default backend. */
  public static Backend chosen() {
    Backend known = chosen;
    if (known != null) {
      return known;
    }
    synchronized (LOCK) {
      if (chosen == null) {
        chosen = choose();
      }
      return chosen;
    }
  }

  private static Backend choose() {
    threads();
    Backend ceiling = requestedBackend();
    if (ceiling != null) {
      String reason = unavailableReason(ceiling);
      if (!reason.isEmpty()) {
        throw new NasNativeException(
            NasNativeException.NOT_LOADED,
            "-Dnas.backend="
                + ceiling
                + " asks for the "
                + ceiling
                + " kernels, which are not available: "
                + reason);
      }
      LOG.log(System.Logger.Level.DEBUG, () -> "kernels: " + library(ceiling).describe());
      return ceiling;
    }
    Backend best = Backend.JAVA;
    for (Backend backend : new Backend[] {Backend.CPU, Backend.CUDA}) {
      Outcome outcome = outcome(backend);
      if (outcome.fatal()) {
        throw new NasNativeException(NasNativeException.NOT_LOADED, outcome.reason());
      }
      if (outcome.library() != null) {
        best = backend;
      }
    }
    if (best == Backend.JAVA) {
      LOG.log(
          System.Logger.Level.WARNING,
          "The kernels run in plain Java, many times slower: "
              + outcome(Backend.CPU).reason()
              + " (-Dnas.backend=java accepts this and silences the warning.)");
    } else {
      Backend found = best;
      LOG.log(System.Logger.Level.DEBUG, () -> "kernels: " + library(found).describe());
    }
    return best;
  }

  /** The library of a backend, which must be available. */
  public static KernelLibrary require(Backend backend) {
    String reason = unavailableReason(backend);
    if (!reason.isEmpty()) {
      throw new NasNativeException(
          NasNativeException.NOT_LOADED,
          "the " + backend + " kernels are not available: " + reason);
    }
    return library(backend);
  }

  private static KernelLibrary library(Backend backend) {
    return backend == Backend.JAVA ? JAVA : outcome(backend).library();
  }

  /** Why a backend is not available, or "". */
  public static String unavailableReason(Backend backend) {
    Objects.requireNonNull(backend, "backend");
    if (backend == Backend.JAVA) {
      return "";
    }
    Backend ceiling = requestedBackend();
    if (ceiling != null && backend.compareTo(ceiling) < 0) {
      return "switched off by -Dnas.backend=" + ceiling;
    }
    return outcome(backend).reason();
  }

  private static Backend requestedBackend() {
    return property("nas.backend", Backend.class);
  }

  /** Loads the library of CUDA or CPU unless that has been tried. */
  private static Outcome outcome(Backend backend) {
    Outcome known = backend == Backend.CUDA ? cuda : cpu;
    if (known != null) {
      return known;
    }
    synchronized (LOCK) {
      if (backend == Backend.CUDA) {
        if (cuda == null) {
          cuda = applyCudaSettings(NativeLoader.load(Backend.CUDA));
        }
        return cuda;
      }
      if (cpu == null) {
        cpu = applySettings(NativeLoader.load(Backend.CPU));
      }
      return cpu;
    }
  }

  private static Outcome applyCudaSettings(Outcome outcome) {
    NativeLibrary library = outcome.library();
    CudaTier tier = property("nas.cuda.tier", CudaTier.class);
    if (library == null || tier == null) {
      return outcome;
    }
    CudaTier best = (CudaTier) library.bestTier();
    if (tier.compareTo(best) > 0) {
      return Outcome.failed(
          "-Dnas.cuda.tier="
              + tier
              + " asks for what this device does not have; its best tier is "
              + best);
    }
    library.setTier(tier);
    return outcome;
  }

  private static Outcome applySettings(Outcome outcome) {
    NativeLibrary library = outcome.library();
    if (library == null) {
      return outcome;
    }
    library.setThreads(threads());
    CpuTier tier = property("nas.tier", CpuTier.class);
    if (tier != null) {
      List<CpuTier> tiers = library.tiers();
      if (!tiers.contains(tier)) {
        return Outcome.failed(
            "-Dnas.tier=" + tier + " is none of the tiers that this machine has: " + names(tiers));
      }
      library.setTier(tier);
    }
    return outcome;
  }

  /** What the default backend runs on. */
  public static String describe() {
    Backend backend = chosen();
    String line = library(backend).describe();
    if (backend != Backend.JAVA) {
      return line;
    }
    String reason = unavailableReason(Backend.CPU);
    return line
        + (reason.isEmpty() ? "" : " (native library not loaded: " + withoutStop(reason) + ")");
  }

  private static String withoutStop(String sentence) {
    return sentence.endsWith(".") ? sentence.substring(0, sentence.length() - 1) : sentence;
  }

  /** Threads that one call may use. */
  public static int threads() {
    int known = threads;
    if (known > 0) {
      return known;
    }
    synchronized (LOCK) {
      if (threads == 0) {
        String text = System.getProperty("nas.threads");
        int n = Math.min(MAX_THREADS, Runtime.getRuntime().availableProcessors());
        if (text != null) {
          try {
            n = Integer.parseInt(text.strip());
          } catch (NumberFormatException e) {
            n = 0;
          }
          if (n < 1 || n > MAX_THREADS) {
            throw new IllegalArgumentException(
                "-Dnas.threads=" + text + " is no number of threads in 1.." + MAX_THREADS);
          }
        }
        threads = n;
      }
      return threads;
    }
  }

  /** Sets {@link #threads()}. */
  public static void setThreads(int n) {
    if (n < 1 || n > MAX_THREADS) {
      throw new IllegalArgumentException("n is " + n + "; it must be in 1.." + MAX_THREADS);
    }
    synchronized (LOCK) {
      threads = n;
      if (cpu != null && cpu.library() != null) {
        cpu.library().setThreads(n);
      }
    }
  }

  /** The CPU's tier in use. */
  public static CpuTier tier() {
    NativeLibrary library = cpuLibrary();
    return library == null ? CpuTier.SCALAR : (CpuTier) library.tier();
  }

  /** The CPU's tiers on this machine. */
  public static List<CpuTier> tiers() {
    NativeLibrary library = cpuLibrary();
    return library == null ? List.of(CpuTier.SCALAR) : library.tiers();
  }

  private static String names(List<CpuTier> tiers) {
    return tiers.stream().map(CpuTier::toString).collect(Collectors.joining(", "));
  }

  /** The CPU's best tier. */
  public static CpuTier bestTier() {
    NativeLibrary library = cpuLibrary();
    return library == null ? CpuTier.SCALAR : (CpuTier) library.bestTier();
  }

  /** Sets the CPU's tier. */
  public static void setTier(CpuTier tier) {
    Objects.requireNonNull(tier, "tier");
    List<CpuTier> tiers = tiers();
    if (!tiers.contains(tier)) {
      throw new IllegalArgumentException(
          "tier is " + tier + ", but this machine has " + names(tiers));
    }
    NativeLibrary library = cpuLibrary();
    if (library != null) {
      library.setTier(tier);
    }
  }

  private static NativeLibrary cpuLibrary() {
    return unavailableReason(Backend.CPU).isEmpty() ? outcome(Backend.CPU).library() : null;
  }

  private static <E extends Enum<E>> E property(String name, Class<E> type) {
    String text = System.getProperty(name);
    if (text == null || text.isBlank()) {
      return null;
    }
    StringBuilder names = new StringBuilder();
    for (E constant : type.getEnumConstants()) {
      if (constant.name().equalsIgnoreCase(text.strip())) {
        return constant;
      }
      names.append(names.isEmpty() ? "" : ", ").append(constant.name().toLowerCase(Locale.ROOT));
    }
    throw new IllegalArgumentException(
        "-D" + name + "=" + text + " is not known; the choices are " + names);
  }
}
