package org.nasvlp.kernels;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Where native libraries that are shipped in jars are copied to before they are loaded. What lies
 * there is executed, so a folder is used only if nobody else can put a library into it. All methods
 * are safe to call from any thread.
 */
public final class NativeCache {
  /** The system property that names the folder. */
  public static final String PROPERTY = "nas.native.cache";

  private static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  private NativeCache() {}

  /** Whether {@code -Dnas.native.cache} names a folder. */
  public static boolean isNamed() {
    return named() != null;
  }

  private static String named() {
    String asked = System.getProperty(PROPERTY);
    return asked == null || asked.isBlank() ? null : asked;
  }

  /**
   * The folders that may be used, best first: what {@code -Dnas.native.cache} names, or else {@code
   * $XDG_CACHE_HOME/nas/native}, or else {@code ~/.cache/nas/native} if there is a home; then one
   * of the user's own below {@code java.io.tmpdir}. They need not exist.
   */
  public static List<Path> places() {
    List<Path> places = new ArrayList<>();
    String asked = named();
    String xdg = System.getenv("XDG_CACHE_HOME");
    String home = System.getProperty("user.home");
    if (asked != null) {
      places.add(Path.of(asked).toAbsolutePath());
    } else if (xdg != null && xdg.startsWith("/")) {
      places.add(Path.of(xdg, "nas", "native"));
    } else if (home != null && home.startsWith("/") && Files.isDirectory(Path.of(home))) {
      places.add(Path.of(home, ".cache", "nas", "native"));
    }
    places.add(temporary());
    return places;
  }

  private static Path temporary() {
    String user = System.getProperty("user.name", "user").replaceAll("[^A-Za-z0-9_.-]", "_");
    return Path.of(System.getProperty("java.io.tmpdir", "/tmp"), "nas-native-" + user)
        .toAbsolutePath();
  }

  /**
   * A folder of that name in the first of the {@link #places} where it can be made and written.
   *
   * @throws IOException naming what was tried and the remedy, if there is none
   */
  public static Path folder(String name) throws IOException {
    List<String> tried = new ArrayList<>();
    for (Path place : places()) {
      try {
        Path folder = folder(place, name);
        if (!Files.isWritable(folder)) {
          throw new IOException(folder + " cannot be written");
        }
        return folder;
      } catch (IOException e) {
        tried.add(reason(place, e));
      }
    }
    throw new IOException(
        "native libraries cannot be copied to any of these places: "
            + String.join("; ", tried)
            + ". Name a folder that is writable and allows execution by -D"
            + PROPERTY);
  }

  /** What went wrong in a folder, with its name. */
  private static String reason(Path place, IOException e) {
    String message = String.valueOf(e.getMessage());
    return message.contains(place.toString())
        ? e.getClass().getSimpleName() + ": " + message
        : place + ": " + e;
  }

  /**
   * A folder in a place, made if it is not there; it may be read-only, if it is.
   *
   * @throws IOException if it cannot be made, or is not this user's alone
   */
  public static Path folder(Path place, String name) throws IOException {
    Files.createDirectories(place, OWNER_ONLY);
    // Everybody may write beside what lies in the temporary folder, and make it before this user.
    if (place.equals(temporary())) {
      requirePrivate(place);
    }
    Path folder = Files.createDirectories(place.resolve(name), OWNER_ONLY);
    requirePrivate(folder);
    return folder;
  }

  /**
   * Refuses a folder into which another user could put a library of his own.
   *
   * @throws IOException if it is a link, belongs to another user than this one or root, or may be
   *     written by others
   */
  private static void requirePrivate(Path folder) throws IOException {
    UserPrincipal self = Files.getOwner(Path.of("/proc/self"));
    UserPrincipal owner = Files.getOwner(folder, LinkOption.NOFOLLOW_LINKS);
    Set<PosixFilePermission> permissions =
        Files.getPosixFilePermissions(folder, LinkOption.NOFOLLOW_LINKS);
    if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
      throw new IOException(folder + " is no folder");
    }
    if (!owner.equals(self) && !owner.getName().equals("root")) {
      throw new IOException(
          "the folder %s is not this user's alone: it belongs to %s"
              .formatted(folder, owner.getName()));
    }
    if (permissions.contains(PosixFilePermission.GROUP_WRITE)
        || permissions.contains(PosixFilePermission.OTHERS_WRITE)) {
      throw new IOException(
          "the folder %s is not this user's alone: others may write it (%s)"
              .formatted(folder, PosixFilePermissions.toString(permissions)));
    }
  }
}
