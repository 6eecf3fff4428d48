package org.nasvlp.cli;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.train.Evaluation;
import org.nasvlp.train.StepReport;
import org.nasvlp.train.TrainingListener;
import org.nasvlp.train.TrainingResult;
import org.nasvlp.train.TrainingStart;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Logs a run to an MLflow tracking server by its REST API 2.0: configuration as parameters, curves
 * as metrics, what it ran on as tags.
 *
 * <p>A thread of its own sends, so that a server that is slow, down or wrong neither ends the
 * training nor slows it. What the server does not take in time is dropped once the queue is full;
 * the first problem is warned of, and at the end how much was dropped.
 */
final class MlflowListener implements TrainingListener, AutoCloseable {
  /**
   * MLflow's greatest number of parameters, or tags, in a request; more metrics would be allowed.
   */
  private static final int BATCH = 100;

  private static final int LONGEST_VALUE = 500;
  private static final int LONGEST_KEY = 250;
  private static final long MOST_PAUSE = 30_000;

  /**
   * Where a run is logged.
   *
   * @param url of the server
   * @param experiment its name, made if the server has none of it
   */
  record Target(URI url, String experiment) {}

  /**
   * How patient it is.
   *
   * @param queue most values that wait
   * @param pause milliseconds between requests, and the first pause after a failure
   * @param request longest time for an answer
   * @param close longest time in milliseconds that the end waits for what is left
   */
  record Patience(int queue, long pause, Duration request, long close) {
    static final Patience USUAL = new Patience(20_000, 1000, Duration.ofSeconds(10), 10_000);
  }

  private enum Kind {
    METRICS,
    PARAMS,
    TAGS
  }

  private record Entry(Kind kind, String key, Object value, long time, long step) {}

  /** The server has understood and will not. */
  private static final class Refused extends IOException {
    private static final long serialVersionUID = 1L;

    Refused(String message) {
      super(message);
    }
  }

  private final Target target;
  private final String name;
  private final NasConfig config;
  private final Consumer<String> warnings;
  private final Patience patience;
  private final BlockingQueue<Entry> queue;
  private final AtomicLong given = new AtomicLong();
  private final AtomicLong sent = new AtomicLong();
  private final AtomicReference<@Nullable String> problem = new AtomicReference<>();
  private final CountDownLatch closing = new CountDownLatch(1);
  private final HttpClient client;
  private final Thread sender;
  private volatile boolean gaveUp;
  private volatile String status = "FAILED";
  private boolean warned;

  /**
   * Begins to send once the run starts.
   *
   * @param name of the run
   * @param config its parameters
   * @param warnings told on the training's thread
   */
  MlflowListener(
      Target target, String name, NasConfig config, Consumer<String> warnings, Patience patience) {
    this.target = target;
    this.name = name;
    this.config = config;
    this.warnings = warnings;
    this.patience = patience;
    this.queue = new ArrayBlockingQueue<>(patience.queue());
    this.client = HttpClient.newBuilder().connectTimeout(patience.request()).build();
    this.sender = Thread.ofPlatform().daemon().name("nas-mlflow").unstarted(this::send);
  }

  @Override
  public void onStart(TrainingStart start) {
    flatten("", JsonMapper.shared().readTree(config.toJson()));
    put(Kind.TAGS, "nas.version", Version.get(), 0);
    put(Kind.TAGS, "nas.device", start.device(), 0);
    put(Kind.TAGS, "nas.kernels", start.kernels(), 0);
    put(Kind.TAGS, "nas.pairs", Long.toString(start.pairs()), 0);
    put(Kind.TAGS, "nas.parameters", Long.toString(start.parameters()), 0);
    put(Kind.TAGS, "nas.firstStep", Long.toString(start.firstStep()), 0);
    sender.start();
  }

  private void flatten(String prefix, JsonNode node) {
    for (Map.Entry<String, JsonNode> field : node.properties()) {
      String key = prefix.isEmpty() ? field.getKey() : prefix + "." + field.getKey();
      if (field.getValue().isObject()) {
        flatten(key, field.getValue());
      } else {
        put(Kind.PARAMS, key, field.getValue().asString(field.getValue().toString()), 0);
      }
    }
  }

  @Override
  public void onStep(StepReport report) {
    if (report.logged()) {
      RunScalars.of(report).forEach((key, value) -> put(Kind.METRICS, key, value, report.step()));
    }
    tell();
  }

  @Override
  public void onEvaluated(long step, Evaluation evaluation) {
    RunScalars.of(evaluation).forEach((key, value) -> put(Kind.METRICS, key, value, step));
  }

  @Override
  public void onEnd(TrainingResult result) {
    status = result.stopped() ? "KILLED" : "FINISHED";
  }

  /** Never waits. */
  private void put(Kind kind, String key, Object value, long step) {
    given.incrementAndGet();
    if (!gaveUp) {
      Object kept =
          value instanceof String text && text.length() > LONGEST_VALUE
              ? text.substring(0, LONGEST_VALUE)
              : value;
      // Full: it counts as given and not as sent.
      boolean _ = queue.offer(new Entry(kind, key(key), kept, System.currentTimeMillis(), step));
    }
  }

  /** Letters, digits and what else MLflow takes. */
  private static String key(String key) {
    String clean = key.replaceAll("[^A-Za-z0-9_./ -]", "_");
    return clean.length() > LONGEST_KEY ? clean.substring(0, LONGEST_KEY) : clean;
  }

  /** The first problem, once. */
  private void tell() {
    String found = problem.get();
    if (found != null && !warned) {
      warned = true;
      warnings.accept(
          "MLflow at %s: %s; the training goes on, and what is not taken is dropped"
              .formatted(target.url(), found));
    }
  }

  private void send() {
    List<Entry> batch = new ArrayList<>();
    String run = null;
    long pause = patience.pause();
    try {
      while (true) {
        boolean ending = closing.getCount() == 0;
        if (batch.isEmpty()) {
          queue.drainTo(batch, BATCH);
        }
        if (batch.isEmpty() && ending) {
          break;
        }
        boolean full = batch.size() == BATCH;
        try {
          if (run == null) {
            run = begin();
          }
          if (!batch.isEmpty()) {
            log(run, batch);
          }
          pause = patience.pause();
        } catch (Refused e) {
          problem.compareAndSet(null, e.getMessage());
          if (run == null) {
            gaveUp = true;
            return;
          }
          batch.clear();
        } catch (IOException e) {
          problem.compareAndSet(null, Failures.describe(e));
          if (ending) {
            return;
          }
          full = false;
          pause = Math.min(2 * pause, MOST_PAUSE);
        }
        if (!full && !ending) {
          boolean _ = closing.await(pause, TimeUnit.MILLISECONDS);
        }
      }
      if (run != null) {
        end(run);
      }
    } catch (IOException e) {
      problem.compareAndSet(null, Failures.describe(e));
    } catch (InterruptedException e) {
      problem.compareAndSet(null, "no answer in time");
    }
  }

  private String begin() throws IOException, InterruptedException {
    String query =
        "experiments/get-by-name?experiment_name="
            + URLEncoder.encode(target.experiment(), StandardCharsets.UTF_8);
    JsonNode found = ask(request(query).GET().build(), true);
    String experiment =
        found != null
            ? text(found, "/experiment/experiment_id")
            : text(
                post("experiments/create", object("name", target.experiment())), "/experiment_id");
    ObjectNode body = object("experiment_id", experiment);
    body.put("run_name", name).put("start_time", System.currentTimeMillis());
    body.putArray("tags").addObject().put("key", "mlflow.runName").put("value", name);
    return text(post("runs/create", body), "/run/info/run_id");
  }

  private void log(String run, List<Entry> batch) throws IOException, InterruptedException {
    ObjectNode body = object("run_id", run);
    ArrayNode metrics = body.putArray("metrics");
    ArrayNode params = body.putArray("params");
    ArrayNode tags = body.putArray("tags");
    for (Entry entry : batch) {
      if (entry.value() instanceof Double value) {
        ObjectNode metric = metrics.addObject().put("key", entry.key());
        metric.put("value", value).put("timestamp", entry.time()).put("step", entry.step());
      } else {
        ArrayNode texts = entry.kind() == Kind.PARAMS ? params : tags;
        texts.addObject().put("key", entry.key()).put("value", entry.value().toString());
      }
    }
    post("runs/log-batch", body);
    sent.addAndGet(batch.size());
    batch.clear();
  }

  private void end(String run) throws IOException, InterruptedException {
    ObjectNode body = object("run_id", run);
    post("runs/update", body.put("status", status).put("end_time", System.currentTimeMillis()));
  }

  private static ObjectNode object(String key, String value) {
    return JsonNodeFactory.instance.objectNode().put(key, value);
  }

  private static String text(JsonNode answer, String path) throws Refused {
    String text = answer.at(path).asString("");
    if (text.isEmpty()) {
      throw new Refused("the answer has no " + path.substring(1) + ", which MLflow's has");
    }
    return text;
  }

  private HttpRequest.Builder request(String call) {
    String base = target.url().toString().replaceAll("/+$", "");
    return HttpRequest.newBuilder(URI.create(base + "/api/2.0/mlflow/" + call))
        .timeout(patience.request());
  }

  private JsonNode post(String call, ObjectNode body) throws IOException, InterruptedException {
    HttpRequest request =
        request(call)
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(JsonMapper.shared().writeValueAsString(body)))
            .build();
    JsonNode answer = ask(request, false);
    return answer == null ? JsonNodeFactory.instance.objectNode() : answer;
  }

  /**
   * The answer.
   *
   * @param mayLack whether the server may not know what is asked for: null then
   * @throws Refused if asking again is of no use
   */
  private @Nullable JsonNode ask(HttpRequest request, boolean mayLack)
      throws IOException, InterruptedException {
    HttpResponse<String> response =
        client.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
    int code = response.statusCode();
    String call = request.uri().getPath();
    if (mayLack && code == 404 && response.body().contains("RESOURCE_DOES_NOT_EXIST")) {
      return null;
    }
    if (code >= 500 || code == 429 || code == 408) {
      throw new IOException("answers %d to %s".formatted(code, call));
    }
    if (code != 200) {
      throw new Refused("answers %d to %s".formatted(code, call));
    }
    try {
      return JsonMapper.shared().readTree(response.body());
    } catch (JacksonException e) {
      throw new Refused("answers no JSON to " + call);
    }
  }

  /** Sends what is left, for some seconds at most. */
  @Override
  public void close() {
    closing.countDown();
    try {
      if (!sender.join(Duration.ofMillis(patience.close()))) {
        sender.interrupt();
        boolean _ = sender.join(Duration.ofSeconds(1));
      }
    } catch (IllegalThreadStateException e) {
      // The training has failed before it began: there is no run to tell of.
      return;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      client.shutdownNow();
    }
    tell();
    long dropped = given.get() - sent.get();
    if (dropped > 0) {
      warnings.accept(
          "MLflow at %s: %s of %s values were dropped"
              .formatted(target.url(), Text.count(dropped), Text.count(given.get())));
    }
  }
}
