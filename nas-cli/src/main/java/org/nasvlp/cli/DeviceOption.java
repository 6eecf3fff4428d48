package org.nasvlp.cli;

import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Where a command computes. */
final class DeviceOption {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description =
          "cpu, cuda, cuda:N, or auto: a GPU if it is usable, else the CPU (default: the"
              + " configuration's when training, else cpu).")
  private @Nullable String device;

  private @Nullable String checked() {
    if (device != null && !device.matches("cpu|auto|cuda(:[0-9]{1,2})?")) {
      throw new ParameterException(
          spec.commandLine(),
          "Invalid value for option '--device': " + device + " is not cpu, cuda, cuda:N or auto");
    }
    return device;
  }

  /** For a model that is loaded. */
  String orCpu() {
    String name = checked();
    return name == null ? "cpu" : name;
  }

  /** The configuration with this device, if one is named. */
  NasConfig on(NasConfig config) {
    String name = checked();
    return name == null ? config : config.with(config.training().withDevice(name));
  }
}
