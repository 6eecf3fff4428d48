package org.nasvlp;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.constantpool.MemberRefEntry;
import java.lang.classfile.constantpool.PoolEntry;
import java.lang.classfile.constantpool.Utf8Entry;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.nasvlp.model.NasModel;

/** Holds the library's arrows: which package may use which, read from the compiled classes. */
class ArchitectureTest {
  /** A room and the rooms that it may use; a room is a package with those below it. */
  private static final Map<String, Set<String>> ARROWS =
      Map.ofEntries(
          Map.entry(
              "train",
              Set.of(
                  "objective",
                  "negatives",
                  "model",
                  "dictionary",
                  "distributed",
                  "eval",
                  "scoring",
                  "data",
                  "checkpoint",
                  "config",
                  "random",
                  "internal",
                  "kernels")),
          Map.entry(
              "objective",
              Set.of(
                  "negatives",
                  "model",
                  "dictionary",
                  "distributed",
                  "data",
                  "config",
                  "random",
                  "internal",
                  "kernels")),
          Map.entry(
              "negatives",
              Set.of("model", "dictionary", "data", "config", "random", "internal", "kernels")),
          Map.entry(
              "model",
              Set.of(
                  "dictionary",
                  "scoring",
                  "data",
                  "checkpoint",
                  "config",
                  "random",
                  "internal",
                  "kernels")),
          Map.entry("search", Set.of("model", "scoring", "data", "checkpoint")),
          Map.entry("eval", Set.of("scoring", "data", "config", "random", "internal")),
          Map.entry("dictionary", Set.of("distributed", "config", "random", "internal", "kernels")),
          Map.entry("distributed", Set.of("internal")),
          Map.entry("scoring", Set.of("data")),
          Map.entry("data", Set.of("config", "random", "internal")),
          Map.entry("libtorch", Set.of("internal")),
          Map.entry("checkpoint", Set.of("internal")),
          Map.entry("config", Set.of("internal")),
          Map.entry("random", Set.of("kernels")),
          Map.entry("internal", Set.of("kernels")));

  /** Where the kernels are called, and so where a tensor's address is taken for them. */
  private static final Set<String> CALL_KERNELS = Set.of("dictionary", "negatives");

  /** Where a host tensor's memory is read or written besides: files, masks, a solver's matrix. */
  private static final Set<String> COPY_ON_HOST =
      Set.of("model", "negatives", "train", "eval", "distributed");

  private static final Pattern CLASS = Pattern.compile("\\borg/nasvlp/([a-z]+)/(?:[a-z]+/)*[A-Z]");

  @Test
  void everyPackageUsesOnlyThoseBelowIt() throws IOException, URISyntaxException {
    Set<String> used = new TreeSet<>();
    for (ClassModel model : classes()) {
      for (PoolEntry entry : model.constantPool()) {
        if (entry instanceof Utf8Entry text) {
          Matcher matcher = CLASS.matcher(text.stringValue());
          while (matcher.find()) {
            String from = room(model.thisClass().asInternalName());
            if (!from.equals(matcher.group(1))) {
              used.add(from + " -> " + matcher.group(1));
            }
          }
        }
      }
    }
    assertThat(used).contains("train -> model", "model -> dictionary", "dictionary -> kernels");
    Set<String> allowed = new TreeSet<>();
    ARROWS.forEach((from, rooms) -> rooms.forEach(to -> allowed.add(from + " -> " + to)));
    assertThat(allowed).containsAll(used);
  }

  @Test
  void noArrowRunsInACircle() {
    // What is below everything goes first, until nothing is left.
    Set<String> left = new TreeSet<>(ARROWS.keySet());
    while (!left.isEmpty()) {
      Set<String> bottom =
          left.stream()
              .filter(room -> ARROWS.get(room).stream().noneMatch(left::contains))
              .collect(Collectors.toSet());
      assertThat(bottom).as("rooms that use none of %s", left).isNotEmpty();
      left.removeAll(bottom);
    }
  }

  @Test
  void tensorsBecomeAddressesOnlyWhereTheKernelsAreCalled() throws IOException, URISyntaxException {
    assertThat(callers("org/nasvlp/internal/TorchDevice", "memory")).isEqualTo(CALL_KERNELS);
    assertThat(COPY_ON_HOST).containsAll(callers("org/nasvlp/internal/Torch", "segment"));
    assertThat(callers("org/bytedeco/pytorch/Tensor", "data_ptr")).isEmpty();
  }

  /** Whatever of the library comes first, LibTorch is loaded by what sets its threads to sleep. */
  @Test
  void libTorchIsLoadedInOnePlace() throws IOException, URISyntaxException {
    assertThat(callers("org/bytedeco/pytorch/AutoGradMode", "<init>")).isEmpty();
    assertThat(callers("org/bytedeco/javacpp/Loader", "load")).isEmpty();
    for (String factory : List.of("empty", "zeros", "from_blob", "tensor")) {
      assertThat(callers("org/bytedeco/pytorch/global/torch", factory)).as(factory).isEmpty();
    }
  }

  @Test
  void checkpointsAndTensorsMemoryAreNotExported() throws URISyntaxException {
    ModuleDescriptor module =
        ModuleFinder.of(compiled()).find("org.nasvlp.core").orElseThrow().descriptor();
    Set<String> exported =
        module.exports().stream()
            .map(exports -> room(exports.source().replace('.', '/') + "/"))
            .collect(Collectors.toSet());
    assertThat(exported).doesNotContain("internal", "checkpoint").hasSize(ARROWS.size() - 2);
    assertThat(module.exports()).noneMatch(ModuleDescriptor.Exports::isQualified);
  }

  /** Rooms other than {@code internal} whose classes call a method. */
  private static Set<String> callers(String owner, String method)
      throws IOException, URISyntaxException {
    return classes().stream()
        .filter(
            model ->
                StreamSupport.stream(model.constantPool().spliterator(), false)
                    .anyMatch(
                        entry ->
                            entry instanceof MemberRefEntry member
                                && member.owner().asInternalName().equals(owner)
                                && member.name().equalsString(method)))
        .map(model -> room(model.thisClass().asInternalName()))
        .filter(room -> !room.equals("internal"))
        .collect(Collectors.toSet());
  }

  /** "model" of org/nasvlp/model/layer/Linear. */
  private static String room(String name) {
    String[] parts = name.split("/", -1);
    String room = parts[2];
    assertThat(ARROWS).as("the rooms, where %s lies", name).containsKey(room);
    return room;
  }

  private static List<ClassModel> classes() throws IOException, URISyntaxException {
    try (Stream<Path> files = Files.walk(compiled().resolve("org"))) {
      return files
          .filter(file -> file.toString().endsWith(".class"))
          .filter(file -> !file.endsWith("package-info.class"))
          .map(
              file -> {
                try {
                  return ClassFile.of().parse(file);
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              })
          .toList();
    }
  }

  private static Path compiled() throws URISyntaxException {
    return Path.of(NasModel.class.getProtectionDomain().getCodeSource().getLocation().toURI());
  }
}
