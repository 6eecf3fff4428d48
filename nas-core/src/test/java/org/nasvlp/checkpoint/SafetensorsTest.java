package org.nasvlp.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsTest {
  @TempDir Path folder;

  private static MemorySegment bytes(float... values) {
    return MemorySegment.ofArray(MemorySegment.ofArray(values).toArray(ValueLayout.JAVA_BYTE));
  }

  private Path write() throws IOException {
    Path file = folder.resolve("a.safetensors");
    Safetensors.write(
        file,
        Map.of(
            "two",
            new Safetensors.Entry(Safetensors.Type.F32, new long[] {2, 1}, bytes(1.5f, -2f)),
            "one",
            new Safetensors.Entry(Safetensors.Type.F32, new long[0], bytes(7f))));
    return file;
  }

  @Test
  void theLayoutIsTheFormats() throws IOException {
    byte[] all = Files.readAllBytes(write());
    ByteBuffer buffer = ByteBuffer.wrap(all).order(ByteOrder.LITTLE_ENDIAN);
    int header = (int) buffer.getLong();
    assertThat(header % 8).isZero();
    assertThat(new String(all, 8, header, StandardCharsets.UTF_8).strip())
        .isEqualTo(
            "{\"one\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                + "\"two\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[4,12]}}");
    assertThat(buffer.getFloat(8 + header)).isEqualTo(7f);
    assertThat(buffer.getFloat(8 + header + 4)).isEqualTo(1.5f);
    assertThat(all).hasSize(8 + header + 12);
  }

  @Test
  void whatIsWrittenIsRead() throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Safetensors.Entry> read = Safetensors.read(write(), arena);
      assertThat(read).containsOnlyKeys("one", "two");
      assertThat(read.get("two").shape()).containsExactly(2, 1);
      assertThat(read.get("two").data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED))
          .containsExactly(1.5f, -2f);
    }
  }

  @Test
  void textsAboutTheTensorsAreKept() throws IOException {
    Path file = folder.resolve("b.safetensors");
    Map<String, String> metadata = Map.of("format", "pt", "quoted", "\"\u00e9\n");
    Safetensors.write(
        file,
        Map.of("one", new Safetensors.Entry(Safetensors.Type.F32, new long[0], bytes(7f))),
        metadata);
    try (Arena arena = Arena.ofConfined()) {
      Safetensors.Contents contents = Safetensors.open(file, arena);
      assertThat(contents.metadata()).isEqualTo(metadata);
      assertThat(contents.tensors()).containsOnlyKeys("one");
    }
  }

  @Test
  void aHeaderThatIsTooLongIsRefusedUnread() throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    for (long length : new long[] {Long.MAX_VALUE, -1, 57, 1L << 40}) {
      buffer.putLong(0, length);
      Path file = Files.write(folder.resolve("long.safetensors"), buffer.array());
      try (Arena arena = Arena.ofConfined()) {
        assertThatThrownBy(() -> Safetensors.read(file, arena))
            .isInstanceOf(IOException.class)
            .hasMessageContaining("header length is " + length);
      }
    }
  }

  @Test
  void everyCutIsAnErrorThatNamesTheFile() throws IOException {
    byte[] all = Files.readAllBytes(write());
    for (int length = 0; length < all.length; length++) {
      Path file = Files.write(folder.resolve("cut.safetensors"), Arrays.copyOf(all, length));
      try (Arena arena = Arena.ofConfined()) {
        assertThatThrownBy(() -> Safetensors.read(file, arena))
            .as("cut at %d", length)
            .isInstanceOf(IOException.class)
            .hasMessageContaining("cut.safetensors");
      }
    }
  }

  @Test
  void damagedBytesNeverCrash() throws IOException {
    byte[] all = Files.readAllBytes(write());
    Random random = new Random(5);
    for (int trial = 0; trial < 2000; trial++) {
      byte[] damaged = all.clone();
      for (int i = 0; i < 3; i++) {
        damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
      }
      Path file = Files.write(folder.resolve("damaged.safetensors"), damaged);
      try (Arena arena = Arena.ofConfined()) {
        for (var entry : Safetensors.read(file, arena).values()) {
          assertThat(entry.data().byteSize()).isLessThan(all.length);
        }
      } catch (IOException e) {
        assertThat(e).hasMessageContaining("damaged.safetensors");
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[]",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,400]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F99\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,9],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[4,0]}}",
        "{\"a\":{\"shape\":[1]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[1,4]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
            + "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
            + "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"__metadata__\":{\"x\":1},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"a\":5}",
        "{\"__metadata__\":7,\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,99999999999999999999]}}"
      })
  void headersThatLieAreRefused(String header) throws IOException {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer buffer = ByteBuffer.allocate(8 + json.length + 4).order(ByteOrder.LITTLE_ENDIAN);
    buffer.putLong(json.length).put(json);
    Path file = Files.write(folder.resolve("lie.safetensors"), buffer.array());
    try (Arena arena = Arena.ofConfined()) {
      assertThatThrownBy(() -> Safetensors.read(file, arena))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("lie.safetensors");
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          "dtype":"F32","shape":{"x":1},"data_offsets":[0,4] | shape is {"x":1}; a list
          "dtype":"F32","shape":1,"data_offsets":[0,4]       | shape is 1; a list
          "dtype":"F32","shape":[{}],"data_offsets":[0,4]    | shape is [{}]; a list
          "dtype":"F32","shape":[1],"data_offsets":{"a":0}   | data_offsets is {"a":0}; a list
          "dtype":{"a":1},"shape":[1],"data_offsets":[0,4]   | dtype is {"a":1}
          "dtype":"F32","data_offsets":[0,4]                 | has no shape
          """)
  void fieldsOfAnotherTypeAreNamed(String fields, String message) throws IOException {
    byte[] json = ("{\"layer\":{" + fields + "}}").getBytes(StandardCharsets.UTF_8);
    ByteBuffer buffer = ByteBuffer.allocate(8 + json.length + 4).order(ByteOrder.LITTLE_ENDIAN);
    buffer.putLong(json.length).put(json);
    Path file = Files.write(folder.resolve("odd.safetensors"), buffer.array());
    try (Arena arena = Arena.ofConfined()) {
      assertThatThrownBy(() -> Safetensors.read(file, arena))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("odd.safetensors")
          .hasMessageContaining("tensor layer: " + message);
    }
  }
}
