package org.nasvlp.spark;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.util.SerializableConfiguration;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.text.CaptionText;
import org.nasvlp.negatives.CaptionEditFile;
import org.nasvlp.negatives.TextEditor;
import org.nasvlp.random.StableHash;
import scala.Tuple2;

/** Makes the file of the hard negative captions of a preparation's pairs, on all executors. */
final class CaptionEditing {
  /** Blocks that a task edits. */
  private static final int TASK = 4;

  private final PrepareOptions.HardNegatives options;
  private final ShardFolder folder;
  private final SerializableConfiguration configuration;
  private final String identity;

  /**
   * Finds the editors.
   *
   * @throws IllegalStateException if there are none, with what to add
   */
  CaptionEditing(
      PrepareOptions.HardNegatives options,
      ShardFolder folder,
      SerializableConfiguration configuration) {
    this.options = options;
    this.folder = folder;
    this.configuration = configuration;
    this.identity = options.factory().identity();
  }

  /**
   * Makes the file unless it is there.
   *
   * @param pairs in the order of the shards
   * @return its path
   */
  String run(JavaPairRDD<Long, Item> pairs) throws IOException {
    Path texts = folder.path("_captions");
    FileSystem files = texts.getFileSystem(configuration.value());
    files.delete(texts, true);
    JavaRDD<String> captions = pairs.map(pair -> CaptionText.normalize(pair._2().caption()));
    try {
      // An editor goes through all captions more than once, on each executor.
      captions.saveAsTextFile(texts.toString());
      Iterable<String> all = () -> new Lines(texts, configuration.value());
      Path kept = folder.path("captions");
      Path file = new Path(kept, CaptionEditFile.name(identity, all));
      if (!files.exists(file)) {
        files.mkdirs(kept);
        write(captions, all, texts, file, files);
      }
      return file.toString();
    } finally {
      files.delete(texts, true);
    }
  }

  private void write(
      JavaRDD<String> captions, Iterable<String> all, Path texts, Path file, FileSystem files)
      throws IOException {
    JavaRDD<byte[]> blocks =
        blocks(captions)
            .mapPartitions(new Task(options, texts.toString(), configuration))
            .persist(StorageLevel.MEMORY_AND_DISK());
    java.nio.file.Path local = Files.createTempDirectory("nas-captions-");
    try {
      // All tasks at once; the blocks are then fetched one task after the other.
      long _ = blocks.count();
      CaptionEditFile.Written written =
          CaptionEditFile.write(local, identity, all, blocks.toLocalIterator());
      Path draft = new Path(file.getParent(), file.getName() + ".part");
      files.copyFromLocalFile(false, true, new Path(written.file().toUri()), draft);
      if (!files.rename(draft, file)) {
        throw new IOException(draft + " cannot be renamed to " + file);
      }
    } finally {
      blocks.unpersist();
      FileUtil.fullyDelete(local.toFile());
    }
  }

  /** The distinct captions in the order in which they come first, numbered, by task. */
  private static JavaRDD<String> blocks(JavaRDD<String> captions) {
    JavaPairRDD<Long, String> distinct =
        captions
            .zipWithIndex()
            .mapToPair(
                numbered ->
                    new Tuple2<>(
                        StableHash.of(numbered._1()), new Tuple2<>(numbered._2(), numbered._1())))
            .reduceByKey((one, other) -> one._1() < other._1() ? one : other)
            .values()
            .mapToPair(numbered -> numbered)
            .sortByKey()
            .values()
            .zipWithIndex()
            .mapToPair(Tuple2::swap);
    long each = (long) TASK * CaptionEditFile.BLOCK;
    int tasks = Math.toIntExact(Math.max(1, Math.ceilDiv(distinct.count(), each)));
    return distinct
        .repartitionAndSortWithinPartitions(new ShardPlan.ByNumber(tasks, Math.toIntExact(each)))
        .values();
  }

  /** Edits the captions of a partition, block by block. */
  private record Task(
      PrepareOptions.HardNegatives options, String texts, SerializableConfiguration configuration)
      implements FlatMapFunction<Iterator<String>, byte[]> {
    @Override
    public Iterator<byte[]> call(Iterator<String> captions) {
      TextEditor editor = Editor.of(this);
      return new Iterator<>() {
        @Override
        public boolean hasNext() {
          return captions.hasNext();
        }

        @Override
        public byte[] next() {
          List<String> block = new ArrayList<>();
          while (block.size() < CaptionEditFile.BLOCK && captions.hasNext()) {
            block.add(captions.next());
          }
          if (block.isEmpty()) {
            throw new NoSuchElementException();
          }
          return CaptionEditFile.edit(editor, block);
        }
      };
    }
  }

  /** The editor of this JVM's tasks, made once for all tasks of a preparation. */
  private static final class Editor {
    private static @Nullable String made;
    private static @Nullable TextEditor editor;

    private Editor() {}

    static synchronized TextEditor of(Task task) {
      TextEditor ready = editor;
      String wanted = task.texts + " " + task.options.factory().identity();
      if (ready == null || !wanted.equals(made)) {
        ready =
            task.options
                .factory()
                .create(() -> new Lines(new Path(task.texts), task.configuration.value()));
        editor = ready;
        made = wanted;
      }
      return ready;
    }
  }

  /** The lines of a folder of Spark's text files, in order. */
  private static final class Lines implements Iterator<String> {
    private final Iterator<Path> parts;
    private final Configuration configuration;
    private @Nullable BufferedReader reader;
    private @Nullable String next;

    Lines(Path folder, Configuration configuration) {
      this.configuration = configuration;
      try {
        FileStatus[] found =
            folder
                .getFileSystem(configuration)
                .listStatus(folder, path -> path.getName().startsWith("part-"));
        this.parts = Arrays.stream(found).map(FileStatus::getPath).sorted().iterator();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      advance();
    }

    private void advance() {
      try {
        next = reader == null ? null : reader.readLine();
        while (next == null) {
          if (reader != null) {
            reader.close();
            reader = null;
          }
          if (!parts.hasNext()) {
            return;
          }
          Path part = parts.next();
          reader =
              new BufferedReader(
                  new InputStreamReader(
                      part.getFileSystem(configuration).open(part), StandardCharsets.UTF_8));
          next = reader.readLine();
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public boolean hasNext() {
      return next != null;
    }

    @Override
    public String next() {
      String line = next;
      if (line == null) {
        throw new NoSuchElementException();
      }
      advance();
      return line;
    }
  }
}
