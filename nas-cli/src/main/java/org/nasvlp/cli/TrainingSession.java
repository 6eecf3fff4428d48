package org.nasvlp.cli;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.distributed.Cluster;
import org.nasvlp.libtorch.LibTorch;
import org.nasvlp.model.PretrainedWeights;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.report.Learned;
import org.nasvlp.report.ReportPage;
import org.nasvlp.report.RunRecord;
import org.nasvlp.train.TrainingListener;
import org.nasvlp.train.TrainingResult;
import org.nasvlp.train.TrainingStart;

/**
 * One training from opening the data to the final report: what {@code demo} and {@code train}
 * share.
 *
 * @param command name of the command, for the report
 * @param benchmarks published ones that are evaluated on the way and at the end
 * @param initialWeights what a fresh run starts from
 * @param threads threads of LibTorch and the kernels
 * @param pacesThreads whether it may use fewer where that is as fast ({@link ThreadPacer})
 * @param json where the report goes as JSON; null for nowhere
 * @param reported whether the run's folder gets a page on it
 * @param tensorBoard whether event files for TensorBoard are written
 * @param mlflow where the run is logged besides; null for nowhere
 * @param profiled whether the report shows where the time of a step goes
 * @param needsOnly whether it only tells what memory and disk the run takes
 * @param ignoreMemory whether it begins although the memory will not do
 * @param cluster the processes that train together; rank 0 alone tells of it
 * @param resumeHint the command line that continues the run
 * @param tuning what a fine-tuning measures; null for any other training
 */
record TrainingSession(
    Shell shell,
    String command,
    NasConfig config,
    DataFiles files,
    ReadingOptions reading,
    List<TrainingJob.NamedBenchmark> benchmarks,
    PretrainedWeights initialWeights,
    OutputFolder output,
    boolean resume,
    int threads,
    boolean pacesThreads,
    @Nullable Path json,
    boolean reported,
    boolean tensorBoard,
    MlflowListener.@Nullable Target mlflow,
    boolean profiled,
    boolean needsOnly,
    boolean ignoreMemory,
    Cluster cluster,
    String resumeHint,
    @Nullable FineTuning tuning) {

  /** Hard negative images for TensorBoard at most. */
  private static final int BOARD_PICTURES = 8;

  /** Trains and tells; returns the exit status. */
  int run() throws IOException {
    if (json != null) {
      OutputFolder.checkWritable(json, "--json");
    }
    int background = config.data().background();
    try (ImageTextDataset train = ImageTextDataset.open(files.train(), reading.over(background));
        CaptionTokenizer tokenizer =
            CaptionTokenizer.load(files.tokenizer(), config.model().textTokens())) {
      TrainingJob job =
          new TrainingJob(
              config,
              train,
              tokenizer,
              files.benchmark(background),
              benchmarks,
              initialWeights,
              files.captionEdits(),
              output.path(),
              resume,
              threads,
              cluster,
              profiled,
              tuning);
      RunNeeds needs =
          RunNeeds.of(
              config,
              tokenizer.vocabularySize(),
              benchmarks.size(),
              job.benchmark() != null,
              cluster.size());
      if (needsOnly) {
        if (cluster.rank() == 0) {
          tell(needs);
        }
        return 0;
      }
      check(needs);
      return cluster.rank() > 0
          ? trainQuietly(job)
          : train(job, resume ? "" : needs.diskLine(output.path()));
    }
  }

  private void tell(RunNeeds needs) throws IOException {
    if (!onCpu()) {
      throw new CommandFailure(
          "--memory tells what a run on the CPU takes: add --device cpu, or leave out --memory");
    }
    shell.out().print(needs.text(heap(), memory(), output.freeBytes()));
    int ranks = ClusterOptions.ranksHere(shell.environment());
    if (ranks > 1) {
      shell.out().println("all of that for each of " + ranks + " ranks, beside its part of memory");
    }
    shell.out().flush();
  }

  /** Says so where memory or disk will hardly do, and refuses a run that the memory cannot hold. */
  private void check(RunNeeds needs) throws IOException {
    if (onCpu()) {
      long memory = memory();
      String message = needs.memoryWarning(heap(), memory);
      if (!ignoreMemory && needs.isBeyond(heap(), memory)) {
        throw new CommandFailure(message + "; --ignore-memory begins all the same");
      }
      warn(message);
    }
    if (!resume && cluster.rank() == 0) {
      warn(needs.diskWarning(output.freeBytes()));
    }
  }

  private static long heap() {
    return Runtime.getRuntime().maxMemory();
  }

  /** What this process may take of the machine's or the container's. */
  private long memory() {
    return ProcessMemory.availableBytes() / ClusterOptions.ranksHere(shell.environment());
  }

  private boolean onCpu() {
    return config.training().device().equals("cpu");
  }

  private void warn(String message) {
    if (!message.isEmpty()) {
      shell.err().println("warning: " + message);
    }
  }

  /** What other ranks than 0 do: the same training, without a word unless something is wrong. */
  private int trainQuietly(TrainingJob job) {
    TrainingListener warnings =
        new TrainingListener() {
          @Override
          public void onWarning(String message) {
            warn(message);
          }
        };
    TrainingJob.Run run = shell.trainings().create(job, List.of(warnings));
    try (Interruption.Guard guard = shell.interruption().during("", run::stop)) {
      return run.run().stopped() ? Nas.INTERRUPTED : 0;
    }
  }

  private int train(TrainingJob job, String note) throws IOException {
    try (TensorBoardListener board = tensorBoard ? new TensorBoardListener(output.board()) : null) {
      return train(job, note, board);
    }
  }

  private int train(TrainingJob job, String note, @Nullable TensorBoardListener board)
      throws IOException {
    TrainingResult result;
    TrainingStart start;
    NegativeTextAugmentation.@Nullable Preparation edits;
    StepProfile profile;
    try (TrainingDisplay display =
            new TrainingDisplay(shell.err(), shell.columns(), System::nanoTime);
        MlflowListener tracked = mlflow == null ? null : tracked(mlflow, display)) {
      display.noteAtStart(note);
      if (tuning != null) {
        tuning.tell(display::tell);
      }
      List<TrainingListener> listeners = new ArrayList<>(List.of(display));
      if (board != null) {
        listeners.add(board);
      }
      if (tracked != null) {
        listeners.add(tracked);
      }
      if (pacesThreads && onCpu()) {
        listeners.add(new ThreadPacer(threads, LibTorch::setThreads, display::tell));
      }
      TrainingJob.Run run = shell.trainings().create(job, listeners);
      try (Interruption.Guard guard = shell.interruption().during(run::stop)) {
        result = run.run();
      }
      start = display.start();
      edits = display.edits();
      profile = display.profile();
    }
    if (tuning != null && tuning.broken() != null) {
      shell.out().println(tuning.broken());
      shell
          .out()
          .print(tuning.table(output, result.checkpoint(), config.training().evaluateAverage()));
      return 0;
    }
    if (result.stopped()) {
      shell
          .err()
          .println(
              String.format(
                  Locale.ROOT,
                  "stopped after step %d of %d%nCheckpoint  %s%nContinue    %s",
                  result.step(),
                  result.steps(),
                  result.checkpoint(),
                  resumeHint));
      return Nas.INTERRUPTED;
    }
    RunReport report =
        new RunReport(
            command,
            config,
            start,
            result,
            edits,
            profile.means(),
            secondsSinceJvmStart(),
            ProcessMemory.peakMebibytes(),
            output.log());
    shell.out().print(report.text());
    if (tuning != null) {
      shell
          .out()
          .print(
              "\n"
                  + tuning.table(output, result.checkpoint(), config.training().evaluateAverage()));
    }
    if (profiled) {
      shell.out().print("\n" + profile.table());
    }
    if (json != null) {
      Files.writeString(json, report.json());
    }
    if (reported) {
      writePage(report.json(), result, job, board);
    }
    shell.out().println("Next        " + next(job));
    shell.out().flush();
    return 0;
  }

  private MlflowListener tracked(MlflowListener.Target to, TrainingDisplay display) {
    Path folder = output.path().toAbsolutePath().normalize().getFileName();
    return new MlflowListener(
        to,
        folder == null ? command : folder.toString(),
        config,
        display::onWarning,
        MlflowListener.Patience.USUAL);
  }

  /** What to try with the model: a search, among pictures that it has not seen if there are any. */
  private String next(TrainingJob job) {
    Path pictures = reading.images() != null ? reading.images() : files.train();
    if (files.test() != null) {
      pictures = files.test();
    }
    try {
      // A table whose columns have to be named is no data set to the search.
      if (files.test() != null || reading.images() != null || !reading.describesAList()) {
        return shell.command(
            "search",
            job.dataset().caption(0).caption(),
            "--images",
            pictures.toString(),
            "--checkpoint",
            output.path().toString());
      }
    } catch (BadSampleException e) {
      // Without a caption to ask by, the model can still be kept.
    }
    String file = output.path().resolve("model.safetensors").toString();
    return shell.command("export", "--checkpoint", output.path().toString(), "--out", file);
  }

  /** The training has succeeded, whatever becomes of its page. */
  private void writePage(
      String summary, TrainingResult result, TrainingJob job, @Nullable TensorBoardListener board) {
    Path page = output.page();
    try {
      Files.writeString(output.summary(), summary);
      RunRecord run = RunRecord.read(output.path());
      Learned learned = learned(result.checkpoint(), job);
      if (learned == null) {
        ReportPage.write(List.of(run), page);
      } else {
        ReportPage.write(run, learned, page);
        if (board != null) {
          board.pictures(result.step(), "hard_negative_image", learned.swaps(BOARD_PICTURES));
        }
      }
    } catch (IOException e) {
      warn("no report was written: " + Failures.describe(e));
      return;
    }
    shell.out().println("Report      " + page.toAbsolutePath().toUri());
  }

  /** What the model does with pictures; null where it cannot be asked. */
  private @Nullable Learned learned(Path checkpoint, TrainingJob job) {
    shell.err().println("looking at pictures for the report ...");
    try {
      return Learning.of(
          List.of(output.captionEdits(), job.captionEdits()),
          checkpoint,
          config.training().device(),
          job.benchmark(),
          job.dataset());
    } catch (IOException | RuntimeException e) {
      warn("the report has no pictures: " + Failures.describe(e));
      return null;
    }
  }

  private static double secondsSinceJvmStart() {
    return ManagementFactory.getRuntimeMXBean().getUptime() * 1e-3;
  }
}
