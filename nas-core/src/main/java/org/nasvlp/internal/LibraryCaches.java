package org.nasvlp.internal;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import org.bytedeco.javacpp.Loader;
import org.nasvlp.kernels.NativeCache;

/**
 * The folders into which the libraries that this one builds on copy their native code: what the
 * program has set for them, or a folder of {@link NativeCache} where {@code -Dnas.native.cache} is
 * set, or their own in the user's home. Without a home they would take folders in the temporary one
 * whose names anybody can foresee, and load what lies there; then it is a folder of {@link
 * NativeCache} too.
 */
public final class LibraryCaches {
  private static final String JAVACPP = "org.bytedeco.javacpp.cachedir";
  private static final String DJL = "ENGINE_CACHE_DIR";

  /** Counts, over all class loaders of the process, those that have asked for the tokenizers. */
  private static final String LOADERS = "org.nasvlp.tokenizers.loaders";

  private LibraryCaches() {}

  /**
   * Chooses JavaCPP's folder, for LibTorch, before its first class is used.
   *
   * @return the folder
   * @throws IOException if there is none that can be used, or anybody may write it
   */
  static Path javaCpp() throws IOException {
    boolean chosen =
        System.getProperty(JAVACPP) != null
            || System.getProperty("org.bytedeco.javacpp.cacheDir") != null;
    if (!chosen && (NativeCache.isNamed() || !homeHas(".javacpp/cache"))) {
      System.setProperty(JAVACPP, NativeCache.folder("javacpp").toString());
    }
    Path folder = Loader.getCacheDir().toPath();
    requireTrusted(folder);
    return folder;
  }

  /**
   * Runs what loads DJL's tokenizers for the first time, with the folder chosen for it. The JVM
   * loads a library's file for one class loader only, so each further one gets a copy of its own.
   *
   * @throws IOException if there is no folder that can be used
   */
  public static <T> T withTokenizers(Loading<T> loading) throws IOException {
    if (set(DJL) || set("DJL_CACHE_DIR")) {
      return loading.run();
    }
    int loader = countLoader();
    if (loader == 1 && !NativeCache.isNamed() && homeHas(".djl.ai")) {
      return loading.run();
    }
    String folder = loader == 1 ? "tokenizers" : "tokenizers-" + loader;
    System.setProperty(DJL, NativeCache.folder(folder).toString());
    try {
      return loading.run();
    } finally {
      System.clearProperty(DJL);
    }
  }

  private static int countLoader() {
    Object count =
        System.getProperties()
            .merge(LOADERS, "1", (a, b) -> Integer.toString(Integer.parseInt((String) a) + 1));
    return Integer.parseInt((String) count);
  }

  /** What loads a library. */
  public interface Loading<T> {
    T run() throws IOException;
  }

  private static boolean set(String name) {
    return System.getenv(name) != null || System.getProperty(name) != null;
  }

  /** Whether a folder of the user's home is, or can be made, this user's alone. */
  private static boolean homeHas(String folder) {
    String home = System.getProperty("user.home");
    if (home == null || !home.startsWith("/") || !Files.isDirectory(Path.of(home))) {
      return false;
    }
    try {
      Path place = Path.of(home, folder);
      Path existing = place;
      while (!Files.exists(existing)) {
        existing = existing.getParent();
      }
      requireTrusted(existing);
      return Files.isDirectory(existing)
          && Files.isWritable(existing)
          && Files.getOwner(existing).equals(Files.getOwner(Path.of("/proc/self")));
    } catch (IOException e) {
      return false;
    }
  }

  private static void requireTrusted(Path folder) throws IOException {
    if (Files.getPosixFilePermissions(folder).contains(PosixFilePermission.OTHERS_WRITE)) {
      throw new IOException(
          "%s can be written by anybody, so that its libraries are not loaded: take that away"
                  .formatted(folder)
              + " (chmod o-w), or name another folder by -D"
              + NativeCache.PROPERTY);
    }
  }
}
