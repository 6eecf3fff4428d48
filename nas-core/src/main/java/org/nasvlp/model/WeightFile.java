package org.nasvlp.model;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.FileSums;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.checkpoint.TorchFile;
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
 * @param notes where in the file the tensors were found, and how they were fitted, if that is worth
 *     knowing
 * @param names the parameter that each tensor belongs to, if the names tell it otherwise than those
 *     of HuggingFace; of a tensor without a place there is none
 */
record WeightFile(
    Path path,
    Path folder,
    Map<String, Safetensors.Entry> tensors,
    Map<String, String> metadata,
    List<String> notes,
    @Nullable Map<String, String> names) {
  /** The names of a folder's weights; the first one that is there counts. */
  private static final List<String> NAMES =
      List.of(
          "model.safetensors",
          "model.safetensors.index.json",
          "pytorch_model.bin",
          "pytorch_model.bin.index.json");

  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** Maps a file, for as long as the arena lives. */
  static WeightFile open(Path path, Arena arena) throws IOException {
    Path file = path;
    if (Files.isDirectory(path)) {
      file =
          NAMES.stream()
              .map(path::resolve)
              .filter(Files::exists)
              .findFirst()
              .orElseThrow(
                  () ->
                      new NoSuchFileException(
                          path.toString(),
                          null,
                          "the folder holds none of "
                              + String.join(", ", NAMES)
                              + ": name the file itself"));
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
      return new WeightFile(path, folder, shards(file, folder, arena), Map.of(), List.of(), null);
    }
    List<String> notes = new ArrayList<>();
    Safetensors.Contents contents = read(file, arena, notes);
    return new WeightFile(path, folder, contents.tensors(), contents.metadata(), notes, null);
  }

  /** A file of either kind, told apart by its first bytes. */
  private static Safetensors.Contents read(Path file, Arena arena, List<String> notes)
      throws IOException {
    byte[] start;
    try (InputStream in = Files.newInputStream(file)) {
      start = in.readNBytes(TorchFile.startBytes());
    }
    if (!TorchFile.isOne(start)) {
      try {
        return Safetensors.open(file, arena);
      } catch (IOException e) {
        if (!file.toString().matches(".+\\.(bin|pth|pt)")) {
          throw e;
        }
        throw new IOException(
            file + " is no PyTorch file, although its name says so, nor safetensors: was it cut?",
            e);
      }
    }
    TorchFile.Contents contents = TorchFile.open(file, arena);
    if (!contents.key().isEmpty()) {
      notes.add("its tensors are those under the key " + contents.key());
    }
    if (!contents.prefix().isEmpty()) {
      notes.add("all its names begin with " + contents.prefix() + ", which is taken off");
    }
    return new Safetensors.Contents(contents.tensors(), Map.of());
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
      if (!file.matches("[^/\\\\]+\\.(safetensors|bin|pth|pt)")) {
        throw new IOException(
            index + " places " + name.getKey() + " in '" + file + "', which is no weights file");
      }
      if (!files.containsKey(file)) {
        Path shard = folder.resolve(file);
        if (!Files.isRegularFile(shard)) {
          throw new NoSuchFileException(shard.toString(), null, "a shard that " + index + " names");
        }
        files.put(file, read(shard, arena, new ArrayList<>()).tensors());
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
