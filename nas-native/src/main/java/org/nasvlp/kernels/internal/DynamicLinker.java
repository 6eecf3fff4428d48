package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * Asks the dynamic linker why it does not open a library, which Java's own lookup keeps to itself.
 */
final class DynamicLinker {
  private static final int RTLD_LAZY = 1;

  private DynamicLinker() {}

  static String reason(Path file) {
    Linker linker = Linker.nativeLinker();
    MemorySegment dlopen = linker.defaultLookup().find("dlopen").orElse(MemorySegment.NULL);
    MemorySegment dlerror = linker.defaultLookup().find("dlerror").orElse(MemorySegment.NULL);
    if (dlopen.address() == 0 || dlerror.address() == 0) {
      return "cannot be opened";
    }
    try (Arena arena = Arena.ofConfined()) {
      var open = linker.downcallHandle(dlopen, FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_INT));
      var error = linker.downcallHandle(dlerror, FunctionDescriptor.of(ADDRESS));
      MemorySegment name = arena.allocateFrom(file.toString());
      MemorySegment handle = (MemorySegment) open.invokeExact(name, RTLD_LAZY);
      if (handle.address() != 0) {
        return "cannot be opened by the JVM";
      }
      MemorySegment text = (MemorySegment) error.invokeExact();
      return text.address() == 0
          ? "cannot be opened"
          : text.reinterpret(Long.MAX_VALUE).getString(0).replace(file + ": ", "");
    } catch (Error | RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError("native calls throw no checked exceptions", e);
    }
  }
}
