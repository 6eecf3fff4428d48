package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.nasvlp.kernels.CodebookState;
import org.nasvlp.kernels.CpuTier;
import org.nasvlp.kernels.ElementType;
import org.nasvlp.kernels.LookupStats;
import org.nasvlp.kernels.MomentumUpdate;
import org.nasvlp.kernels.NonFiniteInputException;
import org.nasvlp.kernels.Rows;
import org.nasvlp.kernels.SwapInput;
import org.nasvlp.kernels.SwapOutput;
import org.nasvlp.kernels.TokenSwap;

/**
 * A codebook on the Java heap. The arithmetic, and the order of every sum, is that stated in
 * nas_kernels.h, so that the bits are those of the native libraries.
 */
final class JavaCodebook implements KernelCodebook {
  /** Floats of x copied to the heap at a time: helper threads cannot see a confined segment. */
  private static final int CHUNK_FLOATS = 1 << 20;

  private static final int LEAST_CHUNK = 16;

  private final int size;
  private final int width;
  private float[] codewords;
  private float[] m;
  private final double[] n;
  private final int[] deadSteps;

  /** Copies of codewords, n and deadSteps for others to read, once there are any. */
  private MemorySegment[] viewed;

  /** Takes the array over. */
  JavaCodebook(float[] codewords, int size, int width) {
    this.size = size;
    this.width = width;
    int bad = firstBadRow(codewords, size);
    if (bad >= 0) {
      throw new NonFiniteInputException(
          bad, "codeword " + bad + " holds NaN or infinity; codewords must be finite");
    }
    this.codewords = codewords;
    this.m = codewords.clone();
    this.n = new double[size];
    Arrays.fill(n, 1.0);
    this.deadSteps = new int[size];
  }

  @Override
  public LookupStats lookup(
      Rows x, MemorySegment indices, MemorySegment distances, boolean withStats, long stream) {
    long rows = x.count();
    int chunk = (int) Math.min(rows, Math.clamp(CHUNK_FLOATS / width, LEAST_CHUNK, 4096));
    float[] values = new float[chunk * width];
    int[] nearest = new int[chunk];
    float[] distance = new float[chunk];
    float[] row = new float[width];
    for (long start = 0; start < rows; start += chunk) {
      int count = (int) Math.min(chunk, rows - start);
      for (int i = 0; i < count; i++) {
        Segments.widen(x, start + i, row);
        System.arraycopy(row, 0, values, i * width, width);
      }
      requireFinite(values, count, start);
      JavaDistances.nearest(values, count, codewords, size, width, nearest, distance);
      MemorySegment.copy(nearest, 0, indices, JAVA_INT, start * Integer.BYTES, count);
      if (distances != null) {
        MemorySegment.copy(distance, 0, distances, JAVA_FLOAT, start * Float.BYTES, count);
      }
    }
    return withStats ? new LookupStats(CpuTier.SCALAR, 0, 0, rows, 0, 0, rows, 0) : null;
  }

  @Override
  public int[] lookup(float[] x, int rows) {
    requireFinite(x, rows, 0);
    int[] nearest = new int[rows];
    JavaDistances.nearest(x, rows, codewords, size, width, nearest, new float[rows]);
    return nearest;
  }

  @Override
  public void accumulate(
      Rows x, MemorySegment codes, MemorySegment counts, MemorySegment sums, long stream) {
    float[] row = new float[width];
    for (long i = 0; i < x.count(); i++) {
      int code = codes.getAtIndex(JAVA_INT, i);
      if (code < 0 || code >= size) {
        throw new OutOfRangeException(
            i, "the code of row " + i + " is " + code + "; it must be in 0.." + (size - 1));
      }
      Segments.widen(x, i, row);
      requireFinite(row, 1, i);
    }
    for (long i = 0; i < x.count(); i++) {
      int code = codes.getAtIndex(JAVA_INT, i);
      Segments.widen(x, i, row);
      counts.setAtIndex(JAVA_DOUBLE, code, counts.getAtIndex(JAVA_DOUBLE, code) + 1);
      long at = (long) code * width;
      for (int t = 0; t < width; t++) {
        sums.setAtIndex(JAVA_DOUBLE, at + t, sums.getAtIndex(JAVA_DOUBLE, at + t) + row[t]);
      }
    }
  }

  /** The sum of the counts in the 256 lanes of nas_apply. */
  private static double sumInLanes(double[] values) {
    double[] lanes = new double[256];
    for (int j = 0; j < values.length; j++) {
      lanes[j % 256] += values[j];
    }
    for (int half = 128; half > 0; half /= 2) {
      for (int l = 0; l < half; l++) {
        lanes[l] += lanes[l + half];
      }
    }
    return lanes[0];
  }

  @Override
  public void apply(MemorySegment counts, MemorySegment sums, MomentumUpdate update, long stream) {
    double gamma = update.gamma();
    double rest = 1 - gamma;
    double[] newN = new double[size];
    for (int j = 0; j < size; j++) {
      newN[j] = gamma * n[j] + rest * counts.getAtIndex(JAVA_DOUBLE, j);
    }
    double total = sumInLanes(newN);
    float[] newM = new float[m.length];
    float[] newE = new float[m.length];
    double denominator = total + size * update.epsilon();
    for (int j = 0; j < size; j++) {
      double smoothed = (newN[j] + update.epsilon()) / denominator * total;
      for (int i = j * width; i < (j + 1) * width; i++) {
        newM[i] = (float) (gamma * m[i] + rest * sums.getAtIndex(JAVA_DOUBLE, i));
        newE[i] = (float) (newM[i] / smoothed);
        if (!Float.isFinite(newE[i])) {
          throw new NonFiniteInputException(
              -1,
              "codeword "
                  + j
                  + " would not be finite after the update; counts and sums must be finite and some"
                  + " count above 0");
        }
      }
    }
    m = newM;
    codewords = newE;
    for (int j = 0; j < size; j++) {
      n[j] = newN[j];
      deadSteps[j] =
          newN[j] < update.deadThreshold()
              ? (deadSteps[j] == Integer.MAX_VALUE ? Integer.MAX_VALUE : deadSteps[j] + 1)
              : 0;
    }
    show();
  }

  @Override
  public void update(Rows x, MemorySegment codes, MomentumUpdate update, long stream) {
    MemorySegment counts = MemorySegment.ofArray(new double[size]);
    MemorySegment sums = MemorySegment.ofArray(new double[size * width]);
    accumulate(x, codes, counts, sums, stream);
    apply(counts, sums, update, stream);
  }

  @Override
  public void neighbours(int neighbours, MemorySegment live, MemorySegment out, long stream) {
    byte[] alive = new byte[size];
    if (live == null) {
      Arrays.fill(alive, (byte) 1);
    } else {
      MemorySegment.copy(live, JAVA_BYTE, 0, alive, 0, size);
    }
    int[][] lists = JavaDistances.neighbours(codewords, size, width, neighbours, alive);
    for (int j = 0; j < size; j++) {
      for (int r = 0; r < neighbours; r++) {
        int code = r < lists[j].length ? lists[j][r] : -1;
        out.setAtIndex(JAVA_INT, (long) j * neighbours + r, code);
      }
    }
  }

  @Override
  public void swap(TokenSwap params, SwapInput in, SwapOutput out, long stream) {
    new JavaSwap(codewords, size, width, params, in, out).run();
  }

  /** Nothing but a place for the state to be viewed in: calls are done when they return. */
  @Override
  public void reserve(long rows, ElementType type, long images, long tokens) {
    if (viewed == null) {
      Arena arena = Arena.ofAuto();
      viewed =
          new MemorySegment[] {
            arena.allocate(JAVA_FLOAT, (long) size * width),
            arena.allocate(JAVA_DOUBLE, size),
            arena.allocate(JAVA_INT, size)
          };
      show();
    }
  }

  /** Brings what is viewed up to date. */
  private void show() {
    if (viewed != null) {
      MemorySegment.copy(codewords, 0, viewed[0], JAVA_FLOAT, 0, codewords.length);
      MemorySegment.copy(n, 0, viewed[1], JAVA_DOUBLE, 0, size);
      MemorySegment.copy(deadSteps, 0, viewed[2], JAVA_INT, 0, size);
    }
  }

  @Override
  public View view() {
    return new View(viewed[0].address(), viewed[1].address(), viewed[2].address());
  }

  @Override
  public void enqueueLookup(
      Rows x, MemorySegment indices, MemorySegment distances, MemorySegment verdict, long stream) {
    judge(
        verdict,
        () -> {
          if (x.count() > 0) {
            lookup(x, indices, distances, false, stream);
          }
        });
  }

  @Override
  public void enqueueUpdate(
      Rows x, MemorySegment codes, MomentumUpdate update, MemorySegment verdict, long stream) {
    judge(verdict, () -> update(x, codes, update, stream));
  }

  @Override
  public void enqueueSwap(
      TokenSwap params, SwapInput in, SwapOutput out, MemorySegment verdict, long stream) {
    judge(
        verdict,
        () -> {
          if (params.images() > 0) {
            swap(params, in, out, stream);
          }
        });
  }

  /** Runs a call at once, and writes what is wrong with its input to a verdict. */
  private static void judge(MemorySegment verdict, Runnable call) {
    long status = NativeLibrary.OK;
    long badRow = -1;
    try {
      call.run();
    } catch (NonFiniteInputException e) {
      status = NativeLibrary.NON_FINITE;
      badRow = e.row();
    } catch (OutOfRangeException e) {
      status = NativeLibrary.INVALID_ARGUMENT;
      badRow = e.row();
    }
    verdict.setAtIndex(JAVA_LONG, 0, status);
    verdict.setAtIndex(JAVA_LONG, 1, badRow);
  }

  @Override
  public void restart(int[] codes, float[] vectors) {
    for (int i = 0; i < codes.length; i++) {
      int at = codes[i] * width;
      System.arraycopy(vectors, i * width, codewords, at, width);
      System.arraycopy(vectors, i * width, m, at, width);
      n[codes[i]] = 1;
      deadSteps[codes[i]] = 0;
    }
    show();
  }

  @Override
  public CodebookState read() {
    return new CodebookState(codewords.clone(), n.clone(), m.clone(), deadSteps.clone());
  }

  @Override
  public void write(CodebookState state) {
    System.arraycopy(state.codewords(), 0, codewords, 0, codewords.length);
    System.arraycopy(state.m(), 0, m, 0, m.length);
    System.arraycopy(state.n(), 0, n, 0, size);
    System.arraycopy(state.deadSteps(), 0, deadSteps, 0, size);
    show();
  }

  @Override
  public void free() {
    // The garbage collector does.
  }

  private void requireFinite(float[] values, int rows, long start) {
    int bad = firstBadRow(values, rows);
    if (bad >= 0) {
      throw new NonFiniteInputException(
          start + bad, "row " + (start + bad) + " of x holds NaN or infinity");
    }
  }

  private int firstBadRow(float[] values, int rows) {
    for (int i = 0; i < rows; i++) {
      for (int t = i * width; t < (i + 1) * width; t++) {
        if (!Float.isFinite(values[t])) {
          return i;
        }
      }
    }
    return -1;
  }
}
