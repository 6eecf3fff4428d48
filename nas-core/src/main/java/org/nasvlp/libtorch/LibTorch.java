package org.nasvlp.libtorch;

import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch_nccl;
import org.bytedeco.pytorch.gloo.Device;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;

/**
 * Tells and sets what models compute with, as {@link org.nasvlp.kernels.Kernels} does for the
 * dictionary. Loads LibTorch on first use. Thread-safe.
 */
public final class LibTorch {
  private static final String PROPERTIES = "/META-INF/maven/org.bytedeco/pytorch/pom.properties";

  private LibTorch() {}

  /** The version of the bindings, such as "2.10.0-1.5.13"; "unknown" if their jar tells none. */
  public static String version() {
    try (InputStream stream = torch.class.getResourceAsStream(PROPERTIES)) {
      if (stream == null) {
        return "unknown";
      }
      Properties properties = new Properties();
      properties.load(stream);
      return properties.getProperty("version", "unknown");
    } catch (IOException e) {
      return "unknown";
    }
  }

  /**
   * Threads that one operation may use.
   *
   * @throws IllegalStateException if LibTorch cannot be loaded, with the remedy
   */
  public static int threads() {
    Torch.ensureLoaded();
    return torch.get_num_threads();
  }

  /**
   * Sets the threads that one operation may use, OpenBLAS's included, process-wide.
   *
   * @throws IllegalArgumentException if there is not at least one
   * @throws IllegalStateException if LibTorch cannot be loaded, with the remedy
   */
  public static void setThreads(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("threads is " + threads + "; there must be at least 1");
    }
    Torch.setThreads(threads);
  }

  /**
   * Why models cannot be trained or run on a CUDA device, with the remedy; "" if they can.
   *
   * @param index of the device, counted from 0
   * @throws IllegalStateException if LibTorch cannot be loaded, with the remedy
   */
  public static String cudaUnavailableReason(int index) {
    return TorchDevice.unavailableReason(index);
  }

  /**
   * NCCL's version, such as "2.28.3", or why ranks cannot exchange data by it.
   *
   * @throws IllegalStateException if LibTorch cannot be loaded, with the remedy
   */
  public static String nccl() {
    String reason = cudaUnavailableReason(0);
    if (!reason.isEmpty()) {
      return "not available: " + reason;
    }
    try {
      int version = torch_nccl.getNcclVersionNumber();
      return "%d.%d.%d".formatted(version / 10_000, version / 100 % 100, version % 100);
    } catch (RuntimeException | LinkageError e) {
      return "not available: " + String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    }
  }

  /**
   * Why ranks cannot exchange data by Gloo, with what it says; "" if they can.
   *
   * @throws IllegalStateException if LibTorch cannot be loaded, with the remedy
   */
  public static String glooUnavailableReason() {
    Torch.ensureLoaded();
    try (PointerScope _ = new PointerScope();
        Device _ = ProcessGroupGloo.createDeviceForHostname("127.0.0.1")) {
      return "";
    } catch (RuntimeException | LinkageError e) {
      return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    }
  }
}
