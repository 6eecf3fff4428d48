package org.nasvlp.cli;

import com.google.protobuf.ByteString;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.train.Evaluation;
import org.nasvlp.train.StepReport;
import org.nasvlp.train.TrainingListener;
import org.nasvlp.train.TrainingStart;
import org.tensorflow.framework.HistogramProto;
import org.tensorflow.framework.Summary;
import org.tensorflow.util.Event;
import org.tensorflow.util.SessionLog;

/**
 * Writes a run's curves, the use of its codewords and some of its hard negative images as
 * TensorBoard reads them: a file of events each time the run is started. An event is on its way to
 * the disk before other listeners are told. The first of a file says from which step on TensorBoard
 * is to forget what older files hold, since a resumed run does the steps after its checkpoint
 * again.
 */
final class TensorBoardListener implements TrainingListener, AutoCloseable {
  private static final int BINS = 30;

  /** Channels, by which the format names red, green and blue. */
  private static final int RGB = 3;

  private final Path folder;
  private @Nullable OutputStream file;

  /**
   * @param folder for the files; made when the run begins
   */
  TensorBoardListener(Path folder) {
    this.folder = folder;
  }

  @Override
  public void onStart(TrainingStart start) {
    try {
      Files.createDirectories(folder);
      close();
      file = create();
    } catch (IOException e) {
      throw failure(e);
    }
    append(event(0).setFileVersion("brain.Event:2"));
    SessionLog.Builder begin = SessionLog.newBuilder().setStatus(SessionLog.SessionStatus.START);
    append(event(start.firstStep() + 1).setSessionLog(begin));
  }

  /** TensorBoard reads the files in the order of their names: the time comes first. */
  private OutputStream create() throws IOException {
    long seconds = System.currentTimeMillis() / 1000;
    for (int number = 0; ; number++) {
      String name =
          String.format(
              Locale.ROOT,
              "events.out.tfevents.%010d.nas.%d.%03d",
              seconds,
              ProcessHandle.current().pid(),
              number);
      try {
        return Files.newOutputStream(
            folder.resolve(name), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
      } catch (FileAlreadyExistsException e) {
        // Begun twice in a second: the next number is free.
      }
    }
  }

  @Override
  public void onStep(StepReport report) {
    if (!report.logged()) {
      return;
    }
    append(event(report.step()).setSummary(summary(RunScalars.of(report))));
  }

  @Override
  public void onEvaluated(long step, Evaluation evaluation) {
    append(event(step).setSummary(summary(RunScalars.of(evaluation))));
  }

  /** How many times as often as the mean the codewords are used. */
  @Override
  public void onCodewordUse(long step, double[] shares) {
    double[] values = Arrays.stream(shares).map(share -> share * shares.length).toArray();
    append(
        event(step)
            .setSummary(
                Summary.newBuilder()
                    .addValue(
                        Summary.Value.newBuilder()
                            .setTag("dictionary/use")
                            .setHisto(histogram(values)))));
  }

  /** Values from 0 on in {@link #BINS} bins of one width. */
  private static HistogramProto.Builder histogram(double[] values) {
    DoubleSummaryStatistics all = Arrays.stream(values).summaryStatistics();
    double width = all.getMax() > 0 ? all.getMax() / BINS : 1;
    double[] counts = new double[BINS];
    for (double value : values) {
      counts[Math.min(BINS - 1, (int) (value / width))]++;
    }
    HistogramProto.Builder histogram =
        HistogramProto.newBuilder()
            .setMin(all.getMin())
            .setMax(all.getMax())
            .setNum((double) all.getCount())
            .setSum(all.getSum())
            .setSumSquares(Arrays.stream(values).map(value -> value * value).sum());
    for (int i = 0; i < BINS; i++) {
      histogram.addBucketLimit((i + 1) * width).addBucket(counts[i]);
    }
    return histogram;
  }

  /**
   * Shows pictures.
   *
   * @param step steps done
   * @param tag which they have, with their number behind it
   */
  void pictures(long step, String tag, List<RgbImage> pictures) {
    Summary.Builder summary = Summary.newBuilder();
    for (int i = 0; i < pictures.size(); i++) {
      RgbImage picture = pictures.get(i);
      summary.addValue(
          Summary.Value.newBuilder()
              .setTag(tag + "/" + i)
              .setImage(
                  Summary.Image.newBuilder()
                      .setHeight(picture.height())
                      .setWidth(picture.width())
                      .setColorspace(RGB)
                      .setEncodedImageString(ByteString.copyFrom(picture.png()))));
    }
    append(event(step).setSummary(summary));
  }

  private static Summary.Builder summary(Map<String, Double> scalars) {
    Summary.Builder values = Summary.newBuilder();
    scalars.forEach((tag, value) -> add(values, tag, value));
    return values;
  }

  private static void add(Summary.Builder values, String tag, double value) {
    values.addValue(Summary.Value.newBuilder().setTag(tag).setSimpleValue((float) value));
  }

  private static Event.Builder event(long step) {
    return Event.newBuilder().setWallTime(System.currentTimeMillis() / 1e3).setStep(step);
  }

  /** A record: length, its checksum, the message, its checksum; all little-endian. */
  private void append(Event.Builder event) {
    if (file == null) {
      throw new IllegalStateException("the run has not begun");
    }
    byte[] message = event.build().toByteArray();
    ByteBuffer record =
        ByteBuffer.allocate(Long.BYTES + message.length + 2 * Integer.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    record.putLong(message.length);
    record.putInt(maskedChecksum(record.array(), Long.BYTES));
    record.put(message).putInt(maskedChecksum(message, message.length));
    try {
      file.write(record.array());
    } catch (IOException e) {
      throw failure(e);
    }
  }

  /** TFRecord's: a CRC of data that hold CRCs is weak, so they are turned and shifted. */
  private static int maskedChecksum(byte[] bytes, int length) {
    CRC32C checksum = new CRC32C();
    checksum.update(bytes, 0, length);
    return Integer.rotateRight((int) checksum.getValue(), 15) + 0xa282ead8;
  }

  private UncheckedIOException failure(IOException e) {
    return new UncheckedIOException(
        new IOException(
            ("%s: the curves for TensorBoard cannot be written: %s; make room there, or resume the"
                    + " run without --tensorboard")
                .formatted(folder, Failures.describe(e)),
            e));
  }

  @Override
  public void close() {
    if (file != null) {
      try {
        file.close();
      } catch (IOException e) {
        throw failure(e);
      } finally {
        file = null;
      }
    }
  }
}
