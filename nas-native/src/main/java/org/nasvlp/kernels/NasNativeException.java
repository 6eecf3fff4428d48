package org.nasvlp.kernels;

/** A native library could not be loaded, or failed in a way that no argument explains. */
public class NasNativeException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The {@link #status()} of a failure to load a library. */
  public static final int NOT_LOADED = -1;

  /** The status of the failed call, or {@link #NOT_LOADED}. */
  private final int status;

  /**
   * Creates the exception.
   *
   * @param status the {@code nas_status} of the failed call, or {@link #NOT_LOADED}
   * @param message what failed, and the remedy where there is one
   */
  public NasNativeException(int status, String message) {
    super(message);
    this.status = status;
  }

  /** The {@code nas_status} of the failed call, or {@link #NOT_LOADED}. */
  public int status() {
    return status;
  }
}
