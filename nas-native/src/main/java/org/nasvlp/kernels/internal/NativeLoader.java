package org.nasvlp.kernels.internal;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.net.URL;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.DeviceOutOfMemoryException;
import org.nasvlp.kernels.NasNativeException;
import org.nasvlp.kernels.NativeCache;
import org.nasvlp.kernels.internal.Libraries.Outcome;

/**
 * Finds and loads a native library: from {@code -Dnas.native.path} if that is set, else from a
 * resource, which is copied once into a cache keyed by the SHA-256 of its content.
 */
final class NativeLoader {
  private static final String RESOURCES = "org/nasvlp/kernels/native/";
  private static final String BUILD_REMEDY =
      "build it with 'mvn verify' in the source tree, or name it by -Dnas.native.path";

  private static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  private NativeLoader() {}

  /** The file name of a backend's library. */
  static String fileName(Backend backend) {
    return backend == Backend.CUDA ? "libnas_kernels_cuda.so" : "libnas_kernels.so";
  }

  static Outcome load(Backend backend) {
    String platform = platform();
    if (!platform.startsWith("linux-")) {
      return Outcome.none("there is no native library for " + platform + ", only for Linux.");
    }
    try {
      String explicit = System.getProperty("nas.native.path");
      return explicit == null || explicit.isBlank()
          ? loadResource(backend, platform)
          : loadExplicit(backend, Path.of(explicit));
    } catch (IllegalCallerException e) {
      return Outcome.none(
          "this JVM denies native access; start it with --enable-native-access="
              + (NativeLoader.class.getModule().isNamed() ? "org.nasvlp.kernels" : "ALL-UNNAMED")
              + " ("
              + e.getMessage()
              + ").");
    }
  }

  private static String platform() {
    String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
    String arch = System.getProperty("os.arch", "").toLowerCase(Locale.ROOT);
    return os.replace(' ', '_') + "-" + (arch.equals("amd64") ? "x86_64" : arch);
  }

  private static Outcome loadExplicit(Backend backend, Path path) {
    String setting = "-Dnas.native.path=" + path;
    if (Files.isDirectory(path)) {
      Path file = path.resolve(fileName(backend));
      if (!Files.exists(file)) {
        Backend other = backend == Backend.CPU ? Backend.CUDA : Backend.CPU;
        String missing = setting + " holds no " + fileName(backend);
        return Files.exists(path.resolve(fileName(other)))
            ? Outcome.none(missing + ".")
            : Outcome.failed(missing + "; name the folder in which the native library was built.");
      }
      return open(backend, file).named("it was found by " + setting + ".", false);
    }
    if (!Files.exists(path)) {
      return Outcome.failed(
          setting + " does not exist; name the native library or the folder that holds it.");
    }
    Path name = path.getFileName();
    boolean cuda = name != null && name.toString().contains("cuda");
    if (cuda != (backend == Backend.CUDA)) {
      return Outcome.none(setting + " names the library of another backend.");
    }
    return open(backend, path).named("it was named by " + setting + ".", true);
  }

  private static Outcome loadResource(Backend backend, String platform) {
    String name = RESOURCES + platform + "/" + fileName(backend);
    byte[] content;
    try {
      URL url = resource(name);
      if (url == null) {
        return Outcome.none(
            backend == Backend.CUDA
                ? "no "
                    + fileName(backend)
                    + " is on the class path; add the nas-native jar with classifier "
                    + platform
                    + "-cuda, or name the library by -Dnas.native.path."
                : "no "
                    + fileName(backend)
                    + " for "
                    + platform
                    + " is on the class path; "
                    + BUILD_REMEDY
                    + ".");
      }
      try (InputStream in = url.openStream()) {
        content = in.readAllBytes();
      }
    } catch (IOException e) {
      return Outcome.none("resource " + name + " cannot be read: " + e.getMessage() + ".");
    }
    return loadCopy(backend, content);
  }

  private static URL resource(String name) {
    ClassLoader own = NativeLoader.class.getClassLoader();
    URL url = own == null ? ClassLoader.getSystemResource(name) : own.getResource(name);
    ClassLoader context = Thread.currentThread().getContextClassLoader();
    return url == null && context != null ? context.getResource(name) : url;
  }

  /** Tries one place after another: a folder may be read-only, full, or mounted noexec. */
  private static Outcome loadCopy(Backend backend, byte[] content) {
    String hash = sha256(content);
    List<String> tried = new ArrayList<>();
    for (Path place : NativeCache.places()) {
      try {
        Path file = copy(content, hash, NativeCache.folder(place, hash), fileName(backend));
        Opened opened = open(backend, file);
        if (opened.library() != null || opened.verdict() != Verdict.UNREADABLE) {
          return opened.found();
        }
        tried.add(opened.reason());
      } catch (IOException e) {
        tried.add(place + ": " + e);
      }
    }
    return Outcome.none(
        "the native library could not be loaded from any of these places: "
            + String.join("; ", tried)
            + ". Name a folder that is writable and allows execution by -Dnas.native.cache.");
  }

  private static Path copy(byte[] content, String hash, Path folder, String name)
      throws IOException {
    Path file = folder.resolve(name);
    if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
        && sha256(Files.readAllBytes(file)).equals(hash)) {
      return file;
    }
    Path unfinished = Files.createTempFile(folder, name, ".part", OWNER_ONLY);
    try {
      Files.write(unfinished, content);
      try {
        Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE);
      } catch (AtomicMoveNotSupportedException e) {
        Files.move(unfinished, file, StandardCopyOption.REPLACE_EXISTING);
      }
    } finally {
      Files.deleteIfExists(unfinished);
    }
    return file;
  }

  private static String sha256(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /** What is wrong with a file. */
  private enum Verdict {
    /** Nothing. */
    FINE,
    /** It cannot be opened here; a copy elsewhere may do better. */
    UNREADABLE,
    /** It is not the library it should be. */
    WRONG,
    /** The library is right, but this machine lacks what it needs. */
    UNUSABLE
  }

  /**
   * What became of opening one file.
   *
   * @param library the library, or null
   * @param reason names the file and what is wrong
   * @param verdict what is wrong
   */
  private record Opened(NativeLibrary library, String reason, Verdict verdict) {
    /** For a file found by searching. */
    Outcome found() {
      return library != null ? Outcome.of(library) : Outcome.none(reason + ".");
    }

    /** For a file that the user pointed to, himself or by its folder. */
    Outcome named(String because, boolean himself) {
      return library != null || (verdict == Verdict.UNUSABLE && !himself)
          ? found()
          : Outcome.failed(reason + "; " + because);
    }
  }

  private static Opened open(Backend backend, Path file) {
    SymbolLookup symbols;
    try {
      // Through dlopen, which, unlike System.load, does not bind the library to one class loader.
      symbols = SymbolLookup.libraryLookup(file.toAbsolutePath(), Arena.global());
    } catch (IllegalArgumentException e) {
      return new Opened(
          null, file + ": " + DynamicLinker.reason(file.toAbsolutePath()), Verdict.UNREADABLE);
    }
    try {
      NativeLibrary library = new NativeLibrary(backend, symbols);
      library.probe();
      return new Opened(library, "", Verdict.FINE);
    } catch (MissingSymbolException e) {
      return new Opened(null, file + ": " + e.getMessage(), Verdict.WRONG);
    } catch (NasNativeException | DeviceOutOfMemoryException e) {
      return new Opened(null, e.getMessage(), Verdict.UNUSABLE);
    }
  }
}
