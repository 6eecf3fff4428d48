package org.nasvlp.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.util.SerializableConfiguration;
import org.apache.spark.util.TaskCompletionListener;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionText;
import org.nasvlp.model.NasModel;

/**
 * Adds a model's answers to rows, batch by batch.
 *
 * @param image place of the image's column
 * @param caption place of the caption's column
 */
record Asking(
    Question question,
    String checkpoint,
    ScoreOptions options,
    int image,
    int caption,
    SerializableConfiguration configuration)
    implements MapPartitionsFunction<Row, Row> {
  /** Pixels of a batch's pictures, after which it is full: 96 MiB. */
  private static final long BATCH_PIXELS = 1L << 25;

  /** What the model is asked. */
  enum Question {
    /** Match probability and cosine: of rows with both image and caption. */
    SCORE {
      @Override
      void answer(NasModel model, List<Asked> batch) {
        List<Asked> whole =
            batch.stream().filter(row -> row.image != null && row.caption != null).toList();
        if (whole.isEmpty()) {
          return;
        }
        List<RgbImage> images = whole.stream().map(row -> row.image).toList();
        List<String> captions = whole.stream().map(row -> row.caption).toList();
        int[] each = new int[whole.size()];
        Arrays.setAll(each, i -> i);
        double[] logits = model.itmScorer().score(images, captions, each, each);
        double[] cosines = model.itcScorer().score(images, captions, each, each);
        for (int i = 0; i < each.length; i++) {
          whole.get(i).first = 1 / (1 + Math.exp(-logits[i]));
          whole.get(i).second = cosines[i];
        }
      }
    },
    /** An embedding of each image, and one of each caption. */
    EMBED {
      @Override
      void answer(NasModel model, List<Asked> batch) {
        List<Asked> seen = batch.stream().filter(row -> row.image != null).toList();
        if (!seen.isEmpty()) {
          float[][] images = model.encodeImage(seen.stream().map(row -> row.image).toList());
          for (int i = 0; i < images.length; i++) {
            seen.get(i).first = images[i];
          }
        }
        List<Asked> read = batch.stream().filter(row -> row.caption != null).toList();
        if (!read.isEmpty()) {
          float[][] captions = model.encodeText(read.stream().map(row -> row.caption).toList());
          for (int i = 0; i < captions.length; i++) {
            read.get(i).second = captions[i];
          }
        }
      }
    };

    abstract void answer(NasModel model, List<Asked> batch);
  }

  /** A row, and what comes of it. */
  static final class Asked {
    private final Row row;
    private @Nullable RgbImage image;
    private @Nullable String caption;
    private @Nullable String error;
    private @Nullable Object first;
    private @Nullable Object second;

    Asked(Row row) {
      this.row = row;
    }

    void fail(String reason) {
      error = error == null ? reason : error + "; " + reason;
    }

    Row answered() {
      Object[] values = new Object[row.size() + 3];
      for (int i = 0; i < row.size(); i++) {
        values[i] = row.get(i);
      }
      values[row.size()] = first;
      values[row.size() + 1] = second;
      values[row.size() + 2] = error;
      return RowFactory.create(values);
    }
  }

  @Override
  public Iterator<Row> call(Iterator<Row> rows) throws IOException {
    if (!rows.hasNext()) {
      return rows;
    }
    Models.Use use = Models.use(checkpoint, options.device(), configuration.value());
    // A task may end before its rows do, as under a limit.
    TaskContext.get()
        .addTaskCompletionListener((TaskCompletionListener) (TaskContext context) -> use.close());
    return new Iterator<>() {
      private Iterator<Row> answered = List.<Row>of().iterator();

      @Override
      public boolean hasNext() {
        return answered.hasNext() || rows.hasNext();
      }

      @Override
      public Row next() {
        if (!answered.hasNext()) {
          if (!rows.hasNext()) {
            throw new NoSuchElementException();
          }
          answered = batch(rows, use.model());
        }
        return answered.next();
      }
    };
  }

  private Iterator<Row> batch(Iterator<Row> rows, NasModel model) {
    List<Asked> batch = new ArrayList<>();
    long pixels = 0;
    while (rows.hasNext() && batch.size() < options.batch() && pixels < BATCH_PIXELS) {
      Asked asked = read(rows.next());
      if (asked.image != null) {
        pixels += (long) asked.image.width() * asked.image.height();
      }
      batch.add(asked);
    }
    question.answer(model, batch);
    return batch.stream().map(Asked::answered).iterator();
  }

  private Asked read(Row row) {
    Asked asked = new Asked(row);
    try {
      byte[] file = ImageFiles.bytes(row.get(image), configuration.value());
      asked.image = RgbImage.decode(file, "image", options.background());
    } catch (BadSampleException e) {
      asked.fail("image: " + e.reason());
    } catch (IOException e) {
      // It may pass: Spark tries again, and ends the job with this message if it does not.
      throw new UncheckedIOException(row.get(image) + " cannot be read: " + e.getMessage(), e);
    }
    try {
      if (row.isNullAt(caption)) {
        throw new BadSampleException("caption", "there is none");
      }
      asked.caption = CaptionText.clean(row.getString(caption), "caption");
    } catch (BadSampleException e) {
      asked.fail("caption: " + e.reason());
    }
    return asked;
  }
}
