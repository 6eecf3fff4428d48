package org.nasvlp.model;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.FileSums;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.internal.InputFiles;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The tensors of a weights file, of all the shards of one, or of the one in a folder.
 *
 * @param path as the user named it
 * @param folder where the files beside it are
 * @param tensors by name, mapped
 * @param metadata texts of the file; of a sharded one none
 */
record WeightFile(
    Path path, Path folder, Map<String, Safetensors.Entry> tensors, Map<String, String> metadata) {
  private static final String SINGLE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** Maps a file, for as long as the arena lives. */
  static WeightFile open(Path path, Arena arena) throws IOException {
    Path file = path;
    if (Files.isDirectory(path)) {
      file = path.resolve(SINGLE);
      if (!Files.exists(file) && Files.exists(path.resolve(INDEX))) {
        file = path.resolve(INDEX);
      }
      if (!Files.exists(file) && Files.exists(path.resolve("pytorch_model.bin"))) {
        file = path.resolve("pytorch_model.bin");
      }
      if (!Files.exists(file)) {
        throw new NoSuchFileException(
            path.toString(), null, "the folder holds neither " + SINGLE + " nor " + INDEX);
      }
      if (Files.exists(path.resolve(FileSums.NAME))) {
        FileSums.check(path, List.of(file.getFileName().toString()));
      }
    }
    if (!Files.isRegularFile(file)) {
      throw new NoSuchFileException(file.toString(), null, "there is no weights file");
    }
    Path parent = file.toAbsolutePath().getParent();
    Path folder = parent == null ? file.toAbsolutePath() : parent;
    if (file.toString().endsWith(".json")) {
      return new WeightFile(path, folder, shards(file, folder, arena), Map.of());
    }
    refusePickle(file);
    Safetensors.Contents contents = Safetensors.open(file, arena);
    return new WeightFile(path, folder, contents.tensors(), contents.metadata());
  }

  /** PyTorch's own files are zip archives of pickles, or bare pickles. */
  private static void refusePickle(Path file) throws IOException {
    byte[] start;
    try (InputStream in = Files.newInputStream(file)) {
      start = in.readNBytes(8);
    }
    if (start.length < 8) {
      return;
    }
    boolean zip = start[0] == 'P' && start[1] == 'K' && start[2] == 3 && start[3] == 4;
    // A safetensors file begins with its header's length, which is below 2^32.
    boolean longHeader = (start[4] | start[5] | start[6] | start[7]) != 0;
    boolean pickle = start[0] == (byte) 0x80 && start[1] >= 2 && start[1] <= 5 && longHeader;
    if (zip || pickle) {
      throw new IOException(
          file
              + " is a PyTorch file, not safetensors: convert it, in Python with transformers:"
              + " AutoModel.from_pretrained(folder).save_pretrained(other,"
              + " safe_serialization=True)");
    }
  }

  private static Map<String, Safetensors.Entry> shards(Path index, Path folder, Arena arena)
      throws IOException {
    JsonNode names = json(index).path("weight_map");
    if (!names.isObject() || names.isEmpty()) {
      throw new IOException(
          index + " is no index of weights: it has no weight_map of tensor names and files");
    }
    Map<String, Map<String, Safetensors.Entry>> files = new HashMap<>();
    Map<String, Safetensors.Entry> tensors = new LinkedHashMap<>();
    for (var name : names.properties()) {
      String file = name.getValue().asString("");
      if (!file.matches("[^/\\\\]+\\.safetensors")) {
        throw new IOException(
            index + " places " + name.getKey() + " in '" + file + "', which is no weights file");
      }
      if (!files.containsKey(file)) {
        Path shard = folder.resolve(file);
        if (!Files.isRegularFile(shard)) {
          throw new NoSuchFileException(shard.toString(), null, "a shard that " + index + " names");
        }
        files.put(file, Safetensors.read(shard, arena));
      }
      Safetensors.Entry entry = files.get(file).get(name.getKey());
      if (entry == null) {
        throw new IOException(
            folder.resolve(file)
                + " lacks "
                + name.getKey()
                + ", which "
                + index
                + " places there");
      }
      tensors.put(name.getKey(), entry);
    }
    for (var file : files.entrySet()) {
      // A tensor that the index forgot is reported like any other.
      file.getValue().forEach(tensors::putIfAbsent);
    }
    return tensors;
  }

  /** The text of a file beside the weights; null if there is none. */
  @Nullable String beside(String name) throws IOException {
    Path file = folder.resolve(name);
    return Files.isRegularFile(file) ? InputFiles.text(file) : null;
  }

  static JsonNode json(Path file) throws IOException {
    try {
      return JSON.readTree(InputFiles.text(file));
    } catch (JacksonException e) {
      throw new IOException(file + " is not valid JSON: " + e.getOriginalMessage(), e);
    }
  }
}
