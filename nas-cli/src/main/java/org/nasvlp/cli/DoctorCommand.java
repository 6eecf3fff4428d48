package org.nasvlp.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.nasvlp.report.Diagnosis;
import org.nasvlp.report.Finding;
import org.nasvlp.report.RunRecord;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.json.JsonMapper;

/** {@code nas doctor}. */
@Command(
    name = "doctor",
    description = {
      "Says what usually goes wrong in a training, and whether it does in this one: the figure, the"
          + " threshold and what to do.",
      "It reads the run's log and settings alone. A training that still runs may be looked at too."
    })
final class DoctorCommand implements Callable<Integer> {
  private final Shell shell;

  @Parameters(paramLabel = "RUN", description = "Folder that a training had as --out.")
  private Path folder;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  DoctorCommand(Shell shell) {
    this.shell = shell;
  }

  @Override
  public Integer call() throws IOException {
    List<Finding> findings = Diagnosis.of(RunRecord.read(folder));
    if (json) {
      shell
          .out()
          .println(
              JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(findings));
    } else {
      findings.forEach(finding -> print(shell.out(), finding));
    }
    shell.out().flush();
    return 0;
  }

  private static void print(PrintStream out, Finding finding) {
    out.println(
        String.format(
            Locale.ROOT,
            "%-10s %s: %s",
            finding.level().label(),
            finding.subject(),
            finding.figure()));
    if (finding.level() != Finding.Level.FINE) {
      out.println(" ".repeat(11) + "threshold: " + finding.threshold());
    }
    if (!finding.remedy().isEmpty()) {
      out.println(" ".repeat(11) + finding.remedy());
    }
  }
}
