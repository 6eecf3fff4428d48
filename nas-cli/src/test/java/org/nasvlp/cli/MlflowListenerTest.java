package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.BiFunction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nasvlp.config.NasConfig;
import org.nasvlp.train.Evaluation;
import org.nasvlp.train.TrainingStart;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Against a server that records what it is sent, and answers as a test wants. */
class MlflowListenerTest {
  private record Answer(int code, String body) {}

  private static final MlflowListener.Patience PATIENCE =
      new MlflowListener.Patience(20_000, 1, Duration.ofSeconds(20), 30_000);

  private final List<String> warnings = new CopyOnWriteArrayList<>();
  private final List<String> calls = new CopyOnWriteArrayList<>();
  private final List<JsonNode> bodies = new CopyOnWriteArrayList<>();
  private final CountDownLatch hung = new CountDownLatch(1);
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private HttpServer server;
  private volatile boolean hangs;

  /** By the call and how often it was made before; null for the right answer. */
  private volatile BiFunction<String, Integer, Answer> wrong = (call, before) -> null;

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/", this::answer);
    server.setExecutor(threads);
    server.start();
  }

  @AfterEach
  void stop() {
    hung.countDown();
    server.stop(0);
    threads.shutdownNow();
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      String call = exchange.getRequestURI().toString().replace("/base/api/2.0/mlflow/", "");
      byte[] body = exchange.getRequestBody().readAllBytes();
      if (hangs) {
        hung.await();
      }
      int before = (int) calls.stream().filter(call::equals).count();
      Answer answer = wrong.apply(call, before);
      if (answer == null) {
        answer =
            switch (call) {
              case "experiments/get-by-name?experiment_name=my+%26+own" ->
                  new Answer(404, "{\"error_code\": \"RESOURCE_DOES_NOT_EXIST\"}");
              case "experiments/create" -> new Answer(200, "{\"experiment_id\": \"7\"}");
              case "runs/create" -> new Answer(200, "{\"run\": {\"info\": {\"run_id\": \"r1\"}}}");
              case "runs/log-batch", "runs/update" -> new Answer(200, "{}");
              default -> new Answer(404, "no such call");
            };
      }
      bodies.add(
          body.length == 0
              ? JsonMapper.shared().readTree("{}")
              : JsonMapper.shared().readTree(body));
      calls.add(call);
      byte[] bytes = answer.body().getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(answer.code(), bytes.length);
      exchange.getResponseBody().write(bytes);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private MlflowListener listener(int port, MlflowListener.Patience patience) {
    URI url = URI.create("http://127.0.0.1:" + port + "/base/");
    return new MlflowListener(
        new MlflowListener.Target(url, "my & own"),
        "mine",
        NasConfig.preset("emoji"),
        warnings::add,
        patience);
  }

  private MlflowListener listener() {
    return listener(server.getAddress().getPort(), PATIENCE);
  }

  private void train(MlflowListener listener, int steps, boolean stopped) {
    try (listener) {
      listener.onStart(new TrainingStart(0, steps, 5, 10, 0, "cpu, 1 thread", "java"));
      for (int step = 1; step <= steps; step++) {
        listener.onStep(Samples.step(step, steps));
      }
      listener.onEvaluated(steps, new Evaluation(null, Map.of(), Map.of("mine", Double.NaN)));
      listener.onEnd(Samples.result(Path.of("c"), stopped, null));
    }
  }

  private List<JsonNode> bodiesOf(String call) {
    List<JsonNode> of = new ArrayList<>();
    for (int i = 0; i < calls.size(); i++) {
      if (calls.get(i).equals(call)) {
        of.add(bodies.get(i));
      }
    }
    return of;
  }

  private List<JsonNode> logged(String kind) {
    return bodiesOf("runs/log-batch").stream()
        .flatMap(body -> body.get(kind).valueStream())
        .toList();
  }

  @Test
  void parametersMetricsAndTagsArrive() {
    train(listener(), 300, false);
    assertThat(warnings).isEmpty();
    assertThat(calls.subList(0, 3))
        .containsExactly(
            "experiments/get-by-name?experiment_name=my+%26+own",
            "experiments/create", "runs/create");
    assertThat(calls.getLast()).isEqualTo("runs/update");
    assertThat(bodiesOf("experiments/create").getFirst().get("name").asString())
        .isEqualTo("my & own");
    JsonNode run = bodiesOf("runs/create").getFirst();
    assertThat(run.get("experiment_id").asString()).isEqualTo("7");
    assertThat(run.get("run_name").asString()).isEqualTo("mine");
    assertThat(bodiesOf("runs/update").getFirst().get("status").asString()).isEqualTo("FINISHED");
    for (JsonNode body : bodiesOf("runs/log-batch")) {
      assertThat(body.get("run_id").asString()).isEqualTo("r1");
      assertThat(body.get("params").size()).isLessThanOrEqualTo(100);
    }
    Map<String, String> params = new HashMap<>();
    logged("params")
        .forEach(of -> params.put(of.get("key").asString(), of.get("value").asString()));
    assertThat(params).containsEntry("model.width", "128").containsEntry("training.device", "cpu");
    assertThat(logged("tags")).anyMatch(of -> of.toString().contains("\"cpu, 1 thread\""));
    List<JsonNode> losses =
        logged("metrics").stream()
            .filter(of -> of.get("key").asString().equals("loss/itc"))
            .toList();
    assertThat(losses.stream().map(of -> of.get("step").longValue()).distinct()).hasSize(300);
    assertThat(losses.getFirst().get("value").doubleValue()).isEqualTo(3.104);
    assertThat(logged("metrics"))
        .anyMatch(of -> of.toString().contains("\"evaluation/mine\",\"value\":\"NaN\""));
  }

  @Test
  void aRunThatIsStoppedOrFailsIsSaidToBe() {
    train(listener(), 1, true);
    assertThat(bodiesOf("runs/update").getFirst().get("status").asString()).isEqualTo("KILLED");
    try (MlflowListener failed = listener()) {
      failed.onStart(new TrainingStart(0, 1, 5, 10, 0, "cpu", "java"));
    }
    assertThat(bodiesOf("runs/update").getLast().get("status").asString()).isEqualTo("FAILED");
    calls.clear();
    try (MlflowListener never = listener()) {
      assertThat(never).isNotNull();
    }
    assertThat(calls).isEmpty();
    assertThat(warnings).isEmpty();
  }

  /** What failed is sent again, and nothing is lost. */
  @Test
  void aServerThatIsBusyIsAskedAgain() {
    wrong =
        (call, before) -> before < 2 && !call.equals("runs/update") ? new Answer(503, "") : null;
    MlflowListener listener = listener();
    listener.onStart(new TrainingStart(0, 2, 5, 10, 0, "cpu", "java"));
    for (int i = 0; i < 10_000 && bodiesOf("runs/log-batch").size() < 4; i++) {
      sleep();
    }
    listener.onStep(Samples.step(1, 2));
    listener.close();
    assertThat(warnings).hasSize(1).first().asString().contains("answers 503 to", "goes on");
    assertThat(logged("metrics")).anyMatch(of -> of.get("key").asString().equals("loss/itc"));
  }

  private static void sleep() {
    try {
      Thread.sleep(2);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "runs/create, 200, <html>, answers no JSON",
    "runs/create, 200, {}, the answer has no run/info/run_id",
    "runs/create, 401, no, answers 401",
    "experiments/create, 400, {}, answers 400",
    "runs/log-batch, 400, {}, answers 400"
  })
  void aServerThatRefusesIsWarnedOfOnceAndWhatIsLostIsCounted(
      String call, int code, String body, String told) {
    wrong = (asked, before) -> asked.equals(call) ? new Answer(code, body) : null;
    train(listener(), 50, false);
    assertThat(warnings).hasSize(2);
    assertThat(warnings.getFirst()).contains("MLflow at http://127.0.0.1:", told, "goes on");
    assertThat(warnings.getLast()).matches(".*: ([0-9,]+) of \\1 values were dropped");
    if (!call.equals("runs/log-batch")) {
      assertThat(bodiesOf(call)).hasSize(1);
    }
  }

  @Test
  void aServerThatIsDownOrHangsHoldsNothingUp() throws IOException {
    int closed;
    try (ServerSocket socket = new ServerSocket(0)) {
      closed = socket.getLocalPort();
    }
    train(listener(closed, PATIENCE), 50, false);
    assertThat(warnings).hasSize(2);
    assertThat(warnings.getFirst()).contains(": no server answers there; the training goes on");
    assertThat(warnings.getLast()).contains("values were dropped");
    warnings.clear();
    hangs = true;
    // The queue holds 40 values: the steps after them are dropped, and the end does not wait.
    MlflowListener.Patience little = new MlflowListener.Patience(40, 1, Duration.ofMinutes(5), 100);
    train(listener(server.getAddress().getPort(), little), 20_000, false);
    assertThat(warnings).hasSize(2);
    assertThat(warnings.getFirst()).contains("no answer in time");
    assertThat(warnings.getLast()).contains("values were dropped");
  }

  @ParameterizedTest
  @CsvSource({
    "--mlflow,ftp://x,it is no address",
    "--mlflow,http:x,it is no address",
    "--mlflow,http://a:b@x,it is no address",
    "--mlflow-experiment,x,needs --mlflow URL"
  })
  void addressesThatAreNoneAreRefused(String option, String value, String told) {
    TestShell shell = new TestShell();
    assertThat(shell.run("demo", option, value)).isEqualTo(2);
    assertThat(shell.err()).contains(told);
  }
}
