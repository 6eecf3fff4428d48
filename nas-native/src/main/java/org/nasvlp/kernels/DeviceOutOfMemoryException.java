package org.nasvlp.kernels;

/** The CUDA device has not enough free memory for the call. */
public class DeviceOutOfMemoryException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message what was to be allocated
   */
  public DeviceOutOfMemoryException(String message) {
    super(message);
  }
}
