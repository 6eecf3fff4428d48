package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.eval.BenchmarkFormat;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.ItemScores;
import org.nasvlp.eval.PublishedBenchmark;
import org.nasvlp.eval.RetrievalBenchmark;
import org.w3c.dom.Document;
import org.w3c.dom.Element;

class EvaluationPageTest {
  @TempDir private Path folder;

  private static List<String> texts(Document page, String tag) {
    return ReportPageTest.elements(page, tag).stream().map(Element::getTextContent).toList();
  }

  private static List<String> ids(Document page) {
    return ReportPageTest.elements(page, "*").stream()
        .map(of -> of.getAttribute("id"))
        .filter(id -> !id.isEmpty())
        .toList();
  }

  /** Elements are closed, links lead somewhere, nothing comes from elsewhere, texts are texts. */
  private Document page(String name) throws Exception {
    String text = Files.readString(folder.resolve(name));
    Document page = ReportPageTest.parse(text);
    List<String> ids = ids(page);
    assertThat(new HashSet<>(ids)).hasSameSizeAs(ids);
    for (Element link : ReportPageTest.elements(page, "a")) {
      assertThat(ids).contains(link.getAttribute("href").substring(1));
    }
    assertThat(text)
        .contains("default-src 'none'".replace("'", "&#39;"))
        .doesNotContain("<script>alert", "http:", "https:");
    return page;
  }

  @Test
  void aBenchmarkWithTheItemsThatAreMostWrong() throws Exception {
    String nasty = ReportPageTest.NASTY.replace("\u0007", "");
    new EvaluationSamples(folder).benchmark(nasty, folder.resolve("page.html"));
    Document page = page("page.html");
    assertThat(texts(page, "h1")).containsExactly("SugarCrepe");
    assertThat(ids(page)).containsExactly("what", "glance", "tables", "items");
    assertThat(texts(page, "tr"))
        .contains("data" + nasty, "chance50.0", "add_att2020 of 20", "swap_obj2014 of 20")
        .contains("all (micro)4085.0 71–93", "all (micro)4025.0 14–40");
    List<Element> tracks =
        ReportPageTest.elements(page, "span").stream()
            .filter(of -> of.hasAttribute("aria-label"))
            .toList();
    assertThat(tracks.getFirst().getAttribute("aria-label"))
        .isEqualTo("ITC 100.0, 83.9 to 100.0; ITM 50.0, 29.9 to 70.1");
    List<Element> items =
        ReportPageTest.elements(page, "ul").stream()
            .filter(of -> of.getAttribute("class").equals("pairs"))
            .toList();
    assertThat(items).hasSize(2);
    // By ITM the last of swap_obj are most wrong; the tenth and eleventh of add_att are closest.
    List<String> worst =
        ReportPageTest.elements(page, "strong").stream().map(Element::getTextContent).toList();
    assertThat(worst).hasSize(24).startsWith("swap_obj");
    assertThat(items.getFirst().getTextContent())
        .startsWith("swap_obj swap_obj/19, margin -49.0")
        .contains("a blue " + nasty)
        .contains("ITC -0.250, ITM below 0.1 %")
        .contains("chosen: wrong")
        .doesNotContain("chosen: right");
    assertThat(items.getLast().getTextContent())
        .contains("add_att/9, margin +0.500", "add_att/10, margin -0.500", "chosen: right")
        .contains("ITC 0.250, ITM 62.2 %");
    assertThat(texts(page, "mark")).contains("red", "blue").doesNotContain("a", nasty);
    assertThat(ReportPageTest.elements(page, "img")).hasSize(24);
  }

  @Test
  void withoutPicturesItemsAreCaptions() throws Exception {
    EvaluationPage.write(
        Map.of(),
        new EvaluationSamples(folder).sugarCrepe("cup", false),
        folder.resolve("page.html"));
    Document page = page("page.html");
    assertThat(ReportPageTest.elements(page, "img")).isEmpty();
    assertThat(texts(page, "mark")).contains("red", "blue");
  }

  /** Winoground's scores have no items beside them, so that no chance and no captions are known. */
  @Test
  void scoresAlone() throws Exception {
    ItemScores scores =
        new ItemScores(Map.of("7", Map.of("score", new double[][] {{3, 1}, {1, 2}})));
    EvaluationPage.write(
        Map.of("items", "1"),
        new EvaluatedBenchmark(
            "Winoground",
            null,
            scores,
            Map.of("score", PublishedBenchmark.winoground(scores, "score")),
            null,
            0),
        folder.resolve("page.html"));
    Document page = page("page.html");
    assertThat(ids(page)).containsExactly("what", "glance", "tables");
    assertThat(texts(page, "tr")).contains("all (micro)1100.0 21–100100.0 21–100100.0 21–100");
    assertThat(texts(page, "h3")).containsExactly("By score");
  }

  /** What each kind of benchmark asks; the right combination scores 1 and all others 0. */
  @ParameterizedTest
  @CsvSource({
    "COLORSWAP, 4, chance25.025.016.7, chosen: right",
    "SVO_PROBES, 2, chance50.0––, its picture",
    "VSR, 1, chance50.0, under the car. (true)",
    "SUGARCREPE_PP, 3, chance33.3, on a mat is a cat",
    "NEGBENCH, 4, chance25.0, a dog",
  })
  void everyKindOfItem(BenchmarkFormat format, int choices, String chance, String text)
      throws Exception {
    Path data =
        switch (format) {
          case COLORSWAP ->
              write(
                  "test.json",
                  "[{\"id\":0,\"caption_1\":\"a red cup\",\"caption_2\":\"a blue cup\","
                      + "\"image_1\":\"a.png\",\"image_2\":\"b.png\"}]");
          case SVO_PROBES ->
              write(
                  "svo.csv",
                  "sentence,pos_triplet,neg_triplet,pos_image_id,neg_image_id,subj_neg,verb_neg,"
                      + "obj_neg\nA man rides.,\"man,ride,horse\",\"man,feed,horse\",1,2,False,"
                      + "True,False\n");
          case VSR ->
              write(
                  "vsr.jsonl",
                  "{\"image\":\"7.jpg\",\"caption\":\"The cat is under the car.\",\"label\":1,"
                      + "\"relation\":\"under\"}\n");
          case SUGARCREPE_PP ->
              write(
                  "pp.json",
                  "[{\"id\":0,\"filename\":\"a.png\",\"caption\":\"a cat on a mat\",\"caption2\":"
                      + "\"on a mat is a cat\",\"negative_caption\":\"a mat on a cat\"}]");
          default ->
              write(
                  "negbench.csv",
                  "correct_answer,caption_0,caption_1,caption_2,caption_3,"
                      + "correct_answer_template,image_path\n"
                      + "0,a dog,a cat,no dog,no cat,positive,a.png\n");
        };
    PublishedBenchmark benchmark = PublishedBenchmark.read(format, data);
    int images =
        format == BenchmarkFormat.COLORSWAP || format == BenchmarkFormat.SVO_PROBES ? 2 : 1;
    int captions = benchmark.items().getFirst().captions().size();
    double[][] matrix = new double[images][captions];
    matrix[0][0] = 1;
    matrix[images - 1][Math.min(captions, images) - 1] =
        format == BenchmarkFormat.SVO_PROBES ? 0 : 1;
    if (format == BenchmarkFormat.SUGARCREPE_PP) {
      matrix[0][1] = 1;
    }
    ItemScores scores =
        new ItemScores(Map.of(benchmark.items().getFirst().id(), Map.of("itm", matrix)));
    Map<String, BenchmarkReport> reports =
        new LinkedHashMap<>(Map.of("itm", benchmark.report(scores, "itm", Set.of())));
    EvaluationPage.write(
        Map.of(),
        new EvaluatedBenchmark(
            format.title(),
            benchmark,
            scores,
            reports,
            item -> List.of(Samples.picture(9, 9, 9), Samples.picture(1, 1, 1)),
            Samples.SIZE),
        folder.resolve("page.html"));
    Document page = page("page.html");
    List<Element> lists =
        ReportPageTest.elements(page, "li").stream()
            .filter(of -> of.getAttribute("class").matches("(true|other).*"))
            .toList();
    assertThat(lists).hasSize(choices);
    assertThat(ReportPageTest.elements(page, "img")).hasSize(images);
    assertThat(texts(page, "tr")).anyMatch(row -> row.startsWith(chance));
    assertThat(texts(page, "main").getFirst())
        .contains(text, "No item is wrong.")
        .doesNotContain("chosen: wrong");
  }

  private Path write(String name, String text) throws Exception {
    return Files.writeString(folder.resolve(name), text);
  }

  /** Matching alone tells VALSE's p_c: its dots have matching's colour there too. */
  @Test
  void aWayHasOneColour() throws Exception {
    PublishedBenchmark benchmark =
        PublishedBenchmark.read(
            BenchmarkFormat.VALSE,
            write(
                "existence.json",
                "{\"one\":{\"image_file\":\"a.png\",\"caption\":\"a cat\",\"foil\":\"a dog\","
                    + "\"linguistic_phenomena\":\"foil-it\",\"mturk\":{\"foil\":0,\"caption\":3,"
                    + "\"other\":0}}}"));
    double[][] matrix = {{1, -1}};
    ItemScores scores =
        new ItemScores(
            Map.of(
                benchmark.items().getFirst().id(),
                new LinkedHashMap<>(Map.of("itc", matrix, "itm", matrix))));
    Map<String, BenchmarkReport> reports = new LinkedHashMap<>();
    for (String way : scores.ways()) {
      reports.put(way, benchmark.report(scores, way, Set.of()));
    }
    EvaluationPage.write(
        Map.of(),
        new EvaluatedBenchmark("VALSE", benchmark, scores, reports, null, 16),
        folder.resolve("page.html"));
    List<String> colors =
        ReportPageTest.elements(page("page.html"), "i").stream()
            .filter(of -> of.getAttribute("class").equals("dot"))
            .map(of -> of.getAttribute("style").replaceAll(".*--run-(\\d).*", "$1"))
            .toList();
    // acc_r by both, then acc, p_c and p_f.
    assertThat(colors).containsExactly("0", "1", "1", "1", "1");
  }

  /** Of more categories than can be read the plot shows some, and the table is folded. */
  @ParameterizedTest
  @ValueSource(ints = {24, 25, 41})
  void manyCategories(int categories) throws Exception {
    StringBuilder rows = new StringBuilder();
    Map<String, Map<String, double[][]>> scores = new LinkedHashMap<>();
    for (int i = 0; i < categories; i++) {
      rows.append(i == 0 ? "[" : ",")
          .append(
              ("{\"image_path\":\"a.png\",\"true_caption\":\"a\",\"false_caption\":\"b\","
                      + "\"relation_name\":\"r%d\",\"bbox_x\":0,\"bbox_y\":0,\"bbox_w\":1,"
                      + "\"bbox_h\":1}")
                  .formatted(i));
      scores.put("" + (i + 1), Map.of("itc", new double[][] {{1, 0}}));
    }
    PublishedBenchmark benchmark =
        PublishedBenchmark.read(
            BenchmarkFormat.ARO_RELATION, write("aro.json", rows.append("]").toString()));
    ItemScores all = new ItemScores(scores);
    EvaluationPage.write(
        Map.of(),
        new EvaluatedBenchmark(
            "ARO", benchmark, all, Map.of("itc", benchmark.report(all, "itc", Set.of())), null, 16),
        folder.resolve("page.html"));
    Document page = page("page.html");
    assertThat(texts(page, "summary"))
        .isEqualTo(categories > 24 ? List.of("All " + categories + " categories") : List.of());
    assertThat(texts(page, "th")).contains("r0", "r" + (categories - 1));
    long dots =
        ReportPageTest.elements(page, "i").stream()
            .filter(of -> of.getAttribute("class").equals("dot"))
            .count();
    assertThat(dots).isEqualTo(Math.min(40, categories) + 1);
  }

  @Test
  void testPairs() throws Exception {
    String nasty = ReportPageTest.NASTY.replace("\u0007", "");
    new EvaluationSamples(folder).pairs(nasty, folder.resolve("page.html"));
    Document page = page("page.html");
    assertThat(ids(page))
        .containsSubsequence("what", "glance", "tables", "confused", "finds", "looks");
    assertThat(texts(page, "tr"))
        .contains("ITC25.025.025.025.025.025.0", "chance12.512.512.512.512.512.5");
    assertThat(texts(page, "main").getFirst()).contains("chosen: ", "Grad-CAM");
  }

  @Test
  void retrievalWithAndWithoutAMatchHead() throws Exception {
    var examples = Samples.retrieval(ReportPageTest.NASTY);
    EvaluationPage.write(
        Map.of(),
        new RetrievalBenchmark.Result(
            EvaluationSamples.retrieval(0.25),
            EvaluationSamples.retrieval(0.5),
            Map.of(),
            examples),
        Samples.SIZE,
        folder.resolve("page.html"));
    assertThat(texts(page("page.html"), "tr"))
        .contains(
            "ITC25.025.025.025.025.025.0",
            "ITC, then both50.050.050.050.050.050.0",
            "chance12.512.512.512.512.512.5");
    assertThat(texts(page("page.html"), "p")).contains("by contrast", "by both");
    EvaluationPage.write(
        Map.of(),
        new RetrievalBenchmark.Result(EvaluationSamples.retrieval(0.25), null, Map.of(), null),
        Samples.SIZE,
        folder.resolve("page.html"));
    assertThat(ids(page("page.html"))).containsExactly("what", "tables");
  }
}
