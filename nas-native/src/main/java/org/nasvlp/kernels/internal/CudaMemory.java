package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import org.nasvlp.kernels.DeviceOutOfMemoryException;
import org.nasvlp.kernels.NasNativeException;

/**
 * Memory of the calling thread's current CUDA device, through the driver's own library, which every
 * machine with a device has. Works in the context that the thread already has, or else in the
 * primary context of device 0, which is the one the CUDA runtime takes.
 */
final class CudaMemory implements Memory {
  private static final int OUT_OF_MEMORY = 2;

  private static final MethodHandle INT_ARGUMENT = handle(JAVA_INT);
  private static final MethodHandle NO_ARGUMENT = handle();
  private static final MethodHandle ADDRESS_ARGUMENT = handle(ADDRESS);
  private static final MethodHandle ADDRESS_INT = handle(ADDRESS, JAVA_INT);
  private static final MethodHandle ADDRESS_LONG = handle(ADDRESS, JAVA_LONG);
  private static final MethodHandle LONG_ARGUMENT = handle(JAVA_LONG);
  private static final MethodHandle TO_DEVICE = handle(JAVA_LONG, ADDRESS, JAVA_LONG);
  private static final MethodHandle TO_HOST = handle(ADDRESS, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle INT_ADDRESS = handle(JAVA_INT, ADDRESS);

  /** A slot per thread for what the driver writes back. */
  private static final ThreadLocal<MemorySegment> SLOT =
      ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(ADDRESS));

  private final MemorySegment contextCurrent;
  private final MemorySegment contextSet;
  private final MemorySegment contextSynchronize;
  private final MemorySegment streamSynchronize;
  private final MemorySegment deviceGet;
  private final MemorySegment primaryRetain;
  private final MemorySegment allocate;
  private final MemorySegment free;
  private final MemorySegment toDevice;
  private final MemorySegment toHost;
  private final MemorySegment errorText;
  private MemorySegment primary;

  CudaMemory() {
    SymbolLookup driver;
    try {
      driver = SymbolLookup.libraryLookup("libcuda.so.1", Arena.global());
    } catch (IllegalArgumentException e) {
      throw new NasNativeException(
          NasNativeException.NOT_LOADED,
          "there is no CUDA driver (libcuda.so.1) on this machine; install NVIDIA's driver");
    }
    contextCurrent = find(driver, "cuCtxGetCurrent");
    contextSet = find(driver, "cuCtxSetCurrent");
    contextSynchronize = find(driver, "cuCtxSynchronize");
    streamSynchronize = find(driver, "cuStreamSynchronize");
    deviceGet = find(driver, "cuDeviceGet");
    primaryRetain = find(driver, "cuDevicePrimaryCtxRetain");
    allocate = find(driver, "cuMemAlloc_v2");
    free = find(driver, "cuMemFree_v2");
    toDevice = find(driver, "cuMemcpyHtoD_v2");
    toHost = find(driver, "cuMemcpyDtoH_v2");
    errorText = find(driver, "cuGetErrorString");
    MemorySegment init = find(driver, "cuInit");
    try {
      check((int) INT_ARGUMENT.invokeExact(init, 0), "cuInit");
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
  }

  private static MethodHandle handle(MemoryLayout... arguments) {
    return Linker.nativeLinker().downcallHandle(FunctionDescriptor.of(JAVA_INT, arguments));
  }

  private static MemorySegment find(SymbolLookup driver, String name) {
    return driver
        .find(name)
        .orElseThrow(() -> new MissingSymbolException("the CUDA driver has no function " + name));
  }

  private void check(int status, String function) throws Throwable {
    if (status == 0) {
      return;
    }
    MemorySegment slot = SLOT.get();
    slot.set(ADDRESS, 0, MemorySegment.NULL);
    int found = (int) INT_ADDRESS.invokeExact(errorText, status, slot);
    MemorySegment text = slot.get(ADDRESS, 0);
    String message =
        function
            + ": "
            + (found == 0 && text.address() != 0
                ? text.reinterpret(1024).getString(0)
                : "CUDA error " + status);
    throw status == OUT_OF_MEMORY
        ? new DeviceOutOfMemoryException(message)
        : new NasNativeException(status, message);
  }

  private void enter() throws Throwable {
    MemorySegment slot = SLOT.get();
    check((int) ADDRESS_ARGUMENT.invokeExact(contextCurrent, slot), "cuCtxGetCurrent");
    if (slot.get(ADDRESS, 0).address() == 0) {
      MemorySegment context = primary();
      check((int) ADDRESS_ARGUMENT.invokeExact(contextSet, context), "cuCtxSetCurrent");
    }
  }

  private synchronized MemorySegment primary() throws Throwable {
    if (primary == null) {
      MemorySegment slot = SLOT.get();
      check((int) ADDRESS_INT.invokeExact(deviceGet, slot, 0), "cuDeviceGet");
      int device = slot.get(JAVA_INT, 0);
      check((int) ADDRESS_INT.invokeExact(primaryRetain, slot, device), "cuDevicePrimaryCtxRetain");
      primary = slot.get(ADDRESS, 0);
    }
    return primary;
  }

  private MemorySegment allocated(long bytes) throws Throwable {
    enter();
    MemorySegment slot = SLOT.get();
    check((int) ADDRESS_LONG.invokeExact(allocate, slot, bytes), "cuMemAlloc");
    return MemorySegment.ofAddress(slot.get(JAVA_LONG, 0)).reinterpret(bytes);
  }

  @Override
  public MemorySegment allocate(long bytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment segment = allocated(bytes);
      MemorySegment zeros = arena.allocate(bytes);
      check((int) TO_DEVICE.invokeExact(toDevice, segment.address(), zeros, bytes), "cuMemcpyHtoD");
      return segment;
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
  }

  @Override
  public void free(MemorySegment segment) {
    try {
      enter();
      check((int) LONG_ARGUMENT.invokeExact(free, segment.address()), "cuMemFree");
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
  }

  private final class DeviceScope implements Scope {
    private final List<MemorySegment> owned = new ArrayList<>();

    @Override
    public MemorySegment allocate(long bytes) {
      try {
        MemorySegment segment = allocated(bytes);
        owned.add(segment);
        return segment;
      } catch (Throwable e) {
        throw NativeLibrary.unexpected(e);
      }
    }

    @Override
    public MemorySegment copyOf(MemorySegment host) {
      MemorySegment device = allocate(host.byteSize());
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment source = host.isNative() ? host : arena.allocate(host.byteSize());
        if (!host.isNative()) {
          source.copyFrom(host);
        }
        check(
            (int) TO_DEVICE.invokeExact(toDevice, device.address(), source, host.byteSize()),
            "cuMemcpyHtoD");
        return device;
      } catch (Throwable e) {
        throw NativeLibrary.unexpected(e);
      }
    }

    @Override
    public void close() {
      try {
        enter();
        for (MemorySegment segment : owned) {
          check((int) LONG_ARGUMENT.invokeExact(free, segment.address()), "cuMemFree");
        }
        owned.clear();
      } catch (Throwable e) {
        throw NativeLibrary.unexpected(e);
      }
    }
  }

  @Override
  public Scope open() {
    try {
      enter();
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
    return new DeviceScope();
  }

  @Override
  public void copyOut(MemorySegment from, MemorySegment host) {
    try (Arena arena = Arena.ofConfined()) {
      enter();
      long bytes = host.byteSize();
      MemorySegment target = host.isNative() ? host : arena.allocate(bytes);
      check((int) TO_HOST.invokeExact(toHost, target, from.address(), bytes), "cuMemcpyDtoH");
      if (!host.isNative()) {
        host.copyFrom(target);
      }
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
  }

  @Override
  public void synchronize(long stream) {
    try {
      enter();
      check((int) LONG_ARGUMENT.invokeExact(streamSynchronize, stream), "cuStreamSynchronize");
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
  }

  @Override
  public void synchronize() {
    try {
      enter();
      check((int) NO_ARGUMENT.invokeExact(contextSynchronize), "cuCtxSynchronize");
    } catch (Throwable e) {
      throw NativeLibrary.unexpected(e);
    }
  }
}
