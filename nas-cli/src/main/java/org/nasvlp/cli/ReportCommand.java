package org.nasvlp.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.nasvlp.report.ReportPage;
import org.nasvlp.report.RunRecord;
import picocli.CommandLine.Command;
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
    List<RunRecord> runs = new ArrayList<>();
    for (Path folder : folders) {
      runs.add(RunRecord.read(folder));
    }
    Path page = out;
    if (page == null) {
      page = folders.getFirst().resolve(runs.size() == 1 ? "report.html" : "compared.html");
    }
    OutputFolder.checkWritable(page, "--out");
    ReportPage.write(runs, page);
    shell.out().println("Report      " + page.toAbsolutePath().toUri());
    return 0;
  }
}
