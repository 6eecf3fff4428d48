package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.eval.FineGrainedBenchmark;
import org.nasvlp.report.Learned;
import org.nasvlp.report.ReportPage;
import org.nasvlp.report.RunRecord;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code nas report}. */
@Command(
    name = "report",
    description = {
      "Writes what a training did as one HTML page that opens from its file: curves, tables,"
          + " settings, and what is wrong; or several trainings beside each other.",
      "With --data the model of one training looks at pictures, and the page shows what it"
          + " confuses, hard negatives, and what its codewords stand for.",
      "A training that still runs may be looked at too."
    })
final class ReportCommand implements Callable<Integer> {
  private final Shell shell;

  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "RUN",
      arity = "1..*",
      description = "Folder that a training had as --out; up to " + ReportPage.MOST_RUNS + ".")
  private List<Path> folders;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      description =
          "The page (default: report.html in the run's folder; of several runs, in the first one's:"
              + " compared.html).")
  private @Nullable Path out;

  @Option(
      names = "--data",
      paramLabel = "PATH",
      description =
          "The training's pairs, as nas train takes them, to look at pictures: a prepared folder"
              + " with test.tar and pairs.json, or training pairs alone.")
  private @Nullable Path data;

  @Option(
      names = "--test",
      paramLabel = "PATH",
      description = "Test pairs, where they are not in the folder; needs --pairs and --data.")
  private @Nullable Path test;

  @Option(
      names = "--pairs",
      paramLabel = "FILE",
      description = "JSON list of the test pairs to compare; needs --test.")
  private @Nullable Path pairs;

  @Mixin private ReadingOptions reading;
  @Mixin private DeviceOption device;

  ReportCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    if (folders.size() > ReportPage.MOST_RUNS) {
      throw new ParameterException(
          spec.commandLine(),
          folders.size() + " runs are too many for a page: give up to " + ReportPage.MOST_RUNS);
    }
    if (data != null && folders.size() > 1) {
      throw new ParameterException(
          spec.commandLine(), "--data is for one run: leave out the others, or --data");
    }
    if (data == null && (test != null || pairs != null)) {
      throw new ParameterException(spec.commandLine(), "--test and --pairs need --data");
    }
    List<RunRecord> runs = new ArrayList<>();
    for (Path folder : folders) {
      runs.add(RunRecord.read(folder));
    }
    Path page = out;
    if (page == null) {
      page = folders.getFirst().resolve(runs.size() == 1 ? "report.html" : "compared.html");
    }
    OutputFolder.checkWritable(page, "--out");
    if (data == null) {
      ReportPage.write(runs, page);
    } else {
      ReportPage.write(runs.getFirst(), learned(folders.getFirst(), data), page);
    }
    shell.out().println("Report      " + page.toAbsolutePath().toUri());
    return 0;
  }

  private Learned learned(Path run, Path folder) throws IOException {
    OutputFolder output = new OutputFolder(run);
    if (!output.hasCheckpoint()) {
      throw new CommandFailure(
          run + ": has no checkpoint yet, whose model could look at pictures; leave out --data");
    }
    DataFiles files = DataFiles.pictures(folder, test, pairs);
    int background = output.savedConfig().data().background();
    FineGrainedBenchmark benchmark = files.benchmark(background);
    try (ImageTextDataset train = ImageTextDataset.open(files.train(), reading.over(background))) {
      return Learning.of(
          List.of(output.captionEdits(), files.captionEdits()),
          run,
          device.orCpu(),
          benchmark,
          train);
    }
  }
}
