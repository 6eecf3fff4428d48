package org.nasvlp.negatives;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.EditType;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.Batch;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.random.Draws;
import org.nasvlp.random.StableHash;

/**
 * Negative Textual Augmentation (NAS, arXiv 2412.10029): draws hard negative captions that differ
 * from the true one in one word, one set phrase or one swap.
 *
 * <p>The edits of all captions of a data set are made once, by {@link #prepare}, and may be kept in
 * a file; a step then draws among them. All methods are thread-safe.
 */
public final class NegativeTextAugmentation {

  // Positions of this class's draws.
  private static final int TYPE = 0;
  private static final int EDIT = 1;
  private static final int IS_WORD = 2;
  private static final int WHICH_WORD = 3;
  private static final int IS_NEGATIVE = 4;

  /**
   * What {@link #prepare} found.
   *
   * @param samples pairs of the data set
   * @param unreadable pairs whose caption could not be read; they get no negative
   * @param captions distinct captions, after normalisation
   * @param withoutEdit distinct captions for which the editor knows no edit
   * @param edits edits by type, over the distinct captions
   * @param cacheFile where the edits are kept; null if only in memory
   * @param fromCache whether they were found there
   * @param notes what a user should know, such as a damaged file made anew; often none
   */
  public record Preparation(
      long samples,
      long unreadable,
      long captions,
      long withoutEdit,
      Map<EditType, Long> edits,
      @Nullable Path cacheFile,
      boolean fromCache,
      List<String> notes) {}

  /**
   * Hard negative captions of a batch, B rows.
   *
   * @param edits B edits, null for rows without a negative
   * @param tokens the negatives' tokens, B rows; rows without a negative repeat the positive
   * @param count rows with a negative
   */
  public record HardNegativeCaptions(
      @Nullable CaptionEdit[] edits, TokenizedCaptions tokens, int count) {
    /** Whether a row has a negative: rows that have none belong in no loss. */
    public boolean isValid(int row) {
      return edits[row] != null;
    }
  }

  /**
   * Rows drawn so far.
   *
   * @param edits rows by the type of their edit
   * @param withoutEdit rows without any edit that is not true of their image
   * @param cutOff rows whose negative had the positive's tokens, as the edit lay beyond the
   *     greatest length or in words unknown to the tokenizer
   * @param unknown rows whose caption was not among those prepared
   */
  public record Drawn(Map<EditType, Long> edits, long withoutEdit, long cutOff, long unknown) {}

  private final NtaConfig config;
  private final CaptionTokenizer tokenizer;
  private final long seed;
  private final EditStore store;
  private final LongTable truths;
  private final Lazy editor;
  private final Preparation preparation;
  private final Map<EditType, LongAdder> drawn = new EnumMap<>(EditType.class);
  private final LongAdder withoutEdit = new LongAdder();
  private final LongAdder cutOff = new LongAdder();
  private final LongAdder unknown = new LongAdder();

  private NegativeTextAugmentation(
      NtaConfig config,
      CaptionTokenizer tokenizer,
      long seed,
      EditStore store,
      LongTable truths,
      Lazy editor,
      Preparation preparation) {
    this.config = config;
    this.tokenizer = tokenizer;
    this.seed = seed;
    this.store = store;
    this.truths = truths;
    this.editor = editor;
    this.preparation = preparation;
    for (EditType type : EditType.values()) {
      drawn.put(type, new LongAdder());
    }
  }

  /** An editor made when first asked for: it takes reading the captions and a lexicon. */
  private static final class Lazy {
    private final TextEditor.Factory factory;
    private final Iterable<String> captions;
    private @Nullable TextEditor made;

    Lazy(TextEditor.Factory factory, Iterable<String> captions) {
      this.factory = factory;
      this.captions = captions;
    }

    synchronized TextEditor get() {
      if (made == null) {
        made = factory.create(captions);
      }
      return made;
    }
  }

  /**
   * Makes the edits of a data set's captions on all processors, or finds them in a folder. The
   * file's name holds a hash of the captions and of the editor's identity. Without a folder to keep
   * them in, or if it cannot be written, the edits stay in memory: about 30 bytes an edit.
   *
   * @param dataset stays open and may be read again later
   * @param tokenizer of the training run; stays open
   * @param language its editors
   * @param folders where the edits may lie; they are kept in the first if none has them, which is
   *     made if missing. An empty list for memory alone
   * @param runSeed seed of the run
   * @throws IllegalStateException if the editor lacks something, or fails on a caption; the message
   *     names it
   */
  public static NegativeTextAugmentation prepare(
      ImageTextDataset dataset,
      CaptionTokenizer tokenizer,
      TextEditor.Factory language,
      NtaConfig config,
      List<Path> folders,
      long runSeed)
      throws InterruptedException {
    Objects.requireNonNull(tokenizer, "tokenizer");
    Objects.requireNonNull(config, "config");
    Objects.requireNonNull(folders, "folders");
    TextEditor.Factory editor = CaptionEditFile.editors(config.seenPairs(), language);
    LongTable truths = new LongTable();
    CaptionEditFile.Key captions = CaptionEditFile.Key.of(editor.identity());
    long unreadable = 0;
    for (long i = 0; i < dataset.size(); i++) {
      try {
        var sample = dataset.caption(i);
        String caption = CaptionTokenizer.normalize(sample.caption());
        truths.putIfAbsent(truth(sample.imageId(), caption), 1);
        captions.add(caption);
      } catch (BadSampleException e) {
        unreadable++;
      }
    }
    CaptionEditFile.Key.Done done = captions.done();
    byte[] key = done.bytes();
    List<String> notes = new ArrayList<>();
    Lazy lazy = new Lazy(editor, () -> new Captions(dataset));
    String name = done.fileName();
    Path file = null;
    EditStore store = null;
    for (Path folder : folders) {
      if (store == null) {
        file = folder.resolve(name);
        store = find(file, key, notes);
      }
    }
    boolean fromCache = store != null;
    if (store == null && !folders.isEmpty()) {
      file = folders.getFirst().resolve(name);
      store = buildFile(dataset, lazy, file, key, notes);
    }
    if (store == null) {
      file = null;
      EditStore memory = new EditStore();
      build(dataset, lazy.get(), memory::add);
      store = memory;
    }
    Preparation preparation =
        new Preparation(
            dataset.size(),
            unreadable,
            store.captions(),
            store.withoutEdit(),
            store.byType(),
            file,
            fromCache,
            List.copyOf(notes));
    return new NegativeTextAugmentation(
        config, tokenizer, Draws.CAPTION_EDITS.seed(runSeed), store, truths, lazy, preparation);
  }

  private static long truth(long imageId, String caption) {
    // Spread, so that image ids and hashes that are near one another do not cancel out.
    return ((imageId + 1) * 0x9E3779B97F4A7C15L) ^ StableHash.of(caption);
  }

  private static @Nullable EditStore find(Path file, byte[] key, List<String> notes) {
    if (!Files.isRegularFile(file)) {
      return null;
    }
    try {
      return EditStore.load(file, key);
    } catch (EditStore.DamagedException | IOException e) {
      notes.add(
          "the caption edits in %s cannot be used (%s) and are made anew"
              .formatted(file, e instanceof IOException ? e.toString() : e.getMessage()));
      return null;
    }
  }

  private static @Nullable EditStore buildFile(
      ImageTextDataset dataset, Lazy editor, Path file, byte[] key, List<String> notes)
      throws InterruptedException {
    TextEditor ready = editor.get();
    try (EditStore.Writer writer = new EditStore.Writer(file, key)) {
      build(dataset, ready, writer::add);
      return writer.finish();
    } catch (IOException e) {
      notes.add(
          "the caption edits cannot be kept in %s (%s); they stay in memory and will be made anew at the next start"
              .formatted(file, e));
      return null;
    }
  }

  private interface Sink<E extends Exception> {
    void add(List<EditStore.Entry> entries) throws E;
  }

  /** Edits every distinct caption, in the data set's order. */
  private static <E extends Exception> void build(
      ImageTextDataset dataset, TextEditor editor, Sink<E> sink) throws E, InterruptedException {
    int threads = Runtime.getRuntime().availableProcessors();
    LongTable seen = new LongTable();
    Deque<Future<List<EditStore.Entry>>> running = new ArrayDeque<>();
    try (ExecutorService pool = pool(threads)) {
      try {
        List<String> block = new ArrayList<>();
        for (Iterator<String> captions = new Captions(dataset); captions.hasNext(); ) {
          String caption = captions.next();
          if (seen.putIfAbsent(StableHash.of(caption), 1)) {
            block.add(caption);
          }
          if (block.size() == CaptionEditFile.BLOCK) {
            List<String> full = block;
            block = new ArrayList<>();
            running.add(pool.submit(() -> CaptionEditFile.edits(editor, full)));
            if (running.size() > 2 * threads) {
              sink.add(finished(running.remove()));
            }
          }
        }
        List<String> rest = block;
        running.add(pool.submit(() -> CaptionEditFile.edits(editor, rest)));
        while (!running.isEmpty()) {
          sink.add(finished(running.remove()));
        }
      } finally {
        pool.shutdownNow();
      }
    }
  }

  private static ExecutorService pool(int threads) {
    return Executors.newFixedThreadPool(
        threads, Thread.ofPlatform().daemon().name("nas-caption-edits-", 0).factory());
  }

  private static List<EditStore.Entry> finished(Future<List<EditStore.Entry>> future)
      throws InterruptedException {
    try {
      return future.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IllegalStateException cause) {
        throw cause;
      }
      throw new IllegalStateException("captions cannot be edited: " + e.getCause(), e.getCause());
    }
  }

  /** The normalised captions that can be read, in order, repeated ones too. */
  private static final class Captions implements Iterator<String> {
    private final ImageTextDataset dataset;
    private long index;
    private @Nullable String next;

    Captions(ImageTextDataset dataset) {
      this.dataset = dataset;
    }

    @Override
    public boolean hasNext() {
      while (next == null && index < dataset.size()) {
        try {
          next = CaptionTokenizer.normalize(dataset.caption(index).caption());
        } catch (BadSampleException e) {
          // Counted when the captions were first gone through.
        }
        index++;
      }
      return next != null;
    }

    @Override
    public String next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      String caption = next;
      next = null;
      return caption;
    }
  }

  /** What was found when the edits were made or loaded. */
  public Preparation preparation() {
    return preparation;
  }

  /**
   * How a picture has to be mirrored for a hard negative caption to become true of it and the true
   * one false; null if no mirror does, or if the language's editors do not tell.
   *
   * @param caption the true one, normalised
   * @param edit one of its edits
   */
  public @Nullable Mirror mirror(String caption, CaptionEdit edit) {
    return editor.factory.mirror(caption, edit);
  }

  /** All words that an edit takes out or puts in, swaps aside. */
  public Set<String> words() {
    Set<String> words = new TreeSet<>();
    store.forEach(
        edit -> {
          if (!edit.type().isSwap()) {
            words.add(edit.replaced());
            words.add(edit.replacement());
          }
        });
    return words;
  }

  /**
   * The pairs whose caption names one thing ({@link TextEditor#things}), found on all processors.
   *
   * @param dataset the one that was prepared
   * @return their indices, ascending
   */
  public int[] singleThings(ImageTextDataset dataset) {
    TextEditor ready = editor.get();
    return IntStream.range(0, Math.toIntExact(dataset.size()))
        .parallel()
        .filter(index -> namesOneThing(ready, dataset, index))
        .toArray();
  }

  private static boolean namesOneThing(TextEditor editor, ImageTextDataset dataset, int index) {
    try {
      return editor.things(CaptionTokenizer.normalize(dataset.caption(index).caption())) == 1;
    } catch (BadSampleException e) {
      // Counted when the captions were first gone through.
      return false;
    }
  }

  /** What has been drawn so far. */
  public Drawn drawn() {
    Map<EditType, Long> counts = new EnumMap<>(EditType.class);
    drawn.forEach(
        (type, count) -> {
          if (count.sum() > 0) {
            counts.put(type, count.sum());
          }
        });
    return new Drawn(counts, withoutEdit.sum(), cutOff.sum(), unknown.sum());
  }

  /**
   * The edits of a caption that are not true of its image, with all types that are ever drawn;
   * empty for a caption that is not among those prepared.
   */
  public List<CaptionEdit> candidates(String caption, long imageId) {
    List<CaptionEdit> edits = store.get(CaptionTokenizer.normalize(caption));
    return edits == null ? List.of() : usable(edits, imageId);
  }

  private List<CaptionEdit> usable(List<CaptionEdit> edits, long imageId) {
    return edits.stream()
        .filter(edit -> config.typeWeights().getOrDefault(edit.type(), 0.0) > 0)
        .filter(edit -> !isTrue(edit, imageId))
        .toList();
  }

  private boolean isTrue(CaptionEdit edit, long imageId) {
    return truths.get(truth(imageId, edit.caption())) != LongTable.ABSENT;
  }

  /**
   * Which word of each caption a masked language model shall propose a word for: of the share
   * {@code wordShare} of the rows that get a hard negative a word that the editor can replace,
   * drawn uniformly; −1 elsewhere. Words are what spaces part, counted from 0.
   */
  public int[] wordsToPropose(Batch batch) {
    int[] words = new int[batch.captions().length];
    Arrays.fill(words, -1);
    for (int row = 0; row < words.length; row++) {
      if (hasTurn(batch, row) && Draws.unit(draw(batch, row, IS_WORD)) < config.wordShare()) {
        int[] possible = editor.get().replaceable(batch.captions()[row]);
        if (possible.length > 0) {
          words[row] = possible[Draws.uniform(draw(batch, row, WHICH_WORD), possible.length)];
        }
      }
    }
    return words;
  }

  private boolean hasTurn(Batch batch, int row) {
    return Draws.unit(draw(batch, row, IS_NEGATIVE)) < config.share();
  }

  private long draw(Batch batch, int row, int position) {
    return Draws.draw(seed, (int) batch.step(), batch.sampleIds()[row], position);
  }

  /**
   * Draws hard negative captions for the configuration's share of the rows: first the type, by the
   * weights of those that a caption has, then an edit of that type uniformly. What is drawn depends
   * on the seed, the step and the sample alone.
   */
  public HardNegativeCaptions draw(Batch batch) {
    return draw(batch, List.of());
  }

  /**
   * Draws hard negative captions, from a language model's proposals where there are some.
   *
   * @param proposals for each row the words proposed for the word that {@link #wordsToPropose}
   *     named, best first; the first that passes the editor's rules is taken. Rows with an empty
   *     list, or with no such word, get an edit as {@link #draw(Batch)} gives it. An empty list
   *     stands for no proposals at all
   */
  public HardNegativeCaptions draw(Batch batch, List<List<String>> proposals) {
    int rows = batch.captions().length;
    if (!proposals.isEmpty() && proposals.size() != rows) {
      throw new IllegalArgumentException(
          "proposals for %d rows were given for a batch of %d".formatted(proposals.size(), rows));
    }
    int[] words = proposals.isEmpty() ? new int[0] : wordsToPropose(batch);
    @Nullable CaptionEdit[] edits = new CaptionEdit[rows];
    String[] texts = new String[rows];
    for (int row = 0; row < rows; row++) {
      CaptionEdit edit = null;
      if (words.length > 0 && words[row] >= 0) {
        edit = proposed(batch, row, words[row], proposals.get(row));
      }
      edits[row] = edit == null && hasTurn(batch, row) ? drawEdit(batch, row) : edit;
      texts[row] = edits[row] == null ? batch.captions()[row] : edits[row].caption();
    }
    TokenizedCaptions tokens = tokenizer.encode(List.of(texts));
    int count = 0;
    for (int row = 0; row < rows; row++) {
      CaptionEdit edit = edits[row];
      if (edit == null) {
        continue;
      }
      if (sameTokens(tokens, batch.tokens(), row)) {
        cutOff.increment();
        edits[row] = null;
      } else {
        drawn.get(edit.type()).increment();
        count++;
      }
    }
    return new HardNegativeCaptions(edits, tokens, count);
  }

  private @Nullable CaptionEdit proposed(Batch batch, int row, int word, List<String> proposals) {
    for (String proposal : proposals) {
      CaptionEdit edit = editor.get().replace(batch.captions()[row], word, proposal);
      if (edit != null && !isTrue(edit, batch.imageIds()[row])) {
        return edit;
      }
    }
    return null;
  }

  private @Nullable CaptionEdit drawEdit(Batch batch, int row) {
    List<CaptionEdit> all = store.get(batch.captions()[row]);
    if (all == null) {
      unknown.increment();
      return null;
    }
    EnumMap<EditType, List<CaptionEdit>> byType = new EnumMap<>(EditType.class);
    for (CaptionEdit edit : usable(all, batch.imageIds()[row])) {
      byType.computeIfAbsent(edit.type(), type -> new ArrayList<>()).add(edit);
    }
    if (byType.isEmpty()) {
      withoutEdit.increment();
      return null;
    }
    double sum = 0;
    for (EditType type : byType.keySet()) {
      sum += config.typeWeights().get(type);
    }
    double target = Draws.unit(draw(batch, row, TYPE)) * sum;
    List<CaptionEdit> chosen = List.of();
    for (Map.Entry<EditType, List<CaptionEdit>> entry : byType.entrySet()) {
      chosen = entry.getValue();
      target -= config.typeWeights().get(entry.getKey());
      if (target < 0) {
        break;
      }
    }
    return chosen.get(Draws.uniform(draw(batch, row, EDIT), chosen.size()));
  }

  private static boolean sameTokens(TokenizedCaptions a, TokenizedCaptions b, int row) {
    int length = Math.max(a.length(), b.length());
    for (int i = 0; i < length; i++) {
      long one =
          i < a.length() && a.mask()[row * a.length() + i] == 1
              ? a.ids()[row * a.length() + i]
              : -1;
      long two =
          i < b.length() && b.mask()[row * b.length() + i] == 1
              ? b.ids()[row * b.length() + i]
              : -1;
      if (one != two) {
        return false;
      }
    }
    return true;
  }
}
