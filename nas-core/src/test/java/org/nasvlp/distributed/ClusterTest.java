package org.nasvlp.distributed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class ClusterTest {
  private static final String TORCHRUN =
      "RANK=5 LOCAL_RANK=1 WORLD_SIZE=8 LOCAL_WORLD_SIZE=4 MASTER_ADDR=10.0.0.7 MASTER_PORT=29400";

  /** As a task of {@code srun} sees it. */
  private static final String SLURM =
      "SLURM_JOB_ID=4711 SLURM_NTASKS=8 SLURM_STEP_ID=2 SLURM_STEP_NUM_TASKS=8 SLURM_PROCID=5"
          + " SLURM_LOCALID=1 SLURM_NODEID=1 SLURM_STEP_NODELIST=gpu[07-08]"
          + " SLURM_JOB_NODELIST=gpu[01-08]";

  private static final String OPEN_MPI =
      "OMPI_COMM_WORLD_SIZE=8 OMPI_COMM_WORLD_RANK=5 OMPI_COMM_WORLD_LOCAL_RANK=1"
          + " OMPI_COMM_WORLD_LOCAL_SIZE=4";

  /** Kubeflow Trainer's, which PyTorch's launcher reads. */
  private static final String ELASTIC =
      "PET_NNODES=8 PET_NPROC_PER_NODE=1 PET_NODE_RANK=5 PET_MASTER_ADDR=job-node-0-0.job"
          + " PET_MASTER_PORT=29500";

  /** Variables of a text, {@code NAME=value} after {@code NAME=value}. */
  private static Map<String, String> variables(String... texts) {
    Map<String, String> variables = new LinkedHashMap<>();
    for (String text : texts) {
      for (String variable : text.split(" ", -1)) {
        if (!variable.isEmpty()) {
          String[] parts = variable.split("=", 2);
          variables.put(parts[0], parts[1]);
        }
      }
    }
    return variables;
  }

  private static Cluster read(String... texts) {
    return Cluster.fromEnvironment(variables(texts));
  }

  private static Cluster fifthOfEight(int local, String address, int port) {
    return new Cluster(
        5, 8, local, address, port, null, null, Cluster.Transport.GLOO, Duration.ofMinutes(10));
  }

  @Test
  void withoutAnyVariableItIsAlone() {
    Cluster cluster = read("PATH=/bin HOME=/root MASTER_ADDR=10.0.0.7 NAS_RENDEZVOUS=nonsense");
    assertThat(cluster).isEqualTo(Cluster.alone());
    assertThat(cluster.isAlone()).isTrue();
    assertThat(read(TORCHRUN).isAlone()).isFalse();
  }

  @Test
  void launchersAreRead() {
    assertThat(read(TORCHRUN)).isEqualTo(fifthOfEight(1, "10.0.0.7", 29_400));
    assertThat(read(SLURM)).isEqualTo(fifthOfEight(1, "gpu07", 24_713));
    assertThat(read(SLURM, "MASTER_ADDR=head MASTER_PORT=1234"))
        .isEqualTo(fifthOfEight(1, "head", 1234));
    assertThat(read(OPEN_MPI, "MASTER_ADDR=head MASTER_PORT=1234"))
        .isEqualTo(fifthOfEight(1, "head", 1234));
    assertThat(read(ELASTIC)).isEqualTo(fifthOfEight(0, "job-node-0-0.job", 29_500));
    // Kubeflow's PyTorchJob: a process a pod, and no local rank.
    assertThat(read("RANK=5 WORLD_SIZE=8 MASTER_ADDR=job-master-0 MASTER_PORT=23456 PET_NNODES=8"))
        .isEqualTo(fifthOfEight(0, "job-master-0", 23_456));
  }

  @Test
  void theProcesssOwnLauncherCountsBeforeTheOnesAboveIt() {
    Map<String, String> inner = variables(SLURM.replace("PROCID=5", "PROCID=0"), TORCHRUN);
    assertThat(Cluster.fromEnvironment(inner)).isEqualTo(fifthOfEight(1, "10.0.0.7", 29_400));
    // srun starts a daemon a node, and the daemons start the processes.
    Map<String, String> daemons =
        variables(
            SLURM.replace("PROCID=5", "PROCID=0").replace("NUM_TASKS=8", "NUM_TASKS=2"),
            OPEN_MPI,
            "MASTER_ADDR=head MASTER_PORT=1234");
    assertThat(Cluster.fromEnvironment(daemons)).isEqualTo(fifthOfEight(1, "head", 1234));
  }

  /** A batch script has all but the step's variables; a shell in an allocation has no rank. */
  @Test
  void whatRunsBesideSlurmsTasksIsAlone() {
    assertThat(
            read(
                "SLURM_JOB_ID=7 SLURM_NTASKS=8 SLURM_PROCID=0 SLURM_LOCALID=0"
                    + " SLURM_JOB_NODELIST=a"))
        .isEqualTo(Cluster.alone());
    assertThat(read("SLURM_JOB_ID=7 SLURM_NTASKS=8 SLURM_JOB_NODELIST=a"))
        .isEqualTo(Cluster.alone());
  }

  @Test
  void aSingleRankIsAlone() {
    assertThat(read("RANK=0 WORLD_SIZE=1")).isEqualTo(Cluster.alone());
    assertThat(read("SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0")).isEqualTo(Cluster.alone());
    assertThat(read("PET_NNODES=1 PET_NODE_RANK=0 NAS_TIMEOUT=3"))
        .isEqualTo(Cluster.alone().withTimeout(Duration.ofSeconds(3)));
  }

  @Test
  void whatNasIsToldCountsBeforeTheLaunchersAddress() {
    Cluster file = read(TORCHRUN, "NAS_RENDEZVOUS=file:/net/a:b/meet NAS_INTERFACE=ib0");
    assertThat(file)
        .isEqualTo(
            new Cluster(
                5,
                8,
                1,
                "",
                0,
                Path.of("/net/a:b/meet"),
                "ib0",
                Cluster.Transport.GLOO,
                Duration.ofMinutes(10)));
    assertThat(read(OPEN_MPI, "NAS_RENDEZVOUS=file:meet NAS_TIMEOUT=90"))
        .isEqualTo(
            new Cluster(
                5,
                8,
                1,
                "",
                0,
                Path.of("meet"),
                null,
                Cluster.Transport.GLOO,
                Duration.ofSeconds(90)));
    assertThat(read(TORCHRUN, "NAS_RENDEZVOUS=head:1234 NAS_TRANSPORT=nccl"))
        .isEqualTo(fifthOfEight(1, "head", 1234).withTransport(Cluster.Transport.NCCL));
    assertThat(read(TORCHRUN, "NAS_RENDEZVOUS=head:1234")).isEqualTo(fifthOfEight(1, "head", 1234));
    assertThat(read(TORCHRUN, "NAS_RENDEZVOUS=[fe80::1]:1234"))
        .isEqualTo(fifthOfEight(1, "fe80::1", 1234));
  }

  @Test
  void blanksAreAsIfUnset() {
    Map<String, String> blank = variables(SLURM);
    blank.put("WORLD_SIZE", " ");
    blank.put("RANK", "");
    blank.put("SLURM_PROCID", " 5\n");
    assertThat(Cluster.fromEnvironment(blank)).isEqualTo(fifthOfEight(1, "gpu07", 24_713));
  }

  /** What is set, then what the message names besides a remedy. */
  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      textBlock =
          """
          WORLD_SIZE=2;                                  RANK is not set
          RANK=0;                                        WORLD_SIZE is not set
          RANK=0 WORLD_SIZE=2;                           MASTER_ADDR is not set
          RANK=0 WORLD_SIZE=2 MASTER_ADDR=a;             MASTER_PORT is not set
          OMPI_COMM_WORLD_SIZE=2;                        OMPI_COMM_WORLD_RANK is not set
          OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0; MASTER_ADDR is not set
          SLURM_STEP_NUM_TASKS=2;                        SLURM_PROCID is not set
          SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=0;         MASTER_ADDR is not set
          PET_NNODES=2;                                  PET_NODE_RANK is not set
          PET_NNODES=2 PET_NODE_RANK=0;                  MASTER_ADDR is not set
          """)
  void halfOfTheVariablesIsAnErrorThatNamesTheOther(String set, String missing) {
    assertThatThrownBy(() -> read(set))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContainingAll(missing, "set it, or unset ", " to train alone");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      textBlock =
          """
          RANK=x;                            RANK is 'x': it should be a number
          RANK=1.0;                          RANK is '1.0'
          RANK=-1;                           RANK is '-1'
          RANK=8;                            RANK is 8 and WORLD_SIZE is 8
          RANK=99999999999;                  RANK is '99999999999'
          WORLD_SIZE=0;                      WORLD_SIZE is '0'
          WORLD_SIZE=-2;                     WORLD_SIZE is '-2'
          WORLD_SIZE=2000000;                WORLD_SIZE is '2000000'
          LOCAL_RANK=first;                  LOCAL_RANK is 'first'
          LOCAL_RANK=-1;                     LOCAL_RANK is '-1'
          MASTER_PORT=0;                     MASTER_PORT is '0'
          MASTER_PORT=65536;                 MASTER_PORT is '65536'
          NAS_TIMEOUT=0;                     NAS_TIMEOUT is '0'
          NAS_TIMEOUT=1h;                    NAS_TIMEOUT is '1h'
          NAS_TIMEOUT=604801;                NAS_TIMEOUT is '604801'
          NAS_TRANSPORT=mpi;                 NAS_TRANSPORT is 'mpi': it should be gloo or nccl
          NAS_RENDEZVOUS=/tmp/a;             NAS_RENDEZVOUS is '/tmp/a'
          NAS_RENDEZVOUS=file:;              NAS_RENDEZVOUS is 'file:'
          NAS_RENDEZVOUS=head;               NAS_RENDEZVOUS is 'head'
          NAS_RENDEZVOUS=:1234;              NAS_RENDEZVOUS is ':1234'
          NAS_RENDEZVOUS=head:port;          NAS_RENDEZVOUS is 'head:port'
          NAS_RENDEZVOUS=head:70000;         the port of rank 0 is 70000
          """)
  void badNumbersAndPlacesAreErrorsThatNameThem(String set, String told) {
    assertThatThrownBy(() -> read(TORCHRUN, set))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(told);
  }

  @Test
  void onlyOneProcessANodeIsReadOfPyTorchElastic() {
    for (String each : List.of("8", "auto", "gpu")) {
      assertThatThrownBy(() -> read(ELASTIC, "PET_NPROC_PER_NODE=" + each))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContainingAll("PET_NPROC_PER_NODE is '" + each + "'", "LOCAL_RANK");
    }
    assertThatThrownBy(() -> read(ELASTIC, "PET_NNODES=1:4"))
        .hasMessageContaining("PET_NNODES is '1:4'");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      textBlock =
          """
          a;                              a
          a,b;                            a
          node[03-05,9],other;            node03
          other,node[03-05,9];            other
          gpu-1-[7-8];                    gpu-1-7
          node[9,03-05];                  node9
          rack[0-3]node[08,11];           rack0node08
          n[1-2]-ib.cluster.example,x[3]; n1-ib.cluster.example
          [1-2];                          1
          """)
  void slurmsFirstNodeIsRankZeros(String nodes, String first) {
    assertThat(ClusterEnvironment.firstHost(nodes)).isEqualTo(first);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {",a", "[", "[a]", "]"})
  void aListOfNodesWithoutAFirstIsAnError(String nodes) {
    assertThatThrownBy(() -> ClusterEnvironment.firstHost(nodes))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContainingAll("'" + nodes + "'", "MASTER_ADDR");
  }

  /** Jobs and steps that share a machine meet at ports of their own, at ports that are free. */
  @Test
  void slurmsPortsDiffer() {
    List<Integer> ports = new ArrayList<>();
    for (int job = 100_000; job < 101_000; job++) {
      ports.add(read(SLURM, "SLURM_JOB_ID=" + job).masterPort());
    }
    assertThat(ports).doesNotHaveDuplicates().allMatch(port -> port >= 20_000 && port < 30_000);
    assertThat(read(SLURM, "SLURM_STEP_ID=3").masterPort())
        .isNotEqualTo(read(SLURM, "SLURM_STEP_ID=2").masterPort());
    assertThatThrownBy(() -> read(SLURM, "SLURM_JOB_ID=x"))
        .hasMessageContaining("SLURM_JOB_ID is 'x'");
  }

  private static List<Map<String, String>> environments() {
    return List.of(
        variables(TORCHRUN, "NAS_RENDEZVOUS=file:a NAS_INTERFACE=i NAS_TIMEOUT=7"),
        variables(SLURM),
        variables(OPEN_MPI, "MASTER_ADDR=head MASTER_PORT=1"),
        variables(ELASTIC));
  }

  @ParameterizedTest
  @MethodSource("environments")
  void theVariablesListedAreThoseRead(Map<String, String> environment) {
    Map<String, String> listed = new LinkedHashMap<>(environment);
    listed.keySet().retainAll(Cluster.environmentVariables());
    assertThat(Cluster.fromEnvironment(listed)).isEqualTo(Cluster.fromEnvironment(environment));
    List<String> read = new ArrayList<>();
    var recording =
        new LinkedHashMap<String, String>(environment) {
          @Override
          public String get(Object name) {
            read.add((String) name);
            return super.get(name);
          }
        };
    assertThat(Cluster.fromEnvironment(recording).size()).isEqualTo(8);
    assertThat(Cluster.environmentVariables()).containsAll(read).doesNotHaveDuplicates();
  }

  @Test
  void whatCannotBeIsRefused() {
    assertRefused(() -> Cluster.at("a", 1, 2, 2), "rank 2 of 2");
    assertRefused(() -> Cluster.at("a", 1, -1, 2), "rank -1 of 2");
    assertRefused(() -> Cluster.at("a", 0, 0, 2), "port of rank 0 is 0");
    assertRefused(() -> Cluster.at("a", 65_536, 0, 2), "65536");
    assertRefused(() -> Cluster.at(" ", 1, 0, 2), "address and port of rank 0, or a file");
    assertRefused(() -> Cluster.alone().withTimeout(Duration.ZERO), "time-out");
    assertRefused(() -> Cluster.alone().withTimeout(Duration.ofSeconds(-1)), "time-out");
    assertRefused(() -> Cluster.alone().withTimeout(Duration.ofDays(8)), "a week at most");
    assertRefused(
        () ->
            new Cluster(
                0, 2, -1, "a", 1, null, null, Cluster.Transport.GLOO, Duration.ofSeconds(1)),
        "local rank is -1");
  }

  private static void assertRefused(Runnable cluster, String told) {
    assertThatThrownBy(cluster::run)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(told);
  }

  @Test
  void aChangeLeavesTheRest() {
    Cluster cluster = fifthOfEight(1, "a", 1);
    assertThat(cluster.withInterface("ib0").withInterface(null)).isEqualTo(cluster);
    assertThat(cluster.withTimeout(Duration.ofSeconds(2)).timeout()).hasSeconds(2);
  }
}
