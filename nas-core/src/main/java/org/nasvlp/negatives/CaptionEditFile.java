package org.nasvlp.negatives;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.nasvlp.config.EditType;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.data.text.CaptionTokenizer;

/**
 * The file in which {@link NegativeTextAugmentation#prepare} finds the edits of a data set's
 * captions, made in parts, on several machines if need be: each edits blocks of captions by an
 * editor of its own, and one writes them.
 *
 * <p>The file depends on the captions and the editors' identity alone, and is byte for byte the one
 * that a training would make. Captions are those of {@link CaptionTokenizer#normalize}.
 * Thread-safe.
 */
public final class CaptionEditFile {
  /** Distinct captions of every block but the last. */
  public static final int BLOCK = 1024;

  private CaptionEditFile() {}

  /**
   * What was written.
   *
   * @param file its path
   * @param captions distinct captions
   * @param withoutEdit those for which the editor knows no edit
   * @param edits by type
   */
  public record Written(Path file, long captions, long withoutEdit, Map<EditType, Long> edits) {}

  /**
   * The editors that a training takes.
   *
   * @param seenPairs {@link NtaConfig#seenPairs}
   * @param language those of a language, such as {@link TextEditor#factory}'s
   */
  public static TextEditor.Factory editors(boolean seenPairs, TextEditor.Factory language) {
    return seenPairs ? SeenPairs.over(language) : language;
  }

  /**
   * The name of the file in its folder.
   *
   * @param identity of the editors
   * @param captions of all pairs in the data set's order, repeated ones too
   */
  public static String name(String identity, Iterable<String> captions) {
    return Key.of(identity, captions).fileName();
  }

  /**
   * Edits a block.
   *
   * @param editor made for all captions of the data set
   * @param captions distinct ones
   * @return for {@link #write}
   * @throws IllegalStateException if the editor fails on a caption, which the message names
   */
  public static byte[] edit(TextEditor editor, List<String> captions) {
    return EditStore.encode(edits(editor, captions));
  }

  static List<EditStore.Entry> edits(TextEditor editor, List<String> captions) {
    List<EditStore.Entry> entries = new ArrayList<>(captions.size());
    for (String caption : captions) {
      List<CaptionEdit> edits;
      try {
        edits = editor.edits(caption);
      } catch (RuntimeException e) {
        throw new IllegalStateException("the caption '" + caption + "' cannot be edited: " + e, e);
      }
      entries.add(
          new EditStore.Entry(
              caption,
              edits.stream()
                  .map(CaptionEditFile::normalised)
                  .filter(edit -> !edit.caption().equals(caption))
                  .toList()));
    }
    return entries;
  }

  private static CaptionEdit normalised(CaptionEdit edit) {
    String caption = CaptionTokenizer.normalize(edit.caption());
    return caption.equals(edit.caption())
        ? edit
        : new CaptionEdit(caption, edit.type(), edit.replaced(), edit.replacement());
  }

  /**
   * Writes the file, under a name of its own first.
   *
   * @param folder is made if missing
   * @param identity of the editors
   * @param captions of all pairs in the data set's order, repeated ones too
   * @param blocks of {@link #edit}, of the distinct captions in the order in which they come first
   */
  public static Written write(
      Path folder, String identity, Iterable<String> captions, Iterator<byte[]> blocks)
      throws IOException {
    Objects.requireNonNull(blocks, "blocks");
    Key.Done key = Key.of(identity, captions);
    Path file = folder.resolve(key.fileName());
    try (EditStore.Writer writer = new EditStore.Writer(file, key.bytes())) {
      while (blocks.hasNext()) {
        writer.add(blocks.next());
      }
      EditStore store = writer.finish();
      return new Written(file, store.captions(), store.withoutEdit(), store.byType());
    }
  }

  /** What a file belongs to: a digest of the editors' identity and of all captions. */
  static final class Key {
    private final MessageDigest digest;

    private Key(MessageDigest digest) {
      this.digest = digest;
    }

    /** Of no captions yet. */
    static Key of(String identity) {
      try {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        digest.update((identity + EditStore.TYPES).getBytes(StandardCharsets.UTF_8));
        return new Key(digest);
      } catch (NoSuchAlgorithmException e) {
        throw new IllegalStateException("every Java has SHA-256", e);
      }
    }

    static Done of(String identity, Iterable<String> captions) {
      Key key = of(identity);
      captions.forEach(key::add);
      return key.done();
    }

    void add(String caption) {
      byte[] utf8 = caption.getBytes(StandardCharsets.UTF_8);
      digest.update(ByteBuffer.allocate(4).putInt(utf8.length).flip());
      digest.update(utf8);
    }

    Done done() {
      return new Done(digest.digest());
    }

    /** A key of all captions. */
    record Done(byte[] bytes) {
      String fileName() {
        return "nta-" + HexFormat.of().formatHex(bytes, 0, 8) + ".edits";
      }
    }
  }
}
