package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Opens pages from their files in Chromium, where there is one. */
class BrowserTest {
  /** Counts what a person would see, after the page's own script, and tries its tools. */
  private static final String PROBE =
      """
      <script>
      addEventListener('load', () => setTimeout(() => {
        const ink = canvas => {
          const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          let count = 0;
          for (let i = 3; i < pixels.length; i += 4) if (pixels[i] > 0) count++;
          return count;
        };
        const charts = [...document.querySelectorAll('.chart')];
        const told = {charts: charts.length};
        told.blank = charts.filter(of => !of.querySelector('canvas') || ink(of.querySelector('canvas')) < 500).length;
        told.wide = document.documentElement.scrollWidth - innerWidth;
        told.width = innerWidth;
        const shown = () => document.getElementById('window').textContent;
        told.all = shown();
        document.getElementById('closer').click();
        told.closer = shown();
        const chart = charts[0];
        chart.focus();
        chart.dispatchEvent(new KeyboardEvent('keydown', {key: '0', bubbles: true, cancelable: true}));
        told.again = shown();
        chart.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true, cancelable: true}));
        told.legend = chart.querySelector('.u-legend').textContent;
        const score = document.getElementById('score');
        score.value = 'group';
        score.dispatchEvent(new Event('change'));
        told.redrawn = document.querySelectorAll('.chart canvas').length;
        const find = document.getElementById('find');
        if (find !== null) {
          const images = [...document.images];
          told.images = images.length;
          told.broken = images.filter(of => !of.complete || of.naturalWidth === 0).length;
          const cards = () => document.querySelectorAll('#codeword-list li');
          const search = text => {
            find.value = text;
            find.dispatchEvent(new Event('input'));
            return document.getElementById('found').textContent;
          };
          told.first = cards().length;
          document.getElementById('more').click();
          told.more = cards().length;
          told.blue = search('blu');
          told.blueCard = cards()[0].textContent;
          told.faded = document.querySelectorAll('#map .faded').length;
          told.none = search('cup');
          document.querySelector('#map circle[data-code="7"]').dispatchEvent(new Event('click'));
          told.seven = cards()[0].textContent;
          told.curve = cards()[0].querySelector('.use polyline').getAttribute('points');
          const drawn = cards()[0].querySelector('.use').getBoundingClientRect();
          told.curveShown = drawn.width > 50 && drawn.height > 10;
          const look = document.querySelector('.look');
          const heat = at => look.querySelectorAll('.heat rect')[at].getAttribute('fill-opacity');
          told.red = heat(5);
          look.querySelectorAll('input')[2].click();
          told.cup = heat(5) + ' ' + heat(0) + ' ' + look.querySelector('.told').textContent;
        }
        parent.postMessage(JSON.stringify(told), '*');
      }, 300));
      </script>
      </body>\
      """;

  /** Tells of a page without scripts of its own. */
  private static final String LOOK =
      """
      <script>
      addEventListener('load', () => setTimeout(() => {
        document.querySelectorAll('details').forEach(of => { of.open = true; });
        const images = [...document.images];
        parent.postMessage(JSON.stringify({
          wide: document.documentElement.scrollWidth - innerWidth,
          width: innerWidth,
          images: images.length,
          broken: images.filter(of => !of.complete || of.naturalWidth === 0).length,
          dots: [...document.querySelectorAll('.dot')].map(of => {
            const track = of.parentElement.getBoundingClientRect(), dot = of.getBoundingClientRect();
            return Math.round(100 * (dot.left + dot.width / 2 - track.left) / track.width);
          })
        }), '*');
      }, 300));
      </script>
      </body>\
      """;

  /** Holds the page in a frame: a window of Chromium's own is never narrower than 500 pixels. */
  private static final String FRAME =
      """
      <!DOCTYPE html>
      <title>frame</title>
      <iframe src="page.html" width="WIDTH" height="900" style="border: 0"></iframe>
      <output id="probe"></output>
      <script>
      addEventListener('message', event => document.querySelector('output').textContent = event.data);
      </script>
      """;

  @TempDir private Path folder;

  private static Optional<Path> browser() {
    List<String> names = List.of("chromium", "chromium-browser", "google-chrome", "chrome");
    return Arrays.stream(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator, -1))
        .flatMap(of -> names.stream().map(name -> Path.of(of, name)))
        .filter(Files::isExecutable)
        .findFirst();
  }

  private void comparison() throws IOException {
    List<RunRecord> runs = new ArrayList<>();
    for (String name : List.of("first", "second <img src=x onerror=alert(1)>")) {
      RunFolder run = new RunFolder(folder.resolve(name));
      run.itc = step -> 4 + Math.sin(step);
      runs.add(
          run.steps(3000)
              .evaluation(1000, "colour", 100, 0.7, 0.8)
              .evaluation(3000, ReportPageTest.NASTY.replace("\u0007", ""), 100, 0.8, 0.9)
              .read());
    }
    ReportPage.write(runs, folder.resolve("page.html"));
  }

  /** What the probe tells of {@code page.html} in a window so wide. */
  private JsonNode open(int width) throws Exception {
    return open(width, PROBE);
  }

  private JsonNode open(int width, String probe) throws Exception {
    Optional<Path> browser = browser();
    Assumptions.assumeTrue(browser.isPresent(), "no Chromium on the PATH");
    Path page = folder.resolve("page.html");
    String text = Files.readString(page).replace("</body>", probe);
    if (!text.contains("script-src")) {
      text = text.replace("style-src", "script-src 'unsafe-inline'; style-src"); // the probe's own
    }
    Files.writeString(page, text);
    Path dom = folder.resolve("dom");
    Path log = folder.resolve("log");
    Path frame = folder.resolve("frame.html");
    Files.writeString(frame, FRAME.replace("WIDTH", Integer.toString(width)));
    Process process =
        new ProcessBuilder(
                browser.orElseThrow().toString(),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--user-data-dir=" + folder.resolve("profile"),
                "--enable-logging=stderr",
                "--virtual-time-budget=5000",
                "--window-size=" + (width + 100) + ",1000",
                "--dump-dom",
                frame.toUri().toString())
            .redirectOutput(dom.toFile())
            .redirectError(log.toFile())
            .start();
    try {
      assertThat(process.waitFor(5, TimeUnit.MINUTES)).as("Chromium has ended").isTrue();
    } finally {
      process.destroyForcibly();
    }
    assertThat(Files.readAllLines(log, StandardCharsets.ISO_8859_1))
        .noneMatch(line -> line.contains("CONSOLE"));
    Matcher found =
        Pattern.compile("<output id=\"probe\">(.+?)</output>").matcher(Files.readString(dom));
    assertThat(found.find()).as("the page's scripts ran to their end").isTrue();
    JsonNode told = JsonMapper.shared().readTree(found.group(1).replace("&amp;", "&"));
    assertThat(told.path("width").intValue()).isEqualTo(width);
    assertThat(told.path("wide").intValue()).as("wider than the window").isNotPositive();
    return told;
  }

  @ParameterizedTest
  @ValueSource(ints = {390, 1440})
  void opensFromItsFile(int width) throws Exception {
    comparison();
    JsonNode told = open(width);
    assertThat(told.path("charts").intValue()).isGreaterThan(10);
    assertThat(told.path("blank").intValue()).isZero();
    assertThat(told.path("all").stringValue()).isEqualTo("steps 0 to 3,000");
    assertThat(told.path("closer").stringValue()).isEqualTo("steps 750 to 2,250");
    assertThat(told.path("again").stringValue()).isEqualTo("steps 0 to 3,000");
    assertThat(told.path("legend").stringValue()).contains("1,000", "80 %", "70 %");
    assertThat(told.path("redrawn")).isEqualTo(told.path("charts"));
  }

  /** Of 64 codewords 32 are of red pictures and 32 of blue ones. */
  @ParameterizedTest
  @ValueSource(ints = {390, 1440})
  void picturesAreShownAndCodewordsFound(int width) throws Exception {
    RunFolder run = new RunFolder(folder.resolve("run"));
    run.steps(100).evaluation(100, "colour", 100, 0.7, 0.8);
    int[] use = new int[64];
    for (int step = 1; step <= 4; step++) {
      use[7] = 10_000 * step * (4 - step);
      run.codewordUse(step, use);
    }
    ReportPage.write(run.read(), Samples.learned(64, "cup"), folder.resolve("page.html"));
    JsonNode told = open(width);
    assertThat(told.path("images").intValue()).isEqualTo(15 + 24);
    assertThat(told.path("broken").intValue()).isZero();
    assertThat(told.path("first").intValue()).isEqualTo(24);
    assertThat(told.path("more").intValue()).isEqualTo(48);
    assertThat(told.path("blue").stringValue()).isEqualTo("32 codewords, 24 shown");
    assertThat(told.path("blueCard").stringValue()).contains("blue ×1.7").doesNotContain("red");
    assertThat(told.path("faded").intValue()).isEqualTo(32);
    assertThat(told.path("none").stringValue()).isEqualTo("0 codewords");
    assertThat(told.path("seven").stringValue())
        .startsWith("codeword 7 ")
        .contains("use over the run: 4.0 % of the patch tokens at most, in the end 0.0 %");
    assertThat(told.path("curve").stringValue()).isEqualTo("0,25 1,0 2,25 3,100");
    assertThat(told.path("curveShown").booleanValue()).isTrue();
    assertThat(told.path("red").stringValue()).isEqualTo("1.00");
    assertThat(told.path("cup").stringValue())
        .isEqualTo("0 1 “cup” has 25 % of what speaks for it");
  }

  /** The dots of 20 of 20, 10, 14 and none stand where their values are. */
  @ParameterizedTest
  @ValueSource(ints = {390, 1440})
  void anEvaluationOpensFromItsFile(int width) throws Exception {
    new EvaluationSamples(folder).benchmark(ReportPageTest.NASTY, folder.resolve("page.html"));
    JsonNode told = open(width, LOOK);
    assertThat(told.path("images").intValue()).isEqualTo(24);
    assertThat(told.path("broken").intValue()).isZero();
    // By ITC and ITM of either category, and of all.
    assertThat(told.path("dots").toString()).isEqualTo("[100,50,70,0,85,25]");
  }

  @ParameterizedTest
  @ValueSource(ints = {390, 1440})
  void anEvaluationOfPairsOpensFromItsFile(int width) throws Exception {
    new EvaluationSamples(folder).pairs(ReportPageTest.NASTY, folder.resolve("page.html"));
    JsonNode told = open(width, LOOK);
    assertThat(told.path("images").intValue()).isPositive();
    assertThat(told.path("broken").intValue()).isZero();
  }

  @ParameterizedTest
  @ValueSource(ints = {390, 1440})
  void anAblationOpensFromItsFile(int width) throws Exception {
    Files.move(
        AblationPage.write(AblationPageTest.ablation(folder, ReportPageTest.NASTY)),
        folder.resolve("page.html"));
    JsonNode told = open(width, LOOK);
    assertThat(told.path("images").intValue()).isEqualTo(1);
    assertThat(told.path("broken").intValue()).isZero();
  }
}
