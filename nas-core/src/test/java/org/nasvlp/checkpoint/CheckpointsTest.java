package org.nasvlp.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointsTest {
  @TempDir Path output;

  private Path write(long step, int keep) throws IOException {
    return Checkpoints.write(
        output,
        step,
        keep,
        directory -> Files.writeString(directory.resolve("model.safetensors"), "step " + step));
  }

  @Test
  void theNewestIsFoundAndTheOldestDropped() throws IOException {
    assertThat(Checkpoints.latest(output)).isEmpty();
    write(5, 2);
    write(10, 2);
    Path last = write(15, 2);
    assertThat(Checkpoints.latest(output)).contains(last);
    assertThat(Checkpoints.resolve(output)).isEqualTo(last);
    assertThat(Checkpoints.resolve(last)).isEqualTo(last);
    assertThat(output.resolve("checkpoints/step-00000005")).doesNotExist();
    assertThat(output.resolve("checkpoints/step-00000010")).exists();
  }

  @Test
  void aFailureLeavesThePreviousOneAndNothingElse() throws IOException {
    Path good = write(5, 2);
    assertThatThrownBy(
            () ->
                Checkpoints.write(
                    output,
                    10,
                    2,
                    directory -> {
                      Files.writeString(directory.resolve("model.safetensors"), "half");
                      throw new IOException("No space left on device");
                    }))
        .hasMessage("No space left on device");
    assertThat(Checkpoints.latest(output)).contains(good);
    try (var files = Files.list(output.resolve("checkpoints"))) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder("step-00000005", "latest");
    }
  }

  @Test
  void anOutputThatHasGoneIsNotMadeAnew() throws IOException {
    write(5, 2);
    Path away = output.resolveSibling(output.getFileName() + "-away");
    Files.move(output, away);
    try {
      assertThatThrownBy(() -> write(10, 2))
          .isInstanceOf(NoSuchFileException.class)
          .hasMessageContaining(output.toString());
      assertThat(output).doesNotExist();
    } finally {
      Files.move(away, output);
    }
    assertThat(Checkpoints.latest(output)).contains(output.resolve("checkpoints/step-00000005"));
  }

  @Test
  void whatAKilledWriterLeftIsNeitherUsedNorKept() throws IOException {
    Path good = write(5, 2);
    Path half = Files.createDirectory(output.resolve("checkpoints/.writing-step-00000010"));
    Files.writeString(half.resolve("model.safetensors"), "half");
    assertThat(Checkpoints.latest(output)).contains(good);
    Path next = write(10, 2);
    assertThat(half).doesNotExist();
    assertThat(Files.readString(next.resolve("model.safetensors"))).isEqualTo("step 10");
  }

  @Test
  void oneOfTheSameStepIsReplaced() throws IOException {
    write(5, 2);
    Path again =
        Checkpoints.write(
            output,
            5,
            2,
            directory -> Files.writeString(directory.resolve("model.safetensors"), "anew"));
    assertThat(Files.readString(again.resolve("model.safetensors"))).isEqualTo("anew");
    try (var files = Files.list(output.resolve("checkpoints"))) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder("step-00000005", "latest");
    }
  }

  @Test
  void whatWasToBeReplacedWhenTheWriterWasKilledIsBack() throws IOException {
    Path root = output.resolve("checkpoints");
    Path kept = write(5, 2);
    Checkpoints.keepAs(output, "best-itc", kept);
    Files.move(kept, root.resolve(".replaced-step-00000005"));
    Files.createDirectory(root.resolve(".writing-step-00000005"));
    Files.createDirectory(root.resolve(".replaced-best-itc"));
    Checkpoints.recover(output);
    assertThat(Checkpoints.latest(output)).contains(kept);
    try (var files = Files.list(root)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder("step-00000005", "best-itc", "latest");
    }
    Checkpoints.recover(output.resolve("absent"));
  }

  @Test
  void aMissingPointerIsMadeUpFor() throws IOException {
    Path good = write(5, 2);
    Files.delete(output.resolve("checkpoints/latest"));
    assertThat(Checkpoints.latest(output)).contains(good);
  }

  @Test
  void aFolderWithoutCheckpointsIsNamed() {
    assertThatThrownBy(() -> Checkpoints.resolve(output))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(output.toString())
        .hasMessageContaining("neither a checkpoint");
  }
}
