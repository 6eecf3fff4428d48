package org.nasvlp.internal;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.URL;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch_cuda;
import org.nasvlp.kernels.Backend;
import org.nasvlp.kernels.Kernels;

/**
 * Where LibTorch keeps tensors and computes, and which kernels serve the dictionary there. All
 * tensors of a model lie on one device; what is read from disk or drawn in Java is made on the host
 * and put there. Immutable.
 */
public final class TorchDevice {
  /** The host. */
  public static final TorchDevice CPU = new TorchDevice(-1);

  private static final Pattern CUDA_OR_AUTO = Pattern.compile("auto|cuda(:[0-9]{1,2})?");
  private static final String CUDA_PART = "libtorch_cuda.so";

  /** Ordinal of a CUDA device; -1 for the host. */
  private final int index;

  private TorchDevice(int index) {
    this.index = index;
  }

  /**
   * The device of a {@code training.device}.
   *
   * @param name {@code cpu}, {@code cuda}, {@code cuda:N}, or {@code auto}: the first CUDA device
   *     where there is one that both LibTorch and the kernels can use, else the host
   * @throws IllegalStateException if a CUDA device is asked for by name and cannot be used, with
   *     the reason and the remedy
   * @throws IllegalArgumentException for another name
   */
  public static TorchDevice of(String name) {
    if (name.equals("cpu")) {
      return CPU;
    }
    if (!CUDA_OR_AUTO.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "the device is '" + name + "'; it can be cpu, cuda, cuda:N or auto");
    }
    int index = name.startsWith("cuda:") ? Integer.parseInt(name.substring(5)) : 0;
    String reason = unavailableReason(index);
    if (reason.isEmpty()) {
      prepare();
      return new TorchDevice(index);
    }
    if (name.equals("auto")) {
      return CPU;
    }
    throw new IllegalStateException("device " + name + " cannot be used: " + reason);
  }

  /** Why a CUDA device cannot be used, with the remedy; "" if it can. */
  public static String unavailableReason(int index) {
    Torch.ensureLoaded();
    if (!torch.hasCUDA()) {
      return withoutCuda();
    }
    int count = torch.cuda_device_count();
    if (index >= count) {
      return "there "
          + (count == 1 ? "is 1 CUDA device" : "are " + count + " CUDA devices")
          + ", counted from 0";
    }
    String kernels = Kernels.unavailableReason(Backend.CUDA);
    return kernels.isEmpty() ? "" : "the dictionary's kernels have no CUDA library: " + kernels;
  }

  /** Why LibTorch's part for CUDA is not there: not on the class path, or not to be loaded. */
  private static String withoutCuda() {
    URL part = TorchDevice.class.getClassLoader().getResource(Torch.library("-gpu", CUDA_PART));
    if (part == null) {
      return "this LibTorch is built for the CPU; build with the Maven profile gpu, or put"
          + " org.bytedeco pytorch with classifier "
          + Loader.getPlatform()
          + "-gpu in its place, and cuda with classifier "
          + Loader.getPlatform();
    }
    try {
      System.load(Loader.cacheResource(part).getAbsolutePath());
      // It is there and loads: what LibTorch then calls "no CUDA" is a machine without a device.
      String kernels = Kernels.unavailableReason(Backend.CUDA);
      return "LibTorch finds no CUDA device; it needs an NVIDIA driver for CUDA 13 (580 or later)"
          + (kernels.isEmpty() ? "" : " (the kernels: " + kernels + ")");
    } catch (IOException | UnsatisfiedLinkError e) {
      String message = String.valueOf(e.getMessage());
      return "LibTorch's part for CUDA cannot be loaded ("
          + message.substring(message.lastIndexOf('/') + 1)
          + "); install CUDA 13 with cuBLAS, cuSPARSE, cuSOLVER, cuDNN and NCCL, or set"
          + " LD_LIBRARY_PATH to where they are";
    }
  }

  private static void prepare() {
    // Same sums from run to run where LibTorch has a way to, and float32 that is float32.
    var context = torch.globalContext();
    // Not only with a warning: attention would then add in another order from run to run.
    context.setDeterministicAlgorithms(true, false);
    // Nothing here reads what it has not written; filling it with NaN costs a launch per operation.
    context.setDeterministicFillUninitializedMemory(false);
    // One way of attention on every card.
    context.setSDPUseCuDNN(false);
    context.setDeterministicCuDNN(true);
    context.setBenchmarkCuDNN(false);
    context.setAllowTF32CuDNN(false);
    context.setAllowTF32CuBLAS(false);
  }

  /** Whether it is a CUDA device. */
  public boolean isCuda() {
    return index >= 0;
  }

  /** LibTorch's type of it. */
  public torch.DeviceType type() {
    return isCuda() ? torch.DeviceType.CUDA : torch.DeviceType.CPU;
  }

  /** What the dictionary's kernels run on there. */
  public Backend kernels() {
    if (isCuda()) {
      return Backend.CUDA;
    }
    return Kernels.isAvailable(Backend.CPU) ? Backend.CPU : Backend.JAVA;
  }

  /** The device that a tensor lies on. */
  public static TorchDevice of(Tensor tensor) {
    return tensor.is_cuda() ? new TorchDevice(tensor.device().index()) : CPU;
  }

  /** The tensor itself if it lies here, else a copy here. */
  public Tensor put(Tensor tensor) {
    return isCuda() ? tensor.to(libTorch(), tensor.scalar_type()) : Torch.host(tensor);
  }

  private Device libTorch() {
    return isCuda()
        ? new Device(torch.DeviceType.CUDA, (byte) index)
        : new Device(torch.DeviceType.CPU);
  }

  private TensorOptions options(torch.ScalarType type) {
    Torch.ensureLoaded();
    return new TensorOptions(type).device(new DeviceOptional(libTorch()));
  }

  /** {@link Torch#floats} here. */
  public Tensor floats(float[] values, long... shape) {
    return put(Torch.floats(values, shape));
  }

  /** {@link Torch#longs} here. */
  public Tensor longs(long[] values, long... shape) {
    return put(Torch.longs(values, shape));
  }

  /** {@link Torch#ints} here. */
  public Tensor ints(int[] values, long... shape) {
    return put(Torch.ints(values, shape));
  }

  /** {@link Torch#doubles} here. */
  public Tensor doubles(double[] values, long... shape) {
    return put(Torch.doubles(values, shape));
  }

  /** {@link Torch#index} here. */
  public Tensor index(int[] values) {
    return put(Torch.index(values));
  }

  /** {@link Torch#zeros} here. */
  public Tensor zeros(long... shape) {
    return torch.zeros(shape, options(torch.ScalarType.Float));
  }

  /** A float64 vector of zeros here. */
  public Tensor zeros64(long size) {
    return torch.zeros(new long[] {size}, options(torch.ScalarType.Double));
  }

  /** {@link Torch#empty} here. */
  public Tensor empty(torch.ScalarType type, long... shape) {
    return torch.empty(shape, options(type), new MemoryFormatOptional());
  }

  /**
   * A tensor's memory for the kernels, valid while the tensor lives; on a CUDA device an address
   * that only kernels may follow.
   *
   * @throws IllegalArgumentException if the tensor is not contiguous or lies elsewhere
   */
  public MemorySegment memory(Tensor tensor) {
    if (tensor.is_cuda() != isCuda()) {
      throw new IllegalArgumentException(
          "the tensor lies on "
              + (tensor.is_cuda() ? "a CUDA device" : "the host")
              + ", not on "
              + this);
    }
    return Torch.memory(tensor);
  }

  /**
   * A tensor over memory of the kernels on this device, without a copy; it must not be used once
   * that memory is freed.
   */
  public Tensor view(MemorySegment memory, torch.ScalarType type, long... shape) {
    return torch.from_blob(new Address(memory.address()), shape, options(type));
  }

  /** A bare address, as LibTorch takes it. */
  private static final class Address extends Pointer {
    Address(long address) {
      super((Pointer) null);
      this.address = address;
    }
  }

  /** Time in which kernels are launched on this device, in LibTorch's order of work. */
  public Use use() {
    return new Use();
  }

  /** Makes the device current for the calling thread, until closed. */
  public final class Use implements AutoCloseable {
    private final byte previous = isCuda() ? Cuda.makeCurrent((byte) index) : -1;

    private Use() {}

    /** The stream that LibTorch works on, as the kernels take it. */
    public long stream() {
      return isCuda() ? Cuda.stream((byte) index) : 0L;
    }

    @Override
    public void close() {
      if (isCuda()) {
        Cuda.makeCurrent(previous);
      }
    }
  }

  /**
   * LibTorch's own way to a device. Its further bindings for CUDA, and what they load, come in only
   * where a program works on a stream of its own.
   */
  private static final class Cuda {
    static byte makeCurrent(byte index) {
      try (PointerScope scope = new PointerScope()) {
        return torch
            .getDeviceGuardImpl(torch.DeviceType.CUDA)
            .exchangeDevice(new Device(torch.DeviceType.CUDA, index))
            .index();
      }
    }

    static long stream(byte index) {
      try (PointerScope scope = new PointerScope()) {
        long id =
            torch
                .getDeviceGuardImpl(torch.DeviceType.CUDA)
                .getStream(new Device(torch.DeviceType.CUDA, index))
                .id();
        return id == 0 ? 0 : torch_cuda.getCurrentCUDAStream(index).stream().address();
      }
    }
  }

  /** Waits for the work given to the device. */
  public void synchronize() {
    if (isCuda()) {
      torch.cuda_synchronize(index);
    }
  }

  /** {@code cpu} or {@code cuda:N}. */
  @Override
  public String toString() {
    return isCuda() ? "cuda:" + index : "cpu";
  }
}
