import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.Batch;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.NvaTrace;
import org.nasvlp.negatives.TextEditor;
import org.nasvlp.train.NasTrainer;
import org.nasvlp.train.TrainingListener;
import tools.jackson.databind.json.JsonMapper;

/**
 * Trains on the emoji and writes down hard negative images, for the figure in the README: scores,
 * swapped tokens, the word that was to change, and the match probabilities before and after.
 *
 * <p>Usage: {@code java -cp nas-cli/target/nas.jar tools/FigureRun.java CONFIG OUT}, from the
 * repository's root. The configuration must not crop, so that tokens lie where the picture shows
 * them. OUT/traces.jsonl then holds a line a trace; {@code tools/make-figure} draws one of them.
 */
final class FigureRun {
  private FigureRun() {}

  public static void main(String[] arguments) throws Exception {
    NasConfig config = NasConfig.load(Path.of(arguments[0]));
    if (config.data().minCropScale() != 1 || config.data().flip()) {
      throw new IllegalArgumentException("data.minCropScale must be 1 and data.flip false");
    }
    Path out = Path.of(arguments[1]);
    Path traces = out.resolve("traces.jsonl");
    Path emoji = Path.of("data/noto-emoji");
    try (ImageTextDataset pairs =
            ImageTextDataset.open(emoji.resolve("train.tar"), config.data().background());
        CaptionTokenizer tokenizer =
            CaptionTokenizer.load(emoji.resolve("tokenizer.json"), config.model().textTokens())) {
      NegativeTextAugmentation edits =
          NegativeTextAugmentation.prepare(
              pairs,
              tokenizer,
              TextEditor.factory("en", config.nta().exactLabels()),
              config.nta(),
              List.of(out.resolve("captions")),
              config.training().seed());
      Map<String, Long> samples = new HashMap<>();
      for (long i = 0; i < pairs.size(); i++) {
        samples.put(pairs.get(i).key(), i);
      }
      JsonMapper json = JsonMapper.builder().build();
      TrainingListener writer =
          new TrainingListener() {
            @Override
            public void onNvaTrace(long step, NvaTrace trace) {
              CaptionEdit edit =
                  edit(edits, tokenizer, pairs, samples.get(trace.key()), step, trace);
              Map<String, Object> line =
                  Map.of(
                      "step", step,
                      "steps", config.training().steps(),
                      "trace", trace,
                      "edit", edit);
              try {
                Files.writeString(
                    traces,
                    json.writeValueAsString(line) + "\n",
                    StandardOpenOption.CREATE,
                    StandardOpenOption.APPEND);
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            }
          };
      NasTrainer.builder()
          .config(config)
          .dataset(pairs)
          .tokenizer(tokenizer)
          .output(out)
          .threads(1)
          .traceEvery(2)
          .listener(writer)
          .build()
          .run();
    }
  }

  /** A draw depends on the seed, the step and the sample alone: this is the trainer's again. */
  private static CaptionEdit edit(
      NegativeTextAugmentation edits,
      CaptionTokenizer tokenizer,
      ImageTextDataset pairs,
      long sample,
      long stepsDone,
      NvaTrace trace) {
    try {
      Batch row =
          new Batch(
              stepsDone - 1,
              new String[] {trace.key()},
              new long[] {sample},
              new long[] {pairs.caption(sample).imageId()},
              new String[] {trace.caption()},
              new float[0],
              tokenizer.encode(List.of(trace.caption())));
      return edits.draw(row).edits()[0];
    } catch (BadSampleException e) {
      throw new IllegalStateException(e);
    }
  }
}
