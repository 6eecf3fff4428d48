package org.nasvlp.kernels;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;

/**
 * Host memory between pages that may not be touched: a kernel that reads or writes one byte beyond
 * a buffer's end (or before its start) is killed at once.
 */
final class GuardedMemory implements TestMemory {
  private static final long PAGE = 4096;
  private static final int PROT_NONE = 0;
  private static final int PROT_READ_WRITE = 3;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;

  private static final MethodHandle MMAP =
      function("mmap", ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG);
  private static final MethodHandle MPROTECT =
      function("mprotect", JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT);
  private static final MethodHandle MUNMAP = function("munmap", JAVA_INT, ADDRESS, JAVA_LONG);

  private final boolean guardEnd;
  private final List<MemorySegment> mappings = new ArrayList<>();

  /**
   * @param guardEnd whether buffers end, rather than start, at a guard page
   */
  GuardedMemory(boolean guardEnd) {
    this.guardEnd = guardEnd;
  }

  private static MethodHandle function(String name, MemoryLayout result, MemoryLayout... args) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(
        linker.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, args));
  }

  @Override
  public MemorySegment allocate(long bytes) {
    long inner = (bytes + PAGE - 1) / PAGE * PAGE;
    long whole = inner + 2 * PAGE;
    try {
      MemorySegment mapped =
          (MemorySegment)
              MMAP.invokeExact(
                  MemorySegment.NULL, whole, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
      if (mapped.address() == -1) {
        throw new IllegalStateException("mmap failed");
      }
      MemorySegment all = mapped.reinterpret(whole);
      mappings.add(all);
      protect(all.asSlice(0, PAGE));
      protect(all.asSlice(PAGE + inner, PAGE));
      MemorySegment segment = all.asSlice(guardEnd ? PAGE + inner - bytes : PAGE, bytes);
      segment.fill((byte) 0x5a);
      return segment;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static void protect(MemorySegment page) throws Throwable {
    int status = (int) MPROTECT.invokeExact(page, page.byteSize(), PROT_NONE);
    if (status != 0) {
      throw new IllegalStateException("mprotect failed");
    }
  }

  @Override
  public void write(MemorySegment segment, MemorySegment heap) {
    segment.copyFrom(heap);
  }

  @Override
  public void read(MemorySegment segment, MemorySegment heap) {
    heap.copyFrom(segment);
  }

  @Override
  public long stream() {
    return 0;
  }

  @Override
  public void close() {
    for (MemorySegment mapping : mappings) {
      try {
        int status = (int) MUNMAP.invokeExact(mapping, mapping.byteSize());
        if (status != 0) {
          throw new IllegalStateException("munmap failed");
        }
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }
    mappings.clear();
  }
}
