package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextTest {
  @TempDir private Path folder;

  @Test
  void durations() {
    assertThat(Text.duration(0.4)).isEqualTo("0:00");
    assertThat(Text.duration(59.6)).isEqualTo("1:00");
    assertThat(Text.duration(3599)).isEqualTo("59:59");
    assertThat(Text.duration(3661)).isEqualTo("1:01:01");
  }

  @Test
  void numbers() {
    assertThat(Text.percent(0.12345)).isEqualTo("12.3");
    assertThat(Text.count(1234567)).isEqualTo("1,234,567");
    assertThat(Text.loss(0.333)).isEqualTo("0.33");
    assertThat(Text.loss(12.34)).isEqualTo("12.3");
  }

  @Test
  void failuresAreToldInOneSentence() {
    assertThat(Failures.describe(new NoSuchFileException("a.tar")))
        .isEqualTo("a.tar: no such file or folder");
    assertThat(Failures.describe(new NoSuchFileException("a.tar", null, "gone")))
        .isEqualTo("a.tar: gone");
    assertThat(Failures.describe(new AccessDeniedException("a.tar")))
        .isEqualTo("a.tar: permission denied");
    assertThat(Failures.describe(new IOException("the file x is torn")))
        .isEqualTo("the file x is torn");
    assertThat(Failures.describe(new CommandFailure("do this"))).isEqualTo("do this");
    assertThat(Failures.describe(new IOException("x".repeat(1 << 20)))).hasSize(8002).endsWith("…");
    assertThat(Failures.describe(new ExecutionException(new IOException("inner"))))
        .isEqualTo("inner");
    assertThat(Failures.describe(new OutOfMemoryError("Java heap space")))
        .contains("out of memory (Java heap space)", "NAS_JAVA_OPTS");
    assertThat(
            Failures.describe(
                new RuntimeException(
                    "CUDA out of memory. Tried to allocate 2.00 GiB.\nException raised ...")))
        .startsWith("out of GPU memory: use a smaller data.batchSize")
        .endsWith(": CUDA out of memory. Tried to allocate 2.00 GiB. (more with --verbose)");
    assertThat(Failures.describe(new RuntimeException("sizes differ\nException raised from ...")))
        .isEqualTo("unexpected RuntimeException: sizes differ (more with --verbose)");
    assertThat(Failures.describe(new NullPointerException()))
        .isEqualTo("unexpected NullPointerException (more with --verbose)");
  }

  @Test
  void memoryIsReadFromTheProcFileSystem() throws IOException {
    Path status =
        Files.writeString(
            folder.resolve("status"), "Name:\tjava\nVmPeak:\t 9999999 kB\nVmHWM:\t  204800 kB\n");
    assertThat(ProcessMemory.mebibytes(status, "VmHWM")).hasValue(200);
    assertThat(ProcessMemory.mebibytes(status, "Other")).isEmpty();
    assertThat(ProcessMemory.mebibytes(folder.resolve("absent"), "VmHWM")).isEmpty();
  }
}
