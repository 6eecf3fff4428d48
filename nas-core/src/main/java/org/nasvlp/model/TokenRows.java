package org.nasvlp.model;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.internal.Torch;

/** Takes the rows of a file that stand for tokens by token, not by number. */
final class TokenRows {
  static final String WORDS = "text_encoder.embeddings.word_embeddings.weight";
  static final String BIAS = "mlm_head.bias";

  private final ImportedFile of;
  private final CaptionTokenizer tokenizer;

  /** For each id of the tokenizer the file's row of the same token, -1 if it has none. */
  private int @Nullable [] rowOf;

  TokenRows(ImportedFile of, CaptionTokenizer tokenizer) {
    this.of = of;
    this.tokenizer = tokenizer;
  }

  /** Loads the rows of the tokenizer's tokens; others stay as they were. */
  void load(String parameter, Safetensors.Entry entry, String name, Tensor into)
      throws IOException {
    long[] shape = Torch.shape(into);
    long[] given = entry.shape();
    if (given.length != shape.length
        || given[0] < 1
        || !Arrays.equals(given, 1, given.length, shape, 1, shape.length)) {
      throw of.wrongShape(entry, name, parameter, shape);
    }
    int[] rows = rows(name, given[0], Math.toIntExact(shape[0]));
    Tensor all = of.values(entry, name);
    boolean same = given[0] == shape[0];
    long each = into.numel() / shape[0] * Float.BYTES;
    MemorySegment source = Torch.segment(all);
    MemorySegment target = Torch.segment(into);
    for (int i = 0; i < rows.length; i++) {
      same &= rows[i] == i;
      if (rows[i] >= 0) {
        MemorySegment.copy(source, rows[i] * each, target, i * each, each);
      }
    }
    if (!same) {
      of.resized(parameter, entry, shape, "rows by token");
    }
  }

  /**
   * @param rows the file's
   * @param size the tokenizer's
   */
  private int[] rows(String name, long rows, int size) throws IOException {
    if (rowOf != null) {
      if (Arrays.stream(rowOf).anyMatch(row -> row >= rows)) {
        throw of.fault(
            name,
            "has only "
                + rows
                + " rows, fewer than the word embeddings or the vocabulary beside them");
      }
      return rowOf;
    }
    Map<String, Integer> theirs = vocabulary();
    rowOf = theirs == null ? byNumber(name, rows, size) : byToken(name, rows, size, theirs);
    return rowOf;
  }

  private int[] byNumber(String name, long rows, int size) throws IOException {
    if (rows != size) {
      throw of.fault(
          name,
          "has "
              + rows
              + " rows, the tokenizer "
              + size
              + " tokens: put the weights' own vocab.txt or tokenizer.json beside the file, so"
              + " that rows are matched by token, or train with that tokenizer");
    }
    of.note(
        "there is no vocab.txt or tokenizer.json beside it: its word embeddings are taken to be"
            + " in the order of the tokenizer's ids");
    int[] result = new int[size];
    Arrays.setAll(result, i -> i);
    return result;
  }

  private int[] byToken(String name, long rows, int size, Map<String, Integer> theirs)
      throws IOException {
    int[] result = new int[size];
    Arrays.fill(result, -1);
    Map<String, Integer> own = tokenizer.vocabulary();
    TreeSet<String> absent = new TreeSet<>();
    for (var token : own.entrySet()) {
      int row = theirs.getOrDefault(token.getKey(), -1);
      if (row >= rows) {
        throw new IOException(
            of.file().path()
                + ": the vocabulary beside it gives the token "
                + token.getKey()
                + " the id "
                + row
                + ", tensor "
                + name
                + " has only "
                + rows
                + " rows: it belongs to other weights");
      }
      result[token.getValue()] = row;
      if (row < 0) {
        absent.add(token.getKey());
      }
    }
    if (absent.size() == own.size()) {
      throw new IOException(
          of.file().path()
              + ": the vocabulary beside it has no token of the tokenizer; take the tokenizer"
              + " of the weights");
    }
    if (!absent.isEmpty()) {
      of.note(
          "%d of the tokenizer's %d tokens are not in its vocabulary, their embeddings stay as initialised: %s%s"
              .formatted(
                  absent.size(),
                  own.size(),
                  String.join(", ", absent.stream().limit(20).toList()),
                  absent.size() > 20 ? ", ..." : ""));
    }
    return result;
  }

  /** Tokens of the file's own vocabulary with their rows; null if it is not at hand. */
  private @Nullable Map<String, Integer> vocabulary() throws IOException {
    WeightFile file = of.file();
    String own = file.metadata().get(ModelFiles.TOKENIZER_METADATA);
    if (own != null) {
      return CaptionTokenizer.vocabulary(file.path(), own);
    }
    String lines = file.beside("vocab.txt");
    if (lines != null && (of.kind() == WeightKind.TEXT || file.names() != null)) {
      Map<String, Integer> ids = new HashMap<>();
      for (String line : lines.lines().toList()) {
        ids.put(line, ids.size());
      }
      return ids;
    }
    String json = file.beside("tokenizer.json");
    return json == null
        ? null
        : CaptionTokenizer.vocabulary(file.folder().resolve("tokenizer.json"), json);
  }
}
