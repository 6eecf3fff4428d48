package org.nasvlp.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.function.LongToDoubleFunction;

/**
 * The numbers that a checkpoint's tensor may hold.
 *
 * @param least the smallest
 * @param most the largest
 * @param text what they are, for people
 */
public record TensorRange(double least, double most, String text) {
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** All numbers but NaN and the infinities. */
  public static final TensorRange FINITE =
      new TensorRange(-Double.MAX_VALUE, Double.MAX_VALUE, "a finite number");

  /** Finite numbers from 0 on. */
  public static final TensorRange NOT_NEGATIVE =
      new TensorRange(0, Double.MAX_VALUE, "a finite number, 0 or more");

  /** Finite numbers above 0. */
  public static final TensorRange POSITIVE =
      new TensorRange(Double.MIN_VALUE, Double.MAX_VALUE, "a finite number above 0");

  /** Whole numbers {@code least..most}. */
  public static TensorRange of(long least, long most) {
    return new TensorRange(least, most, least + " to " + most);
  }

  /**
   * Checks every element.
   *
   * @param file that the tensor is in, and {@code name} what it is called there
   * @throws IOException naming file, tensor, element and remedy, at the first outside
   * @throws IllegalArgumentException if the elements are not F32, F64, I32 or I64
   */
  public void require(Path file, String name, Safetensors.Entry entry) throws IOException {
    require(file, name, entry, 0, entry.count());
  }

  /** {@link #require(Path, String, Safetensors.Entry)} of the elements {@code from..to-1}. */
  public void require(Path file, String name, Safetensors.Entry entry, long from, long to)
      throws IOException {
    LongToDoubleFunction element = elements(entry);
    for (long i = from; i < to; i++) {
      double value = element.applyAsDouble(i);
      if (!(value >= least && value <= most)) {
        String told = Double.toString(value).replaceFirst("\\.0$", "");
        throw new IOException(
            ("%s: tensor %s holds %s at element %d, where %s belongs: the file is damaged, or its"
                    + " training had failed; use an earlier checkpoint")
                .formatted(file, name, told, i, text));
      }
    }
  }

  private static LongToDoubleFunction elements(Safetensors.Entry entry) {
    MemorySegment data = entry.data();
    return switch (entry.type()) {
      case F32 -> i -> data.getAtIndex(Safetensors.FLOAT, i);
      case F64 -> i -> data.getAtIndex(Safetensors.DOUBLE, i);
      case I32 -> i -> data.getAtIndex(INT, i);
      case I64 -> i -> (double) data.getAtIndex(LONG, i);
      default -> throw new IllegalArgumentException("no range is known for " + entry.type());
    };
  }
}
