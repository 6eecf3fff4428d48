package org.nasvlp.distributed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.libtorch.LibTorch;

/** Processes on this machine that exchange over the loopback interface. */
@EnabledOnOs(OS.LINUX)
@Timeout(180)
class RanksTest {
  @TempDir private Path folder;

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private static Map<String, String> at(int port) {
    return Map.of(
        "MASTER_ADDR", "127.0.0.1", "MASTER_PORT", String.valueOf(port), "NAS_TIMEOUT", "60");
  }

  @Test
  void ranksGetWhatAllHaveInTheirOrder() throws Exception {
    try (RankProcesses ranks =
        RankProcesses.start(RanksProgram.class, 3, folder, Map.of(), "exchange").await(120)) {
      for (int rank = 0; rank < 3; rank++) {
        assertThat(ranks.printed(rank))
            .contains("rows [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]")
            .contains("sum [3.0, 60.0]")
            .contains("begun [3.0, 3.0] [3.0, 9.0, %s]".formatted(3 * 0x1p100f))
            .contains("waited 0.0 true")
            .contains("now waited true")
            .contains("part [%s, 1.0, 1.0, 1.0, %s]".formatted((float) rank, (float) rank))
            .contains("numbers [[0.0, 0.0], [1.0, 1.0E300], [2.0, 2.0E300]]")
            .contains("longs [" + (1L << 62) + ", 0, " + (1L << 62) + ", -1, ")
            .contains("bytes [0, 1, 2]")
            .contains("first größer")
            .contains("parted");
      }
    }
  }

  @Test
  void ncclWithoutADeviceIsRefusedOnEachRank() throws Exception {
    assumeThat(LibTorch.cudaUnavailableReason(0)).as("this machine has a GPU").isNotEmpty();
    try (RankProcesses ranks =
        RankProcesses.start(
                RanksProgram.class, 2, folder, Map.of("NAS_TRANSPORT", "nccl"), "exchange")
            .await(120)) {
      for (int rank = 0; rank < 2; rank++) {
        assertThat(ranks.printed(rank))
            .contains("lost: rank %d cannot exchange data by NCCL".formatted(rank))
            .contains("; or take gloo")
            .doesNotContain("joined");
      }
    }
  }

  @Test
  void theStoreListensOnRankZerosAddressAlone() throws Exception {
    int port = freePort();
    try (RankProcesses ranks =
        RankProcesses.start(RanksProgram.class, 2, folder, at(port), "wait")) {
      while (!ranks.printed(0).contains("joined") && ranks.of(0).isAlive()) {
        Thread.sleep(50);
      }
      // Local addresses of listening sockets, as the kernel writes them: 0100007F is 127.0.0.1.
      String hex = String.format(":%04X", port);
      assertThat(Files.readAllLines(Path.of("/proc/net/tcp")))
          .filteredOn(line -> line.contains(hex + " 00000000:0000 0A"))
          .singleElement()
          .asString()
          .contains("0100007F" + hex);
      ranks.await(60);
      assertThat(ranks.printed(1)).contains("parted");
    }
  }

  @Test
  void aKilledRankIsNamedByAllOthers() throws Exception {
    try (RankProcesses ranks =
        RankProcesses.start(RanksProgram.class, 3, folder, at(freePort()), "die")) {
      while (!ranks.printed(2).contains("going") && ranks.of(2).isAlive()) {
        Thread.sleep(50);
      }
      ranks.of(2).destroyForcibly();
      ranks.await(30);
      for (int rank = 0; rank < 2; rank++) {
        assertThat(ranks.printed(rank)).contains("lost: rank 2 of 3 does not answer");
        assertThat(ranks.of(rank).exitValue()).isOne();
      }
    }
  }

  @Test
  void aRankThatIsGoneBeforeItConnectsIsNamed() throws Exception {
    Map<String, String> brief = Map.of("NAS_TIMEOUT", "5");
    try (RankProcesses ranks =
        RankProcesses.start(RanksProgram.class, 2, folder, brief, "vanish").await(60)) {
      assertThat(ranks.printed(0)).contains("lost: rank 1 of 2 does not answer");
    }
  }

  @Test
  void aRankThatHangsIsNamedAfterTheTimeOut() throws Exception {
    Map<String, String> brief = Map.of("NAS_TIMEOUT", "5");
    try (RankProcesses ranks = RankProcesses.start(RanksProgram.class, 2, folder, brief, "die")) {
      while (!ranks.printed(1).contains("going") && ranks.of(1).isAlive()) {
        Thread.sleep(50);
      }
      String pid = String.valueOf(ranks.of(1).pid());
      assertThat(new ProcessBuilder("kill", "-STOP", pid).start().waitFor()).isZero();
      assertThat(ranks.of(0).waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(ranks.printed(0)).contains("lost: rank 1 of 2 does not answer");
    }
  }

  @Test
  void theReasonOfARankThatFailsIsToldByAllOthers() throws Exception {
    try (RankProcesses ranks =
        RankProcesses.start(RanksProgram.class, 3, folder, Map.of(), "fail").await(60)) {
      assertThat(ranks.printed(0)).contains("lost: rank 1 has ended: the disk is full");
      assertThat(ranks.printed(2)).contains("lost: rank 1 has ended: the disk is full");
    }
  }

  @Test
  void ranksThatWereStartedDifferentlySayWhatDiffers() throws Exception {
    try (RankProcesses ranks =
        RankProcesses.start(RanksProgram.class, 2, folder, at(freePort()), "wait", "red", "green")
            .await(60)) {
      for (int rank = 0; rank < 2; rank++) {
        assertThat(ranks.printed(rank))
            .contains("not started alike: the colour is red on rank 0 and green on rank 1");
      }
    }
  }

  @Test
  void aPortInUseIsNamed() throws Exception {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        RankProcesses rank =
            RankProcesses.start(
                    RanksProgram.class,
                    1,
                    folder,
                    Map.of(
                        "WORLD_SIZE", "2",
                        "MASTER_ADDR", "127.0.0.1",
                        "MASTER_PORT", String.valueOf(taken.getLocalPort())),
                    "wait")
                .await(60)) {
      assertThat(rank.printed(0))
          .contains("rank 0 cannot listen on 127.0.0.1:" + taken.getLocalPort())
          .contains("the port is in use");
    }
  }

  @Test
  void ranksThatDoNotComeAreNamed() throws Exception {
    try (RankProcesses rank =
        RankProcesses.start(
                RanksProgram.class,
                1,
                folder,
                Map.of("WORLD_SIZE", "3", "NAS_TIMEOUT", "2"),
                "wait")
            .await(60)) {
      assertThat(rank.printed(0)).contains("lost: rank 1, 2 of 3 did not come within 2 s");
    }
  }

  @Test
  void aRankThatIsStartedTwiceIsRefused() throws Exception {
    Map<String, String> same = Map.of("RANK", "0", "NAS_TIMEOUT", "5");
    try (RankProcesses ranks =
        RankProcesses.start(RanksProgram.class, 2, folder, same, "wait").await(60)) {
      assertThat(ranks.printed()).contains("rank 0 has been started twice");
    }
  }

  @Test
  void aMasterThatIsNotThereIsNamed() throws Exception {
    int port = freePort();
    try (RankProcesses rank =
        RankProcesses.start(
                RanksProgram.class,
                1,
                folder,
                Map.of(
                    "RANK", "1",
                    "WORLD_SIZE", "2",
                    "MASTER_ADDR", "127.0.0.1",
                    "MASTER_PORT", String.valueOf(port),
                    "NAS_TIMEOUT", "2"),
                "wait")
            .await(60)) {
      assertThat(rank.printed(0))
          .contains("lost: rank 1 has not reached rank 0 at 127.0.0.1:" + port + " within 2 s");
    }
  }
}
