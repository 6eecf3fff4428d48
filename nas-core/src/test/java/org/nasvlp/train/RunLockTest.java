package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class RunLockTest {
  @TempDir private Path folder;

  /** Takes the lock of a folder, says so, and keeps it until its stdin ends or it is killed. */
  static final class Holder {
    private Holder() {}

    public static void main(String[] args) throws IOException {
      try (RunLock lock = RunLock.take(Path.of(args[0]))) {
        System.out.println("held");
        int _ = System.in.read();
      }
    }
  }

  private void assertInUse(Path output) {
    assertThatThrownBy(() -> RunLock.take(output).close())
        .isInstanceOf(TrainingException.class)
        .hasMessage(
            output + " is in use by another run; choose another output or wait for it to end");
  }

  @Test
  void oneRunInThisProcessHoldsItUntilClosed() throws IOException {
    Path output = folder.resolve("a/b");
    try (RunLock lock = RunLock.take(output)) {
      assertInUse(output);
      assertInUse(output);
      // Others are free.
      RunLock.take(folder.resolve("other")).close();
      lock.close();
      RunLock second = RunLock.take(output);
      lock.close();
      assertInUse(output);
      second.close();
    }
    RunLock.take(output).close();
    assertThat(output.resolve("lock")).exists();
  }

  @Test
  @Timeout(120)
  void anotherProcessHoldsItUntilItIsKilled() throws Exception {
    Process holder = Children.start(Holder.class, folder.toString());
    try (BufferedReader lines = holder.inputReader(StandardCharsets.UTF_8)) {
      assertThat(lines.readLine()).isEqualTo("held");
      assertInUse(folder);
    } finally {
      holder.destroyForcibly();
    }
    int _ = holder.waitFor();
    RunLock.take(folder).close();
  }

  @Test
  void aFolderThatCannotBeMadeIsTold() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "x");
    assertThatThrownBy(() -> RunLock.take(file.resolve("out")).close())
        .isInstanceOf(FileSystemException.class)
        .hasMessageContaining(file.toString());
  }
}
