package org.nasvlp.kernels;

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

/** Memory of the CUDA device and a stream of its own. */
final class DeviceMemory implements TestMemory {
  private final SymbolLookup driver = SymbolLookup.libraryLookup("libcuda.so.1", Arena.global());
  private final MethodHandle alloc = function("cuMemAlloc_v2", ADDRESS, JAVA_LONG);
  private final MethodHandle free = function("cuMemFree_v2", JAVA_LONG);
  private final MethodHandle toDevice = function("cuMemcpyHtoD_v2", JAVA_LONG, ADDRESS, JAVA_LONG);
  private final MethodHandle toHost = function("cuMemcpyDtoH_v2", ADDRESS, JAVA_LONG, JAVA_LONG);
  private final MethodHandle synchronise = function("cuCtxSynchronize");
  private final MethodHandle streamDestroy = function("cuStreamDestroy_v2", JAVA_LONG);
  private final List<MemorySegment> owned = new ArrayList<>();
  private final long stream;

  DeviceMemory() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment slot = arena.allocate(ADDRESS);
      require((int) function("cuInit", JAVA_INT).invokeExact(0));
      require((int) function("cuDeviceGet", ADDRESS, JAVA_INT).invokeExact(slot, 0));
      int device = slot.get(JAVA_INT, 0);
      MethodHandle retain = function("cuDevicePrimaryCtxRetain", ADDRESS, JAVA_INT);
      require((int) retain.invokeExact(slot, device));
      MemorySegment context = slot.get(ADDRESS, 0);
      require((int) function("cuCtxSetCurrent", ADDRESS).invokeExact(context));
      require((int) function("cuStreamCreate", ADDRESS, JAVA_INT).invokeExact(slot, 0));
      stream = slot.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private MethodHandle function(String name, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(driver.findOrThrow(name), FunctionDescriptor.of(JAVA_INT, arguments));
  }

  private static void require(int status) {
    if (status != 0) {
      throw new IllegalStateException("CUDA driver error " + status);
    }
  }

  @Override
  public MemorySegment allocate(long bytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment slot = arena.allocate(ADDRESS);
      require((int) alloc.invokeExact(slot, Math.max(1, bytes)));
      MemorySegment segment = MemorySegment.ofAddress(slot.get(JAVA_LONG, 0)).reinterpret(bytes);
      owned.add(segment);
      byte[] filler = new byte[(int) bytes];
      java.util.Arrays.fill(filler, (byte) 0x5a);
      write(segment, MemorySegment.ofArray(filler));
      return segment;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void write(MemorySegment segment, MemorySegment heap) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(Math.max(1, heap.byteSize())).copyFrom(heap);
      require((int) synchronise.invokeExact());
      require((int) toDevice.invokeExact(segment.address(), host, heap.byteSize()));
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void read(MemorySegment segment, MemorySegment heap) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(Math.max(1, heap.byteSize()));
      require((int) synchronise.invokeExact());
      require((int) toHost.invokeExact(host, segment.address(), heap.byteSize()));
      heap.copyFrom(host.asSlice(0, heap.byteSize()));
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public long stream() {
    return stream;
  }

  @Override
  public void close() {
    try {
      require((int) synchronise.invokeExact());
      for (MemorySegment segment : owned) {
        require((int) free.invokeExact(segment.address()));
      }
      owned.clear();
      require((int) streamDestroy.invokeExact(stream));
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
