/**
 * The kernels of the visual dictionary: nearest codeword, momentum update, neighbour lists and
 * token swap, on a CUDA device, on the CPU's vector units or in plain Java, with the same answers
 * everywhere.
 *
 * <p>The native libraries are reached through {@code java.lang.foreign}; start the JVM with {@code
 * --enable-native-access=org.nasvlp.kernels} (module path) or {@code
 * --enable-native-access=ALL-UNNAMED} (class path) to spare the JDK's warning about it.
 */
module org.nasvlp.kernels {
  exports org.nasvlp.kernels;
}
