package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.model.NasModel;
import org.nasvlp.report.SearchPage;
import org.nasvlp.search.EmbeddingIndex;
import org.nasvlp.search.ImageSearch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code nas search}. */
@Command(
    name = "search",
    description = {
      "Finds the pictures that a caption fits best.",
      "Contrast (ITC) finds candidates by their embeddings, which are kept in an index and made"
          + " anew for new and changed pictures alone; matching (ITM) then looks at each"
          + " candidate.",
      "Exit status 1 if there is a picture that cannot be read; the others are searched."
    })
final class SearchCommand implements Callable<Integer> {
  private static final String MODEL = "model";

  /** Pictures that are encoded at once. */
  private static final int CHUNK = 64;

  private static final int NAMED = 20;

  private final Shell shell;

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "CAPTION", description = "What the pictures should show.")
  private String caption;

  @Option(
      names = "--images",
      paramLabel = "PATH",
      required = true,
      description =
          "A folder, which is searched with all folders in it, or a data set as nas train --data"
              + " takes it.")
  private Path images;

  @Option(
      names = "--checkpoint",
      paramLabel = "PATH",
      defaultValue = "runs/demo",
      description =
          "A run's folder, one of its checkpoints, or a file of nas export (default:"
              + " ${DEFAULT-VALUE}).")
  private Path checkpoint;

  @Option(
      names = "--index",
      paramLabel = "FILE",
      description =
          "Where the embeddings are kept (default: .nas-index.safetensors in the folder of"
              + " pictures, or beside the data set).")
  private @Nullable Path indexFile;

  @Option(
      names = "--top",
      paramLabel = "N",
      defaultValue = "10",
      description = "Pictures to find (default: ${DEFAULT-VALUE}).")
  private int top;

  @Option(
      names = "--candidates",
      paramLabel = "N",
      defaultValue = "100",
      description =
          "Pictures that matching looks at; the more, the slower and the better (default:"
              + " ${DEFAULT-VALUE}).")
  private int candidates;

  @Option(names = "--json", description = "Print JSON instead of a table.")
  private boolean json;

  @Option(
      names = "--html",
      paramLabel = "FILE",
      description = "Write a page with the pictures, too.")
  private @Nullable Path html;

  @Mixin private DeviceOption device;

  SearchCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    if (caption.isBlank()) {
      throw new ParameterException(spec.commandLine(), "The caption is blank");
    }
    if (top < 1 || candidates < 1) {
      throw new ParameterException(spec.commandLine(), "--top and --candidates must be 1 or more");
    }
    if (html != null) {
      OutputFolder.checkWritable(html, "--html");
    }
    if (!Files.exists(images) && !images.toString().contains("{")) {
      throw new CommandFailure(images + ": no such file or folder; name it with --images");
    }
    try (NasModel model = NasModel.load(checkpoint, device.orCpu());
        SearchedPictures pictures =
            SearchedPictures.open(images, model.config().data().background())) {
      List<String> bad = new ArrayList<>();
      EmbeddingIndex index = index(model, pictures, bad);
      ImageSearch.Result result =
          new ImageSearch(model, index, pictures::read)
              .find(caption, top, Math.max(top, candidates));
      bad.addAll(result.unreadable());
      shell.out().print(json ? json(pictures, index, result, bad) : table(pictures, result));
      shell.out().flush();
      if (html != null) {
        writePage(pictures, index, result, html);
      } else {
        suggestPage();
      }
      if (!bad.isEmpty()) {
        shell.err().println("warning: " + Text.count(bad.size()) + " pictures cannot be read:");
        bad.stream().limit(NAMED).forEach(line -> shell.err().println("  " + line));
      }
      return bad.isEmpty() ? 0 : Nas.FAILURE;
    }
  }

  private void suggestPage() {
    List<String> again = new ArrayList<>(List.of("search", caption, "--images", images.toString()));
    again.addAll(List.of("--checkpoint", checkpoint.toString()));
    if (indexFile != null) {
      again.addAll(List.of("--index", indexFile.toString()));
    }
    again.addAll(List.of("--html", "found.html"));
    shell.suggest(again.toArray(String[]::new));
  }

  /** The index of all pictures that can be read, kept where it can be. */
  private EmbeddingIndex index(NasModel model, SearchedPictures pictures, List<String> bad) {
    Path file = indexFile == null ? defaultIndex() : indexFile;
    String fingerprint = model.fingerprint();
    EmbeddingIndex kept = kept(file, fingerprint);
    Map<String, Integer> places = kept == null ? Map.of() : kept.places();
    List<String> keys = new ArrayList<>();
    List<float[]> embeddings = new ArrayList<>();
    List<String> missing = new ArrayList<>();
    for (String key : pictures.keys()) {
      Integer place = places.get(key);
      if (kept == null || place == null) {
        missing.add(key);
      } else {
        keys.add(key);
        embeddings.add(kept.embedding(place));
      }
    }
    if (!missing.isEmpty()) {
      shell
          .err()
          .println(
              "encoding %s of %s pictures ..."
                  .formatted(Text.count(missing.size()), Text.count(pictures.keys().size())));
      encode(model, pictures, missing, keys, embeddings, bad);
    }
    EmbeddingIndex index =
        EmbeddingIndex.of(
            model.config().model().projection(),
            keys,
            embeddings.toArray(float[][]::new),
            Map.of(MODEL, fingerprint));
    if (keys.isEmpty()) {
      throw new CommandFailure(
          "%s: none of its %s pictures can be read; the first: %s"
              .formatted(images, Text.count(bad.size()), bad.getFirst()));
    }
    if (kept == null || !missing.isEmpty() || kept.size() != index.size()) {
      keep(index, file);
    }
    return index;
  }

  private void encode(
      NasModel model,
      SearchedPictures pictures,
      List<String> missing,
      List<String> keys,
      List<float[]> embeddings,
      List<String> bad) {
    ItemProgress progress = new ItemProgress(shell, "pictures", missing.size());
    for (int from = 0; from < missing.size(); from += CHUNK) {
      List<String> chunk = missing.subList(from, Math.min(missing.size(), from + CHUNK));
      List<RgbImage> read = new ArrayList<>();
      for (String key : chunk) {
        try {
          read.add(pictures.read(key));
          keys.add(key);
        } catch (BadSampleException e) {
          bad.add(e.getMessage());
        }
      }
      if (!read.isEmpty()) {
        embeddings.addAll(List.of(model.encodeImage(read)));
      }
      progress.accept(from + (long) chunk.size());
    }
  }

  private Path defaultIndex() {
    Path folder = Files.isDirectory(images) ? images : images.toAbsolutePath().getParent();
    String name =
        Files.isDirectory(images) ? ".nas-index" : "." + images.getFileName() + ".nas-index";
    return folder.resolve(name + ".safetensors");
  }

  /** The index of this model that is there; null if there is none. */
  private @Nullable EmbeddingIndex kept(Path file, String fingerprint) {
    if (!Files.exists(file)) {
      return null;
    }
    try {
      EmbeddingIndex index = EmbeddingIndex.load(file);
      return fingerprint.equals(index.about().get(MODEL)) ? index : null;
    } catch (IOException e) {
      throw new CommandFailure(
          Failures.describe(e) + "; remove it, or name another file with --index", e);
    }
  }

  private void keep(EmbeddingIndex index, Path file) {
    try {
      index.save(file);
    } catch (IOException e) {
      shell
          .err()
          .println(
              "warning: the index cannot be kept (%s); name a file that can be written with --index"
                  .formatted(Failures.describe(e)));
    }
  }

  private static String table(SearchedPictures pictures, ImageSearch.Result result) {
    StringBuilder table =
        new StringBuilder(
            String.format(Locale.ROOT, "%4s %7s %8s  picture%n", "", "match", "cosine"));
    int rank = 0;
    for (ImageSearch.Found found : result.pictures()) {
      table.append(
          String.format(
              Locale.ROOT,
              "%4d %7.4f %8.4f  %s%n",
              ++rank,
              found.match(),
              found.similarity(),
              pictures.name(found.key())));
    }
    return table.toString();
  }

  private String json(
      SearchedPictures pictures,
      EmbeddingIndex index,
      ImageSearch.Result result,
      List<String> bad) {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("caption", caption);
    root.put("images", images.toString());
    root.put("checkpoint", checkpoint.toString());
    root.put("pictures", index.size());
    var found = root.putArray("found");
    for (ImageSearch.Found of : result.pictures()) {
      found
          .addObject()
          .put("picture", pictures.name(of.key()))
          .put("match", of.match())
          .put("cosine", of.similarity())
          .put("score", of.score());
    }
    var unreadable = root.putArray("unreadable");
    bad.forEach(unreadable::add);
    return JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
  }

  private void writePage(
      SearchedPictures pictures, EmbeddingIndex index, ImageSearch.Result result, Path file)
      throws IOException {
    List<SearchPage.Shown> shown = new ArrayList<>();
    for (ImageSearch.Found of : result.pictures()) {
      try {
        shown.add(
            new SearchPage.Shown(
                pictures.read(of.key()), pictures.name(of.key()), of.match(), of.similarity()));
      } catch (BadSampleException e) {
        throw new IOException(e.getMessage(), e);
      }
    }
    SearchPage.write(caption, index.size(), shown, file);
    (json ? shell.err() : shell.out()).println("Page  " + file.toAbsolutePath().toUri());
  }
}
