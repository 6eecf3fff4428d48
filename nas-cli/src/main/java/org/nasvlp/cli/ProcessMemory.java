package org.nasvlp.cli;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Memory as Linux counts it. */
final class ProcessMemory {
  private static final Pattern KIBIBYTES = Pattern.compile("(\\w+):\\s*(\\d+) kB");

  private ProcessMemory() {}

  /** The most memory this process has had resident, in MiB; empty on other systems. */
  static OptionalLong peakMebibytes() {
    return mebibytes(Path.of("/proc/self/status"), "VmHWM");
  }

  /** The machine's memory in MiB; empty on other systems. */
  static OptionalLong machineMebibytes() {
    return mebibytes(Path.of("/proc/meminfo"), "MemTotal");
  }

  /** What the machine has, or the container where that is less, in bytes. */
  static long availableBytes() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getTotalMemorySize();
  }

  static OptionalLong mebibytes(Path file, String field) {
    List<String> lines;
    try {
      lines = Files.readAllLines(file, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return OptionalLong.empty();
    }
    for (String line : lines) {
      Matcher matcher = KIBIBYTES.matcher(line);
      if (matcher.matches() && matcher.group(1).equals(field)) {
        return OptionalLong.of(Long.parseLong(matcher.group(2)) / 1024);
      }
    }
    return OptionalLong.empty();
  }
}
