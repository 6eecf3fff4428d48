package org.nasvlp.onnx;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxTensorLike;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.nasvlp.data.text.TokenizedCaptions;

/** The three graphs of a folder in ONNX Runtime. */
final class Exported implements AutoCloseable {
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final Map<String, OrtSession> sessions = new HashMap<>();

  /** Opens them, with as many threads as it likes. */
  Exported(Path folder) throws OrtException {
    this(folder, 0);
  }

  /**
   * Opens them.
   *
   * @param threads of an operator; 0 for as many as it likes
   */
  Exported(Path folder, int threads) throws OrtException {
    for (String name : new String[] {"image-encoder", "text-encoder", "matcher"}) {
      try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
        options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
        if (threads > 0) {
          options.setIntraOpNumThreads(threads);
        }
        sessions.put(
            name, environment.createSession(folder.resolve(name + ".onnx").toString(), options));
      }
    }
  }

  OrtSession session(String name) {
    return sessions.get(name);
  }

  /** Values with their shape, as float32 whatever their type. */
  record Values(float[] values, long[] shape) {}

  Map<String, Values> image(float[] pixels, long images, long size) throws OrtException {
    return run("image-encoder", Map.of("pixels", floats(pixels, images, 3, size, size)));
  }

  Map<String, Values> text(TokenizedCaptions tokens) throws OrtException {
    return run(
        "text-encoder",
        Map.of("input_ids", longs(tokens.ids(), tokens), "attention_mask", mask(tokens)));
  }

  /** Pairs, of what the two encoders gave. */
  Map<String, Values> match(Values images, Values states, TokenizedCaptions tokens)
      throws OrtException {
    return run(
        "matcher",
        Map.of(
            "image_tokens", floats(images.values(), images.shape()),
            "text_states", floats(states.values(), states.shape()),
            "attention_mask", mask(tokens)));
  }

  private OnnxTensor floats(float[] values, long... shape) throws OrtException {
    return OnnxTensor.createTensor(environment, FloatBuffer.wrap(values), shape);
  }

  private OnnxTensor mask(TokenizedCaptions tokens) throws OrtException {
    return longs(tokens.mask(), tokens);
  }

  private OnnxTensor longs(long[] values, TokenizedCaptions tokens) throws OrtException {
    return OnnxTensor.createTensor(
        environment, LongBuffer.wrap(values), new long[] {tokens.rows(), tokens.length()});
  }

  private Map<String, Values> run(String name, Map<String, OnnxTensor> inputs) throws OrtException {
    Map<String, Values> values = new LinkedHashMap<>();
    try (OrtSession.Result result =
        sessions.get(name).run(new HashMap<String, OnnxTensorLike>(inputs))) {
      for (var output : result) {
        OnnxTensor tensor = (OnnxTensor) output.getValue();
        values.put(output.getKey(), new Values(read(tensor), tensor.getInfo().getShape()));
      }
    } finally {
      inputs.values().forEach(OnnxTensor::close);
    }
    return values;
  }

  private static float[] read(OnnxTensor tensor) {
    FloatBuffer floats = tensor.getFloatBuffer();
    if (floats != null) {
      float[] values = new float[floats.remaining()];
      floats.get(values);
      return values;
    }
    LongBuffer longs = tensor.getLongBuffer();
    float[] values = new float[longs.remaining()];
    for (int i = 0; i < values.length; i++) {
      values[i] = longs.get(i);
    }
    return values;
  }

  @Override
  public void close() throws OrtException {
    for (OrtSession session : sessions.values()) {
      session.close();
    }
  }
}
