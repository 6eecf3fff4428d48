package org.nasvlp.cli;

import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.UnmatchedArgumentException;

/** The {@code nas} command. */
@Command(
    name = "nas",
    description = "Pretrains vision-language models that see fine differences.",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    versionProvider = Version.class,
    exitCodeListHeading = "%nExit status:%n",
    exitCodeList = {
      "0:success",
      "1:failure, told in one line on stderr",
      "2:wrong usage",
      "130:interrupted by Ctrl-C; a training leaves a checkpoint"
    })
public final class Nas implements Runnable {
  static final int FAILURE = 1;
  static final int USAGE = 2;
  static final int INTERRUPTED = 130;

  @Spec private CommandSpec spec;

  @Option(
      names = "--verbose",
      description = "Show stack traces and debug logs.",
      scope = ScopeType.INHERIT)
  private boolean verbose;

  Nas() {}

  /** Runs the command and ends the JVM with its exit status. */
  public static void main(String[] args) {
    Shell shell = Shell.ofProcess();
    shell.interruption().install(shell.err());
    RankProcesses.endWithLauncher(shell);
    int status = execute(shell, args);
    shell.interruption().finished();
    // Blocks while the JVM is being shut down by a signal, whose exit status then counts.
    System.exit(status);
  }

  static int execute(Shell shell, String... args) {
    Nas nas = new Nas();
    CommandLine command = commandLine(nas, shell);
    command.setExecutionStrategy(
        parsed -> {
          if (nas.verbose) {
            System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "debug");
          }
          return new CommandLine.RunLast().execute(parsed);
        });
    command.setExecutionExceptionHandler(
        (failure, commandLine, parsed) -> nas.failure(failure, shell));
    try {
      return command.execute(args);
    } catch (Error e) {
      // What picocli hands on to nobody.
      return nas.failure(e, shell);
    }
  }

  /**
   * Reads a command without running it.
   *
   * @throws ParameterException if it is used wrongly
   */
  static void parse(Shell shell, String... args) {
    commandLine(new Nas(), shell).parseArgs(args);
  }

  private static CommandLine commandLine(Nas nas, Shell shell) {
    return new CommandLine(nas)
        .addSubcommand(new DemoCommand(shell))
        .addSubcommand(new TrainCommand(shell))
        .addSubcommand(new FinetuneCommand(shell))
        .addSubcommand(new LaunchCommand(shell))
        .addSubcommand(new ScoreCommand(shell))
        .addSubcommand(new SearchCommand(shell))
        .addSubcommand(new EvalCommand(shell))
        .addSubcommand(new AblateCommand(shell))
        .addSubcommand(new ReportCommand(shell))
        .addSubcommand(new DoctorCommand(shell))
        .addSubcommand(
            new CommandLine(new DataCommand())
                .addSubcommand(new EmojiCommand(shell))
                .addSubcommand(new ScenesCommand(shell))
                .addSubcommand(new CaptionsCommand(shell))
                .addSubcommand(new CheckCommand(shell))
                .addSubcommand(new ShardCommand(shell))
                .addSubcommand(new TokenizerCommand(shell)))
        .addSubcommand(new ExportCommand(shell))
        .addSubcommand(new EnvCommand(shell))
        .addSubcommand(new CompletionCommand(shell))
        .addSubcommand(new CommandLine.HelpCommand())
        .setOut(new PrintWriter(shell.out(), true, shell.out().charset()))
        .setErr(new PrintWriter(shell.err(), true, shell.err().charset()))
        .setUsageHelpAutoWidth(false)
        .setUsageHelpWidth(100)
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setParameterExceptionHandler(Nas::wrongUsage);
  }

  private int failure(Throwable failure, Shell shell) {
    shell.err().println("nas: " + Failures.describe(failure));
    if (verbose || Boolean.getBoolean("nas.debug")) {
      failure.printStackTrace(shell.err());
    }
    return shell.interruption().requested() ? INTERRUPTED : FAILURE;
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Missing command");
  }

  private static int wrongUsage(ParameterException failure, String[] args) {
    CommandLine command = failure.getCommandLine();
    PrintWriter err = command.getErr();
    String name = command.getCommandSpec().qualifiedName();
    err.println(name + ": " + failure.getMessage());
    UnmatchedArgumentException.printSuggestions(failure, err);
    if (command.getSubcommands().isEmpty()) {
      err.println("Try '" + name + " --help'.");
    } else {
      command.usage(err);
    }
    return USAGE;
  }
}
