package org.nasvlp.distributed;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.net.Inet4Address;
import java.net.InetAddress;

/**
 * A TCP socket of the operating system, bound to one address: LibTorch's store, left alone, would
 * listen on all of a machine's. Linux, IPv4.
 */
final class ListeningSocket {
  private static final int AF_INET = 2;
  private static final int SOCK_STREAM_CLOEXEC = 1 | 0x80000;
  private static final int SOL_SOCKET = 1;
  private static final int SO_REUSEADDR = 2;
  private static final int EADDRINUSE = 98;

  private static final StructLayout CAPTURED = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO =
      CAPTURED.varHandle(MemoryLayout.PathElement.groupElement("errno"));

  private ListeningSocket() {}

  /**
   * Opens and binds one.
   *
   * @return its file descriptor, which the caller closes
   * @throws IllegalStateException if the port is taken or the address is not this machine's
   */
  static int bind(InetAddress address, int port) {
    if (!(address instanceof Inet4Address)) {
      throw new IllegalStateException(
          "rank 0 cannot listen on %s: give an IPv4 address".formatted(address.getHostAddress()));
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment captured = arena.allocate(CAPTURED);
      int fd = call(captured, "socket", AF_INET, SOCK_STREAM_CLOEXEC, 0);
      MemorySegment one = arena.allocateFrom(ValueLayout.JAVA_INT, 1);
      MethodHandle set =
          handle(
              "setsockopt",
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.JAVA_INT);
      int _ = (int) set.invokeExact(captured, fd, SOL_SOCKET, SO_REUSEADDR, one, 4);
      MethodHandle bind =
          handle("bind", ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT);
      MemorySegment name = arena.allocate(16);
      name.set(ValueLayout.JAVA_SHORT, 0, (short) AF_INET);
      name.set(ValueLayout.JAVA_SHORT, 2, Short.reverseBytes((short) port));
      MemorySegment.copy(address.getAddress(), 0, name, ValueLayout.JAVA_BYTE, 4, 4);
      int status = (int) bind.invokeExact(captured, fd, name, 16);
      if (status != 0) {
        int errno = (int) ERRNO.get(captured, 0L);
        close(fd);
        String where = address.getHostAddress() + ":" + port;
        throw new IllegalStateException(
            errno == EADDRINUSE
                ? "rank 0 cannot listen on %s: the port is in use; choose another one"
                    .formatted(where)
                : "rank 0 cannot listen on %s (error %d): is that an address of its machine?"
                    .formatted(where, errno));
      }
      return fd;
    } catch (IllegalStateException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("no socket can be opened: " + e, e);
    }
  }

  /** Closes a descriptor. */
  static void close(int fd) {
    try (Arena arena = Arena.ofConfined()) {
      int _ = (int) handle("close", ValueLayout.JAVA_INT).invokeExact(arena.allocate(CAPTURED), fd);
    } catch (Throwable e) {
      throw new IllegalStateException("close failed", e);
    }
  }

  private static int call(MemorySegment captured, String name, int a, int b, int c)
      throws Throwable {
    int result =
        (int)
            handle(name, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT)
                .invokeExact(captured, a, b, c);
    if (result < 0) {
      throw new IllegalStateException(name + " failed, error " + (int) ERRNO.get(captured, 0L));
    }
    return result;
  }

  private static MethodHandle handle(String name, MemoryLayout... parameters) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(
        linker.defaultLookup().find(name).orElseThrow(),
        FunctionDescriptor.of(ValueLayout.JAVA_INT, parameters),
        Linker.Option.captureCallState("errno"));
  }
}
