package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.config.NasConfig;
import picocli.CommandLine;

class ReadmeTest {
  @TempDir private Path folder;

  private static String block(String language) throws IOException {
    String readme = Files.readString(TestShell.home().resolve("README.md"));
    Matcher matcher =
        Pattern.compile("```" + language + "\\n(.*?)```", Pattern.DOTALL).matcher(readme);
    assertThat(matcher.find()).as("a %s block", language).isTrue();
    return matcher.group(1);
  }

  @Test
  void theJavaExampleCompiles() throws IOException {
    assertThat(compile(block("java"))).isEmpty();
    assertThat(compile(block("java").replace("NasTrainer.builder", "NasTrainer.bilder")))
        .contains("cannot find symbol");
  }

  private String compile(String source) throws IOException {
    Path file = Files.writeString(folder.resolve("Example.java"), source);
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter messages = new StringWriter();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      boolean compiled =
          compiler
              .getTask(
                  messages,
                  files,
                  null,
                  List.of("-d", folder.toString(), "-cp", System.getProperty("java.class.path")),
                  null,
                  files.getJavaFileObjects(file))
              .call();
      assertThat(compiled).isEqualTo(messages.toString().isEmpty());
    }
    return messages.toString();
  }

  @Test
  void theConfigurationExampleLoads() throws IOException {
    Path file = Files.writeString(folder.resolve("config.yaml"), block("yaml"));
    NasConfig config = NasConfig.load(file);
    assertThat(config.model().imageSize()).isEqualTo(96);
    assertThat(config.training().steps()).isEqualTo(20_000);
    assertThat(config.model().width()).isEqualTo(NasConfig.preset("tiny").model().width());
  }

  @Test
  void everyOptionItNamesExists() throws IOException {
    String readme = Files.readString(TestShell.home().resolve("README.md"));
    TestShell shell = new TestShell();
    List<String> lines = readme.lines().filter(line -> line.startsWith("./nas ")).toList();
    assertThat(lines).hasSizeGreaterThanOrEqualTo(4);
    for (String line : lines) {
      String[] command =
          Stream.concat(
                  Arrays.stream(line.split(" +")).skip(1).takeWhile(word -> word.matches("[a-z]+")),
                  Stream.of("--help"))
              .toArray(String[]::new);
      assertThat(shell.run(command)).as(line).isEqualTo(CommandLine.ExitCode.OK);
      Matcher options = Pattern.compile("--\\w+").matcher(line);
      while (options.find()) {
        assertThat(shell.out()).as(line).contains(options.group());
      }
    }
  }
}
