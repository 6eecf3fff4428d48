package org.nasvlp.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.IntToDoubleFunction;
import org.nasvlp.config.NasConfig;

/** A run's folder as a training leaves it, with numbers of a test's choice. */
final class RunFolder {
  private static final int CODEWORDS = 64;

  private final Path path;
  private final StringBuilder log = new StringBuilder();
  private NasConfig config = NasConfig.preset("tiny").withDictionary(d -> d.codewords(CODEWORDS));

  IntToDoubleFunction itc = step -> 4.0 / step;
  IntToDoubleFunction itm = step -> 0.6 / step;
  IntToDoubleFunction temperature = step -> 0.07;
  IntToDoubleFunction perplexity = step -> 50;
  IntToDoubleFunction gradient = step -> 2;
  IntToDoubleFunction data = step -> 0.001;
  IntToDoubleFunction restarts = step -> 3;

  RunFolder(Path path) throws IOException {
    this.path = Files.createDirectories(path);
  }

  Path path() {
    return path;
  }

  NasConfig config() {
    return config;
  }

  RunFolder config(NasConfig changed) {
    config = changed;
    return this;
  }

  RunFolder steps(int count) {
    for (int step = 1; step <= count; step++) {
      log.append(
              String.format(
                  Locale.ROOT,
                  "{\"kind\":\"step\",\"seconds\":%d,\"step\":{\"step\":%d,\"steps\":%d,\"loss\":%s,"
                      + "\"losses\":{\"itc\":%s,\"itm\":%s},\"learningRate\":1e-4,\"gradientNorm\":%s,"
                      + "\"temperature\":%s,\"hardNegatives\":{},\"pairsPerSecond\":100,"
                      + "\"seconds\":{\"data\":%s,\"backward\":0.1},\"dictionary\":{\"codewords\":%d,"
                      + "\"live\":60,\"perplexity\":%s,\"restarts\":%s},\"skippedSamples\":0}}",
                  step,
                  step,
                  count,
                  json(itc.applyAsDouble(step) + itm.applyAsDouble(step)),
                  json(itc.applyAsDouble(step)),
                  json(itm.applyAsDouble(step)),
                  json(gradient.applyAsDouble(step)),
                  json(temperature.applyAsDouble(step)),
                  json(data.applyAsDouble(step)),
                  CODEWORDS,
                  json(perplexity.applyAsDouble(step)),
                  json(restarts.applyAsDouble(step))))
          .append('\n');
    }
    return this;
  }

  /** How the codewords are used, in millionths of the patch tokens. */
  RunFolder codewordUse(int step, int... perMillion) {
    log.append(
            String.format(
                Locale.ROOT,
                "{\"kind\":\"codeword_use\",\"seconds\":%d,\"codeword_use\":{\"step\":%d,"
                    + "\"perMillion\":%s}}",
                step,
                step,
                Arrays.toString(perMillion)))
        .append('\n');
    return this;
  }

  /** As Jackson writes them: what JSON has no number for is a text. */
  private static String json(double value) {
    return Double.isFinite(value) ? Double.toString(value) : '"' + Double.toString(value) + '"';
  }

  /** An evaluation with one type of difference. */
  RunFolder evaluation(int step, String type, int pairs, double itc, double itm) {
    log.append(
            String.format(
                Locale.ROOT,
                "{\"kind\":\"evaluation\",\"seconds\":%d,\"evaluation\":{\"step\":%d,"
                    + "\"stepSeconds\":1.5,\"report\":{\"itc\":%s,\"itm\":%s}}}",
                step,
                step,
                scores(type, pairs, itc),
                scores(type, pairs, itm)))
        .append('\n');
    return this;
  }

  private static String scores(String type, int pairs, double share) {
    String all =
        String.format(
            Locale.ROOT,
            "{\"pairs\":%d,\"captionChoice\":%s,\"imageChoice\":%s,\"text\":%s,\"image\":%s,"
                + "\"group\":%s}",
            pairs,
            share,
            share,
            share,
            share,
            share);
    String name = type.replace("\\", "\\\\").replace("\"", "\\\"");
    return "{\"byAttribute\":{\""
        + name
        + "\":"
        + all
        + "},\"all\":"
        + all
        + ",\"macro\":"
        + all
        + "}";
  }

  RunFolder line(String text) {
    log.append(text);
    return this;
  }

  RunFolder file(String name, String text) throws IOException {
    Files.writeString(path.resolve(name), text);
    return this;
  }

  RunRecord read() throws IOException {
    Files.writeString(path.resolve("log.jsonl"), log);
    Path checkpoint = Files.createDirectories(path.resolve("checkpoints/step-00000001"));
    Files.writeString(checkpoint.resolve("config.json"), config.toJson());
    return RunRecord.read(path);
  }
}
