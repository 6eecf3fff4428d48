package org.nasvlp.internal;

import org.jspecify.annotations.Nullable;

/** Tells a JVM that denies native access from a library that cannot be loaded. */
public final class NativeAccess {
  private NativeAccess() {}

  /**
   * What to do about it.
   *
   * @param loader the class of this library that was about to load something
   * @param failure what came of it
   * @return null if native access is not the cause
   */
  public static @Nullable String denied(Class<?> loader, Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof IllegalCallerException) {
        return "this JVM denies native access; start it with --enable-native-access="
            + (loader.getModule().isNamed() ? "ALL-MODULE-PATH" : "ALL-UNNAMED")
            + " ("
            + cause.getMessage()
            + ")";
      }
    }
    return null;
  }
}
