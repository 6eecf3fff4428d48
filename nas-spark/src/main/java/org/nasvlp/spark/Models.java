package org.nasvlp.spark;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.HashMap;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;
import org.nasvlp.checkpoint.Checkpoints;
import org.nasvlp.checkpoint.FileSums;
import org.nasvlp.model.NasModel;

/** The models of this JVM, each loaded once for all its tasks. Thread-safe. */
final class Models {
  private static final Map<String, Held> HELD = new HashMap<>();

  private Models() {}

  private static final class Held {
    private final NasModel model;
    private final String sums;
    private int users;
    private boolean replaced;

    Held(NasModel model, String sums) {
      this.model = model;
      this.sums = sums;
    }
  }

  /** A model that is in use: it stays open until this is closed. */
  static final class Use implements AutoCloseable {
    private final Held held;
    private boolean closed;

    private Use(Held held) {
      this.held = held;
      held.users++;
    }

    NasModel model() {
      return held.model;
    }

    @Override
    public void close() {
      synchronized (HELD) {
        if (closed) {
          return;
        }
        closed = true;
        held.users--;
        if (held.replaced && held.users == 0) {
          held.model.close();
        }
      }
    }
  }

  /**
   * The model of a checkpoint, loaded if it is not yet or if the checkpoint was written anew.
   *
   * @param checkpoint folder on any file system that Hadoop knows; on the local one the output of a
   *     run does as well
   * @throws IOException naming the checkpoint, if it cannot be read
   */
  static Use use(String checkpoint, String device, Configuration configuration) throws IOException {
    Path path = new Path(checkpoint);
    FileSystem files = path.getFileSystem(configuration);
    if (files instanceof LocalFileSystem local) {
      path = new Path(Checkpoints.resolve(local.pathToFile(path).toPath()).toUri());
    }
    String sums;
    try (FSDataInputStream in = files.open(new Path(path, FileSums.NAME))) {
      sums = new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (FileNotFoundException e) {
      throw new IOException(
          "%s is no checkpoint that this machine can read (it has no %s); name a checkpoint's own"
                  .formatted(checkpoint, FileSums.NAME)
              + " folder, on a file system that all machines share",
          e);
    }
    // Tasks that want the same model wait for the one that loads it.
    synchronized (HELD) {
      String key = device + " " + path;
      Held held = HELD.get(key);
      if (held == null || !held.sums.equals(sums)) {
        Held loaded = new Held(load(files, path, device), sums);
        HELD.put(key, loaded);
        if (held != null) {
          held.replaced = true;
          if (held.users == 0) {
            held.model.close();
          }
        }
        held = loaded;
      }
      return new Use(held);
    }
  }

  private static NasModel load(FileSystem files, Path path, String device) throws IOException {
    if (files instanceof LocalFileSystem local) {
      return NasModel.load(local.pathToFile(path).toPath(), device);
    }
    java.nio.file.Path copy = Files.createTempDirectory("nas-checkpoint");
    try {
      java.nio.file.Path folder = copy.resolve("checkpoint");
      FileUtil.copy(files, path, folder.toFile(), false, files.getConf());
      return NasModel.load(folder, device);
    } finally {
      FileUtil.fullyDelete(copy.toFile());
    }
  }
}
