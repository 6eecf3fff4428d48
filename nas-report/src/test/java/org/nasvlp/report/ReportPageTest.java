package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.WordRelevance;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class ReportPageTest {
  static final String NASTY = "</script><script>alert(1)</script>\" onload='x' & \u0007";

  @TempDir private Path folder;

  private RunFolder run(String name) throws IOException {
    return new RunFolder(folder.resolve(name)).steps(120).evaluation(100, "colour", 100, 0.8, 0.9);
  }

  private String write(RunFolder... runs) throws IOException {
    List<RunRecord> records = new ArrayList<>();
    for (RunFolder run : runs) {
      records.add(run.read());
    }
    Path page = folder.resolve("page.html");
    ReportPage.write(records, page);
    return Files.readString(page);
  }

  /** The page's elements, by a parser that forgives nothing; without what scripts hold. */
  static Document parse(String page) throws Exception {
    String xml =
        page.replaceFirst("<!DOCTYPE html>", "")
            .replaceAll("(?s)(<script[^>]*>).*?</script>", "$1</script>")
            .replaceAll("(?s)<style>.*?</style>", "")
            .replaceAll("<(meta|img|input)( [^>]*)>", "<$1$2/>");
    return DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new InputSource(new StringReader(xml)));
  }

  static List<Element> elements(Document document, String tag) {
    NodeList nodes = document.getElementsByTagName(tag);
    List<Element> elements = new ArrayList<>();
    for (int i = 0; i < nodes.getLength(); i++) {
      elements.add((Element) nodes.item(i));
    }
    return elements;
  }

  private static String measured(int step, String metrics) {
    return ("{\"kind\":\"evaluation\",\"seconds\":1,\"evaluation\":{\"step\":%d,\"stepSeconds\":1,"
            + "\"report\":null,\"metrics\":{%s}}}\n")
        .formatted(step, metrics);
  }

  @Test
  void metricsOfTheProgramsOwnAreShownWithTheirBest() throws Exception {
    RunFolder own =
        new RunFolder(folder.resolve("own"))
            .steps(120)
            .line(measured(1000, "\"mine\":0.25,\"<b>\":\"NaN\""))
            .line(measured(2000, "\"mine\":-0.5,\"<b>\":\"NaN\""));
    String page = write(own, run("other"));
    List<String> cells =
        elements(parse(page), "table").stream()
            .filter(table -> table.getTextContent().contains("of the program's own"))
            .flatMap(
                table ->
                    java.util.stream.IntStream.range(
                            0, table.getElementsByTagName("tr").getLength())
                        .mapToObj(
                            i -> table.getElementsByTagName("tr").item(i).getTextContent().strip()))
            .toList();
    assertThat(cells).contains("mine-0.5000; 0.2500 at step 1,000–", "<b>––");
    assertThat(write(run("a"))).doesNotContain("of the program's own");
  }

  @Test
  void elementsAreClosedAndIdsAreOnce() throws Exception {
    Document page = parse(write(run("a"), run("b")));
    List<String> ids =
        elements(page, "*").stream()
            .map(of -> of.getAttribute("id"))
            .filter(id -> !id.isEmpty())
            .toList();
    assertThat(new HashSet<>(ids)).hasSameSizeAs(ids);
    for (Element link : elements(page, "a")) {
      assertThat(ids).contains(link.getAttribute("href").substring(1));
    }
  }

  @Test
  void runsMayHaveNamesOfTheCallersChoice() throws Exception {
    List<RunRecord> runs = List.of(run("a").read(), run("b").read());
    Path page = folder.resolve("named.html");
    ReportPage.write(runs, List.of("plain", "<b>"), page);
    assertThat(elements(parse(Files.readString(page)), "h1").getFirst().getTextContent())
        .isEqualTo("Runs plain, <b>");
    for (List<String> names : List.of(List.of("one"), List.of("same", "same"))) {
      assertThatThrownBy(() -> ReportPage.write(runs, names, page))
          .hasMessageContaining("names are " + names);
    }
  }

  @Test
  void nothingComesFromElsewhere() throws Exception {
    String page = write(run("a"));
    Document document = parse(page);
    for (Element element : elements(document, "*")) {
      assertThat(element.hasAttribute("src")).isFalse();
      assertThat(element.getAttribute("href")).matches("|#\\w+");
      assertThat(element.getTagName()).isNotIn("link", "iframe", "object", "base");
    }
    assertThat(elements(document, "meta"))
        .extracting(of -> of.getAttribute("content"))
        .anyMatch(policy -> policy.startsWith("default-src 'none';"));
    assertThat(page).contains("Leon Sorokin");
    assertThat(page.length()).isLessThan(1 << 20);
  }

  /** A name from a file is text: in the page's markup and in the data of its script. */
  @Test
  void namesAreText() throws Exception {
    RunFolder run =
        new RunFolder(folder.resolve("a<b>&'c"))
            .steps(60)
            .evaluation(60, NASTY.replace("\u0007", "\\u0007"), 100, 0.8, 0.9);
    run.evaluation(60, NASTY.replace("\u0007", ""), 100, 0.8, 0.9);
    String page = write(run);
    Document document = parse(page);
    assertThat(elements(document, "script")).hasSize(2);
    assertThat(elements(document, "h1").getFirst().getTextContent()).isEqualTo("Run a<b>&'c");
    assertThat(elements(document, "th"))
        .extracting(Element::getTextContent)
        .contains(NASTY.replace("\u0007", ""));
    assertThat(page).doesNotContain("<script>alert");
  }

  @Test
  void theScriptGetsTheNumbersOfTheLog() throws Exception {
    RunFolder run = run("a");
    run.itc = step -> step == 2 ? Double.NaN : 4.0 / step;
    String page = write(run);
    String json = page.replaceFirst("(?s).*id=\"data\">", "").replaceFirst("(?s)</script>.*", "");
    JsonNode data = JsonMapper.shared().readTree(json).path("runs").path(0);
    assertThat(data.path("steps").size()).isEqualTo(120);
    assertThat(data.at("/columns/loss itc/mean/0").doubleValue()).isEqualTo(4);
    assertThat(data.at("/columns/loss itc/mean/2").doubleValue()).isEqualTo(1.3333);
    assertThat(data.at("/evaluated/0").intValue()).isEqualTo(100);
    assertThat(data.at("/scores/captionChoice/itc/colour/0").doubleValue()).isEqualTo(80);
    assertThat(data.at("/scores/captionChoice/itm/all types/0").doubleValue()).isEqualTo(90);
  }

  private Document learned(Learned learned) throws Exception {
    Path page = folder.resolve("learned.html");
    ReportPage.write(run("a").read(), learned, page);
    return parse(Files.readString(page));
  }

  @Test
  void picturesAreInThePageAndTheirCaptionsAreText() throws Exception {
    String nasty = NASTY.replace("\u0007", "");
    Document page = learned(Samples.learned(32, nasty));
    List<String> ids =
        elements(page, "h2").stream().map(heading -> heading.getAttribute("id")).toList();
    assertThat(ids)
        .containsSubsequence(
            "results", "confused", "finds", "looks", "negatives", "codewords", "times");
    assertThat(elements(page, "script")).hasSize(4);
    List<Element> images = elements(page, "img");
    assertThat(images).hasSize(15);
    assertThat(images)
        .allSatisfy(
            image -> {
              assertThat(image.getAttribute("src")).startsWith("data:image/png;base64,iVBOR");
              assertThat(image.getAttribute("alt")).isNotEmpty();
            });
    assertThat(images.getFirst().getAttribute("alt")).isEqualTo("a red " + nasty);
    assertThat(elements(page, "mark"))
        .extracting(Element::getTextContent)
        .containsExactly("red", "blue", "blue", "red", "red", "red", "blue", "blue", "red");
    // The picture of "red" is told right by 4 logits, that of "blue" wrong by 2.
    assertThat(elements(page, "li"))
        .extracting(of -> of.getAttribute("class"))
        .containsSubsequence("true right", "other", "true", "other wrong");
    List<String> rects =
        elements(page, "rect").stream()
            .filter(of -> of.getAttribute("class").equals("swapped"))
            .map(of -> of.getAttribute("x") + "," + of.getAttribute("y"))
            .toList();
    assertThat(rects).containsExactly("2,3", "1,3");
    assertThat(page.getDocumentElement().getTextContent())
        .contains("2 of 16 tokens swapped: match with the caption 30.0 %", "×2 →", "match 90.0 %")
        .contains(
            "top and bottom exchanged: a blue "
                + CaptionTokenizer.normalize(nasty)
                + "match 85.0 %");
    assertThat(elements(page, "circle")).hasSize(32);
  }

  @Test
  void whereItLooksIsShownForTheWordThatDiffers() throws Exception {
    String nasty = NASTY.replace("\u0007", "").replace(" ", "");
    float[][] patches = Samples.look("").relevance().patches();
    LookedAt none =
        new LookedAt(
            "type " + nasty,
            Samples.picture(1, 2, 3),
            "a " + nasty,
            new WordRelevance(List.of("a", nasty, "cup"), patches, 0.5));
    Document page =
        learned(
            new Learned(
                Samples.SIZE,
                List.of(),
                List.of(Samples.look("colour"), none),
                null,
                List.of(),
                null));
    List<String> opacities =
        elements(page, "rect").stream().map(of -> of.getAttribute("fill-opacity")).toList();
    assertThat(opacities).hasSize(32);
    for (int i = 0; i < 16; i++) {
      assertThat(opacities.get(i)).isEqualTo(i == 5 ? "1.00" : i == 6 ? "0.50" : "0.00");
    }
    List<Element> inputs = elements(page, "input");
    assertThat(inputs).extracting(of -> of.getAttribute("name")).containsOnly("look-0", "look-1");
    assertThat(inputs.stream().map(of -> of.hasAttribute("checked")).limit(3))
        .containsExactly(false, true, false);
    assertThat(elements(page, "main").getFirst().getTextContent())
        .contains("match 80.0 %; “red” has 75 % of what speaks for it", "type " + nasty);
    String json =
        Files.readString(folder.resolve("learned.html"))
            .replaceFirst("(?s).*id=\"look-data\">", "")
            .replaceFirst("(?s)</script>.*", "");
    JsonNode data = JsonMapper.shared().readTree(json);
    assertThat(data.at("/0/maps/1/6").intValue()).isEqualTo(50);
    assertThat(data.at("/0/maps/2/0").intValue()).isEqualTo(100);
    assertThat(data.at("/0/maps/0/0").intValue()).isZero();
    assertThat(data.at("/0/shares").toString()).isEqualTo("[0,75,25]");
  }

  @Test
  void whatIsFoundStandsWithItsRanks() throws Exception {
    String nasty = NASTY.replace("\u0007", "");
    Document page =
        learned(
            new Learned(
                Samples.SIZE, List.of(), List.of(), Samples.retrieval(nasty), List.of(), null));
    List<String> cards =
        elements(page, "li").stream()
            .filter(of -> ((Element) of.getParentNode()).getAttribute("class").equals("finds"))
            .map(Element::getTextContent)
            .toList();
    assertThat(cards.getFirst())
        .contains(
            "median rank 2 by contrast, 1 re-ranked, of 1,234", "a " + nasty, "0.250, 90.0 %");
    assertThat(cards.getLast())
        .contains("worst rank 3 by contrast, 3 re-ranked, of 3", "not " + nasty, "the " + nasty);
    assertThat(
            elements(page, "li").stream()
                .filter(
                    of -> ((Element) of.getParentNode()).getAttribute("class").equals("candidates"))
                .map(of -> of.getAttribute("class")))
        .containsExactly(
            "other", "right", "right", "other", "other", "right away", "other", "right away");
  }

  @Test
  void aWordOfADataSetIsTextInTheScriptsData() throws Exception {
    Learned learned =
        new Learned(
            Samples.SIZE,
            List.of(),
            List.of(),
            null,
            List.of(),
            Samples.dictionary(32, "</script><b>x"));
    Path page = folder.resolve("learned.html");
    ReportPage.write(run("a").read(), learned, page);
    String text = Files.readString(page);
    assertThat(elements(parse(text), "script")).hasSize(3);
    String json =
        text.replaceFirst("(?s).*id=\"codeword-data\">", "").replaceFirst("(?s)</script>.*", "");
    JsonNode data = JsonMapper.shared().readTree(json);
    assertThat(data).hasSize(32);
    assertThat(data.path(0).path("neighbours").path(0).isInt()).isTrue();
    assertThat(data.path(0).path("patches").intValue()).isEqualTo(20);
    assertThat(data.path(0).path("strip").stringValue()).startsWith("data:image/");
    // A log without a word on them.
    assertThat(data.path(0).has("use")).isFalse();
    assertThat(text).doesNotContain("small curve");
  }

  @Test
  void whatIsNotKnownIsLeftOut() throws Exception {
    Document page = learned(new Learned(Samples.SIZE, List.of(), List.of(), null, List.of(), null));
    assertThat(elements(page, "h2"))
        .extracting(heading -> heading.getAttribute("id"))
        .doesNotContain("confused", "finds", "looks", "negatives", "codewords");
    assertThat(elements(page, "img")).isEmpty();
  }

  /** Of many steps a page has few points, and yet the one that is out of line. */
  @Test
  void aSpikeIsKept() {
    double[] values = new double[100_000];
    values[77_777] = 50;
    Curve curve = Curve.of(values, Curve.rowsEach(values.length, 1000));
    assertThat(curve.mean()).hasSize(1000);
    assertThat(curve.high()[777]).isEqualTo(50);
    assertThat(curve.mean()[777]).isEqualTo(0.5);
    assertThat(curve.low()[777]).isZero();
  }

  @Test
  void aRunThatStillTrainsHasAPage() throws Exception {
    RunFolder run = new RunFolder(folder.resolve("a")).steps(1).line("{\"kind\":\"st");
    assertThat(parse(write(run)).getDocumentElement().getTextContent())
        .contains("lines of the log that could not be read: 1");
    RunFolder none = new RunFolder(folder.resolve("b"));
    assertThat(parse(write(none)).getDocumentElement().getTextContent()).contains("0 of 0");
  }

  @Test
  void aColumnThatBeginsLateHasNoValuesBefore() {
    StepTable steps = new StepTable();
    for (int i = 0; i < 600; i++) {
      steps.add(i < 300 ? Map.of("a", 1.0) : Map.of("b", 2.0));
    }
    assertThat(steps.column("a")[299]).isEqualTo(1);
    assertThat(steps.column("a")[300]).isNaN();
    assertThat(steps.column("b")[299]).isNaN();
    assertThat(steps.column("b")[599]).isEqualTo(2);
    assertThat(steps.column("none")).hasSize(600).containsOnly(Double.NaN);
    assertThat(steps.lately("b")).isEqualTo(2);
  }

  @Test
  void whatIsNoRunIsTold() throws IOException {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    assertThatThrownBy(() -> RunRecord.read(empty))
        .isInstanceOf(IOException.class)
        .hasMessageContainingAll(empty.toString(), "log.jsonl", "--out");
    assertThatThrownBy(() -> ReportPage.write(List.of(), folder.resolve("x.html")))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(folder.resolve("x.html")).doesNotExist();
  }
}
