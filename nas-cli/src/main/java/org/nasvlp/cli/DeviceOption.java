package org.nasvlp.cli;

import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.config.TrainingConfig;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Where a command computes. */
final class DeviceOption {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  private @Nullable String device;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description =
          "cpu, cuda, cuda:N, or auto: a GPU if it is usable, else the CPU (default: the"
              + " configuration's when training, else cpu).")
  void setDevice(String name) {
    if (!TrainingConfig.isDevice(name)) {
      throw new ParameterException(
          spec.commandLine(),
          "Invalid value for option '--device': " + name + " is not cpu, cuda, cuda:N or auto");
    }
    device = name;
  }

  /** For a model that is loaded. */
  String orCpu() {
    return device == null ? "cpu" : device;
  }

  /** Whether a GPU is asked for, and no less. */
  boolean asksForGpu() {
    return device != null && device.startsWith("cuda");
  }

  /** The configuration with this device, if one is named. */
  NasConfig on(NasConfig config) {
    return device == null ? config : config.withTraining(t -> t.device(device));
  }
}
