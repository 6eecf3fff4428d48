package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class ExitHoldTest {
  /** Exits while a run is held, by itself or from another thread, or once it is over. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) throws InterruptedException {
      CountDownLatch stop = new CountDownLatch(1);
      try (ExitHold hold = ExitHold.until(stop::countDown)) {
        if (args[0].equals("inside")) {
          System.exit(5);
        }
        if (args[0].equals("both")) {
          Thread.ofPlatform().daemon().start(() -> System.exit(6));
          stop.await();
          System.exit(5);
        }
        if (args[0].equals("held")) {
          Thread.ofPlatform().daemon().start(() -> System.exit(7));
          stop.await();
          System.out.println("asked");
          // Time in which the JVM would be gone, were it not held.
          TimeUnit.MILLISECONDS.sleep(300);
          System.out.println("ended");
        }
      }
      if (args[0].equals("over")) {
        System.exit(stop.getCount() == 1 ? 8 : 9);
      }
      TimeUnit.HOURS.sleep(1);
    }
  }

  private static String printed(String mode, int status) throws Exception {
    Process child = Children.start(Child.class, mode);
    // Reading its output cannot be interrupted, so that no time limit ends it.
    CompletableFuture.delayedExecutor(60, TimeUnit.SECONDS).execute(child::destroyForcibly);
    try {
      String printed =
          new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
      assertThat(child.waitFor()).isEqualTo(status);
      return printed;
    } finally {
      child.destroyForcibly();
    }
  }

  @Test
  @Timeout(120)
  void anExitAsksTheRunToStopAndWaitsForIt() throws Exception {
    assertThat(printed("held", 7).lines()).containsExactly("asked", "ended");
  }

  @Test
  @Timeout(120)
  void anExitAfterTheRunIsNotHeld() throws Exception {
    assertThat(printed("over", 8)).isEmpty();
  }

  /** As a listener does that calls System.exit: the run cannot go on then. */
  @Test
  @Timeout(120)
  void anExitFromTheRunItselfIsNotHeld() throws Exception {
    assertThat(printed("inside", 5)).isEmpty();
    // Its status is that of the exit which came first.
    assertThat(printed("both", 6)).isEmpty();
  }
}
