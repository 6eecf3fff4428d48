package org.nasvlp.internal;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.ref.Reference;
import java.util.function.Function;
import java.util.function.Supplier;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.LongArrayRef;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * What the library needs of LibTorch beyond its own bindings: loading it with settings that suit a
 * JVM, and moving arrays in and out. Tensors are made in the caller's {@code PointerScope}.
 */
public final class Torch {
  private static final @Nullable LoadFailure FAILURE = load();
  private static final @Nullable MethodHandle MALLOC_TRIM = mallocTrim();

  private Torch() {}

  /** Why LibTorch cannot be used. A class whose start failed would tell it once, and badly. */
  private record LoadFailure(String message, Throwable cause) {}

  private static @Nullable LoadFailure load() {
    // LibTorch's OpenMP threads and OpenBLAS's own would otherwise spin against each other between
    // operations, at half the speed. Both libraries read these variables when they are loaded, so
    // they are set before the first LibTorch class is touched; values set by the user stay.
    setEnvironment("OMP_WAIT_POLICY", "PASSIVE");
    setEnvironment("OPENBLAS_THREAD_TIMEOUT", "4");
    // Without it cuBLAS may add in another order from run to run.
    setEnvironment("CUBLAS_WORKSPACE_CONFIG", ":4096:8");
    try {
      refuseTwoBuilds(Torch.class.getClassLoader());
      TorchLibraries.load();
      torch.set_num_threads(Runtime.getRuntime().availableProcessors());
      // Of no use to batches, and where it does not know the processor it says so in every call.
      torch.globalContext().setUserEnabledNNPACK(false);
    } catch (IOException | IllegalStateException e) {
      return new LoadFailure(e.getMessage(), e);
    } catch (LinkageError | IllegalCallerException e) {
      String denied = NativeAccess.denied(Torch.class, e);
      return new LoadFailure(
          denied != null
              ? "LibTorch cannot be loaded: " + denied
              : "LibTorch could not be loaded ("
                  + e
                  + "); add org.bytedeco pytorch, openblas and javacpp with the classifier of this"
                  + " platform to the class path; the GPU build of LibTorch needs CUDA's libraries"
                  + " besides (cuBLAS, cuDNN, cuSPARSE, cuSOLVER, NCCL: install them, or set"
                  + " LD_LIBRARY_PATH to where they are)",
          e);
    }
    return null;
  }

  /** Refuses a class path with LibTorch's CPU and GPU builds: loading both ends the process. */
  static void refuseTwoBuilds(ClassLoader classPath) {
    if (classPath.getResource(library("", "libtorch_cpu.so")) != null
        && classPath.getResource(library("-gpu", "libtorch_cpu.so")) != null) {
      throw new IllegalStateException(
          "the class path holds LibTorch for the CPU and for GPUs (org.bytedeco pytorch with the"
              + " classifiers "
              + Loader.getPlatform()
              + " and "
              + Loader.getPlatform()
              + "-gpu): leave one of them out");
    }
  }

  /** The resource that holds one of LibTorch's libraries. */
  static String library(String extension, String name) {
    return "org/bytedeco/pytorch/" + Loader.getPlatform() + extension + "/" + name;
  }

  /** Sets a variable of the process for native libraries to read, unless it is set. */
  public static void setEnvironment(String name, String value) {
    Linker linker = Linker.nativeLinker();
    var symbol = linker.defaultLookup().find("setenv");
    if (symbol.isEmpty()) {
      return;
    }
    MethodHandle setenv =
        linker.downcallHandle(
            symbol.get(),
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_INT));
    try (Arena arena = Arena.ofConfined()) {
      int _ = (int) setenv.invokeExact(arena.allocateFrom(name), arena.allocateFrom(value), 0);
    } catch (Throwable e) {
      throw new IllegalStateException("setenv failed", e);
    }
  }

  /**
   * Ends the recording of gradients on this thread until it is closed. Loads LibTorch, as the
   * binding's own class would without this library's settings.
   */
  public static AutoGradMode withoutGradient() {
    ensureLoaded();
    return new AutoGradMode(false);
  }

  /** Records gradients on this thread until it is closed, whatever was said before. */
  public static AutoGradMode withGradient() {
    ensureLoaded();
    return new AutoGradMode(true);
  }

  /**
   * Loads LibTorch if it is not loaded yet.
   *
   * @throws IllegalStateException if it cannot be loaded, with the remedy
   */
  public static void ensureLoaded() {
    if (FAILURE != null) {
      throw new IllegalStateException(FAILURE.message, FAILURE.cause);
    }
  }

  /** Sets the threads that one LibTorch operation may use, OpenBLAS's included, process-wide. */
  public static void setThreads(int threads) {
    ensureLoaded();
    torch.set_num_threads(threads);
    // LibTorch leaves OpenBLAS's own pool as it is: one spinning thread for each processor.
    Pointer setter = Loader.addressof("openblas_set_num_threads");
    if (setter == null || setter.isNull()) {
      return; // another BLAS
    }
    MethodHandle set =
        Linker.nativeLinker()
            .downcallHandle(
                MemorySegment.ofAddress(setter.address()),
                FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT));
    try {
      set.invokeExact(threads);
    } catch (Throwable e) {
      throw new IllegalStateException("openblas_set_num_threads failed", e);
    }
  }

  /**
   * Gives memory that LibTorch has freed back to the system. Its tensors are of many sizes, and the
   * C library keeps what lies between those in use: over hours that is more than what is in use.
   */
  public static void releaseFreedMemory() {
    if (MALLOC_TRIM == null) {
      return; // not glibc
    }
    try {
      int _ = (int) MALLOC_TRIM.invokeExact(0L);
    } catch (Throwable e) {
      throw new IllegalStateException("malloc_trim failed", e);
    }
  }

  private static @Nullable MethodHandle mallocTrim() {
    Linker linker = Linker.nativeLinker();
    return linker
        .defaultLookup()
        .find("malloc_trim")
        .map(
            symbol ->
                linker.downcallHandle(
                    symbol, FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG)))
        .orElse(null);
  }

  /** The float32 options. */
  public static TensorOptions floatOptions() {
    return new TensorOptions(torch.ScalarType.Float);
  }

  /** An uninitialised tensor. */
  public static Tensor empty(torch.ScalarType type, long... shape) {
    ensureLoaded();
    return torch.empty(shape, new TensorOptions(type), new MemoryFormatOptional());
  }

  /** A float32 tensor of zeros. */
  public static Tensor zeros(long... shape) {
    ensureLoaded();
    return torch.zeros(shape, floatOptions());
  }

  /** A float32 tensor with a copy of the values, row-major. */
  public static Tensor floats(float[] values, long... shape) {
    Tensor tensor = empty(torch.ScalarType.Float, shape);
    segment(tensor).copyFrom(MemorySegment.ofArray(values));
    return tensor;
  }

  /** An int64 tensor with a copy of the values, row-major. */
  public static Tensor longs(long[] values, long... shape) {
    Tensor tensor = empty(torch.ScalarType.Long, shape);
    segment(tensor).copyFrom(MemorySegment.ofArray(values));
    return tensor;
  }

  /** An int32 tensor with a copy of the values, row-major. */
  public static Tensor ints(int[] values, long... shape) {
    Tensor tensor = empty(torch.ScalarType.Int, shape);
    segment(tensor).copyFrom(MemorySegment.ofArray(values));
    return tensor;
  }

  /** A float64 tensor with a copy of the values, row-major. */
  public static Tensor doubles(double[] values, long... shape) {
    Tensor tensor = empty(torch.ScalarType.Double, shape);
    segment(tensor).copyFrom(MemorySegment.ofArray(values));
    return tensor;
  }

  /** An int64 vector with a copy of the values. */
  public static Tensor index(int[] values) {
    long[] wide = new long[values.length];
    for (int i = 0; i < values.length; i++) {
      wide[i] = values[i];
    }
    return longs(wide, values.length);
  }

  /** A tensor n x L x ..., with zeros behind up to a length in place of L. */
  public static Tensor lengthened(Tensor tensor, long length) {
    long[] shape = shape(tensor);
    if (shape[1] == length) {
      return tensor;
    }
    shape[1] = length - shape[1];
    Tensor zeros = TorchDevice.of(tensor).empty(tensor.scalar_type(), shape).fill_(new Scalar(0));
    return cat(1, tensor, zeros);
  }

  /** The tensor itself if it lies on the host, else a copy there. */
  public static Tensor host(Tensor tensor) {
    return tensor.is_cuda() ? tensor.cpu() : tensor;
  }

  /**
   * The memory of a tensor on the host, valid while the tensor lives. The tensor must be
   * contiguous.
   */
  public static MemorySegment segment(Tensor tensor) {
    if (tensor.is_cuda()) {
      throw new IllegalArgumentException("the tensor lies on a CUDA device: copy it to the host");
    }
    return memory(tensor);
  }

  /** The memory of a contiguous tensor, wherever it lies. */
  static MemorySegment memory(Tensor tensor) {
    if (!tensor.is_contiguous()) {
      throw new IllegalArgumentException("the tensor must be contiguous");
    }
    return MemorySegment.ofAddress(tensor.data_ptr().address()).reinterpret(tensor.nbytes());
  }

  /** A copy of a floating-point tensor's values as float32, row-major. */
  public static float[] toFloats(Tensor tensor) {
    return values(tensor, torch.ScalarType.Float, of -> of.toArray(ValueLayout.JAVA_FLOAT));
  }

  /** A copy of an int32 tensor's values, row-major. */
  public static int[] toInts(Tensor tensor) {
    return values(tensor, torch.ScalarType.Int, of -> of.toArray(ValueLayout.JAVA_INT));
  }

  /** A copy of a floating-point tensor's values as float64, row-major. */
  public static double[] toDoubles(Tensor tensor) {
    return values(tensor, torch.ScalarType.Double, of -> of.toArray(ValueLayout.JAVA_DOUBLE));
  }

  /** A copy of an int64 tensor's values, row-major. */
  public static long[] toLongs(Tensor tensor) {
    return values(tensor, torch.ScalarType.Long, of -> of.toArray(ValueLayout.JAVA_LONG));
  }

  private static <A> A values(
      Tensor tensor, torch.ScalarType type, Function<MemorySegment, A> read) {
    Tensor values = host(tensor.to(type)).contiguous();
    try {
      return read.apply(segment(values));
    } finally {
      Reference.reachabilityFence(values); // frees its memory once it is unreachable
    }
  }

  /** Sets a contiguous tensor's values from memory of its size and type. */
  public static void copyInto(Tensor tensor, MemorySegment values) {
    if (!tensor.is_cuda()) {
      segment(tensor).copyFrom(values);
      return;
    }
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      Tensor staged = empty(tensor.scalar_type(), shape(tensor));
      segment(staged).copyFrom(values);
      tensor.copy_(staged);
    }
  }

  /** The values along one dimension joined. */
  public static Tensor cat(long dim, Tensor... parts) {
    return torch.cat(new TensorVector(parts), dim);
  }

  /** x · weightᵀ + bias. */
  public static Tensor linear(Tensor x, Tensor weight, Tensor bias) {
    return torch.linear(x, weight, new TensorOptional(bias));
  }

  /** Layer norm over the last dimension. */
  public static Tensor layerNorm(Tensor x, Tensor weight, Tensor bias, double epsilon) {
    return torch.layer_norm(
        x,
        new long[] {weight.numel()},
        new TensorOptional(weight),
        new TensorOptional(bias),
        epsilon,
        true);
  }

  /** x / ‖x‖ along the last dimension, with the norm held above 1e-12. */
  public static Tensor unit(Tensor x) {
    Tensor norm =
        x.square()
            .sum(new long[] {-1}, true, new ScalarTypeOptional())
            .add(new Scalar(1e-24))
            .sqrt();
    return x.div(norm);
  }

  /** Sum over one dimension, which is dropped. */
  public static Tensor sum(Tensor x, long dim) {
    return x.sum(new long[] {dim}, false, new ScalarTypeOptional());
  }

  /** What {@code make} returns, in the caller's scope; all else that it makes is freed at once. */
  public static Tensor keepOnly(Supplier<Tensor> make) {
    PointerScope outer = PointerScope.getInnerScope();
    try (PointerScope scope = new PointerScope()) {
      Tensor kept = make.get();
      outer.attach(kept);
      return kept;
    }
  }

  /** The shape. */
  public static long[] shape(Tensor x) {
    LongArrayRef sizes = x.sizes();
    long[] shape = new long[(int) sizes.size()];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = x.size(i);
    }
    return shape;
  }
}
