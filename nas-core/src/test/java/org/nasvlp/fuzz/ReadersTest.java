package org.nasvlp.fuzz;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What the fuzzer begins from, and what it has found. */
class ReadersTest {
  private static final Path FOUND = Path.of("src/test/resources/fuzz");

  @ParameterizedTest
  @EnumSource(Readers.Reader.class)
  void seedsAndFoundCasesAreReadOrRefusedByName(Readers.Reader reader) throws IOException {
    List<byte[]> seeds = Readers.seeds(reader);
    assertThat(seeds).isNotEmpty();
    for (byte[] seed : seeds) {
      Readers.read(reader, seed);
      Readers.read(reader, new byte[0]);
    }
    Path found = FOUND.resolve(reader.id());
    if (Files.isDirectory(found)) {
      try (var files = Files.list(found)) {
        for (Path file : files.toList()) {
          Readers.read(reader, Files.readAllBytes(file));
        }
      }
    }
  }

  @Test
  void sumsThatAreMendedAreThoseOfAWholeFile() throws IOException {
    for (Readers.Reader reader : List.of(Readers.Reader.PNG, Readers.Reader.TAR)) {
      byte[] whole = Readers.seeds(reader).getFirst();
      byte[] broken = whole.clone();
      // A PNG's first sum, of IHDR; a tar's first checksum.
      int at = reader == Readers.Reader.PNG ? 29 : 150;
      broken[at] ^= 1;
      byte[] mended =
          reader == Readers.Reader.PNG ? Readers.withSums(broken) : Readers.withChecksums(broken);
      assertThat(mended).isEqualTo(whole);
    }
  }

  @Test
  void aReaderThatBreaksIsTold() {
    // No reader is handed a null in earnest.
    assertThatThrownBy(() -> Readers.read(Readers.Reader.CONFIG_JSON, null))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("NullPointerException");
  }
}
