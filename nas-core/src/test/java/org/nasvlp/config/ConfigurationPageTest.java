package org.nasvlp.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringWriter;
import java.lang.reflect.RecordComponent;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** docs/configuration.md says what the configuration is. */
class ConfigurationPageTest {
  private static final Path PAGE = Path.of("../docs/configuration.md");
  private static final Path SOURCES = Path.of("src/main/java/org/nasvlp/config");

  /** What stands above it is written by hand. */
  private static final String MARK = "<!-- The rest of this page is generated. -->\n";

  private static final String WRITE = "nas.docs";

  @TempDir private Path folder;

  @Test
  void theTablesAreTheRecords() throws IOException {
    String page = Files.readString(PAGE);
    int mark = page.indexOf(MARK);
    assertThat(mark).as("%s has the line %s", PAGE, MARK.strip()).isPositive();
    String fresh = page.substring(0, mark) + MARK + new ConfigurationPage(SOURCES).markdown();
    if ("write".equals(System.getProperty(WRITE))) {
      Files.writeString(PAGE, fresh);
      return;
    }
    assertThat(page)
        .withFailMessage(
            () ->
                "docs/configuration.md is not what the sources say%n%s%nWrite it anew with: mvn -pl"
                        .formatted(firstDifference(page, fresh))
                    + " nas-core -am test -Dtest=ConfigurationPageTest"
                    + " -Dsurefire.failIfNoSpecifiedTests=false -Dnas.docs=write")
        .isEqualTo(fresh);
  }

  private static String firstDifference(String page, String fresh) {
    List<String> had = page.lines().toList();
    List<String> wanted = fresh.lines().toList();
    int line = 0;
    while (line < Math.min(had.size(), wanted.size()) && had.get(line).equals(wanted.get(line))) {
      line++;
    }
    return "from line %d on; the page has%n  %s%nthe sources%n  %s"
        .formatted(
            line + 1,
            line < had.size() ? had.get(line) : "no more lines",
            line < wanted.size() ? wanted.get(line) : "no more lines");
  }

  @Test
  void valuesAscribedToPapersAreTheBasePresets() throws IOException {
    NasConfig base = NasConfig.preset("base");
    Map<String, Double> ascribed = new ConfigurationPage(SOURCES).ascribed();
    assertThat(ascribed).hasSizeGreaterThan(20);
    Set<String> met = new HashSet<>();
    for (RecordComponent section : NasConfig.class.getRecordComponents()) {
      for (RecordComponent field : section.getType().getRecordComponents()) {
        String name = section.getType().getSimpleName() + "." + field.getName();
        if (ascribed.containsKey(name)) {
          met.add(name);
          assertThat(((Number) ConfigurationPage.value(base, section, field)).doubleValue())
              .as(name)
              .isEqualTo(ascribed.get(name));
        }
      }
    }
    assertThat(met).isEqualTo(ascribed.keySet());
  }

  @Test
  void theExamplesLoadAndAreTheSame() throws Exception {
    NasConfig yaml =
        NasConfig.load(Files.writeString(folder.resolve("config.yaml"), block("yaml")));
    assertThat(yaml.training().seed()).isEqualTo(7);
    String source =
        "import org.nasvlp.config.NasConfig;%npublic class Example { public static NasConfig make() {%n%s%nreturn config; } }"
            .formatted(block("java"));
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter messages = new StringWriter();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      Path file = Files.writeString(folder.resolve("Example.java"), source);
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
      assertThat(compiled).as("%s", messages).isTrue();
    }
    try (URLClassLoader loader = new URLClassLoader(new URL[] {folder.toUri().toURL()})) {
      assertThat(loader.loadClass("Example").getMethod("make").invoke(null)).isEqualTo(yaml);
    }
  }

  private static String block(String language) throws IOException {
    Matcher block =
        Pattern.compile("```" + language + "\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(PAGE));
    assertThat(block.find()).as("%s has a block of %s", PAGE, language).isTrue();
    return block.group(1);
  }
}
