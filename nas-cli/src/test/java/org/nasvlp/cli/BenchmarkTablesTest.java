package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.nasvlp.eval.BenchmarkReport;
import org.nasvlp.eval.Rates;
import org.nasvlp.eval.Share;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Wilson's intervals by R's {@code prop.test(x, n, correct = FALSE)}. */
class BenchmarkTablesTest {
  private static String table(Map<String, List<Share>> categories, Share all, double macro) {
    return BenchmarkTables.table("ARO", "itm", report(categories, all, macro));
  }

  private static BenchmarkReport report(
      Map<String, List<Share>> categories, Share all, double macro) {
    return new BenchmarkReport(
        List.of("accuracy"),
        categories,
        List.of(all),
        List.of(macro),
        Set.of(),
        all.of(),
        0,
        Rates.NONE,
        50,
        0);
  }

  @Test
  void fewItemsAreCounted() {
    Map<String, List<Share>> categories = new LinkedHashMap<>();
    categories.put("on", List.of(new Share(30, 60)));
    categories.put("behind", List.of(new Share(12, 20)));
    categories.put("beside", List.of(new Share(45, 50)));
    assertThat(table(categories, new Share(87, 130), 2 / 3.0).lines().skip(2))
        .containsExactly(
            "                                   items                accuracy",
            "on                                    60  50.00 ( 37.7 to  62.3)",
            "behind                                20 12 of 20",
            "beside                                50  90.00 ( 78.6 to  95.7)",
            "all (micro)                          130  66.92 ( 58.5 to  74.4)",
            "categories (macro)                        70.00",
            "all 3 categories                          66.67",
            "macro: mean of the 2 categories with at least 50 items");
  }

  @Test
  void figuresThatAreNoSharesStandBesideThem() {
    Map<String, List<Share>> categories = new LinkedHashMap<>();
    categories.put("plurals", List.of(new Share(30, 60)));
    categories.put("relations", List.of(new Share(12, 20)));
    Rates rates =
        new Rates(
            List.of("AUROC"),
            Map.of("plurals", List.of(0.625), "relations", List.of(0.75)),
            List.of(0.5),
            List.of(0.6875));
    BenchmarkReport report =
        new BenchmarkReport(
            List.of("acc_r"),
            categories,
            List.of(new Share(42, 80)),
            List.of(0.55),
            Set.of(),
            80,
            0,
            rates,
            50,
            3);
    assertThat(BenchmarkTables.table("VALSE", "itc", report).lines().skip(1))
        .containsExactly(
            "(3 items tied, which counts as wrong)",
            "",
            "                                   items                   acc_r         AUROC",
            "plurals                               60  50.00 ( 37.7 to  62.3)         62.50",
            "relations                             20 12 of 20",
            "all (micro)                           80  52.50 ( 41.7 to  63.1)         50.00",
            "categories (macro)                        50.00                          62.50",
            "all 2 categories                          55.00                          68.75",
            "macro: that of the only one of the categories with at least 50 items");
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    BenchmarkTables.json(json, report);
    assertThat(json.get("tied").intValue()).isEqualTo(3);
    assertThat(json.at("/all/AUROC/value").doubleValue()).isEqualTo(0.5);
    assertThat(json.at("/categories/relations/AUROC/value").doubleValue()).isEqualTo(0.75);
    assertThat(json.at("/macro/AUROC").doubleValue()).isEqualTo(0.6875);
  }

  /** What'sUp has pairs and sets of some of its files only. */
  @Test
  void aFigureThatIsMissingIsADash() {
    Map<String, List<Share>> categories = new LinkedHashMap<>();
    categories.put("controlled/left", List.of(new Share(30, 60)));
    categories.put("controlled/right", List.of(new Share(45, 60)));
    categories.put("coco/left", List.of(new Share(60, 60)));
    BenchmarkReport report =
        new BenchmarkReport(
            List.of("accuracy"),
            categories,
            List.of(new Share(135, 180)),
            List.of(0.75),
            Set.of(),
            180,
            0,
            new Rates(
                List.of("pair"),
                Map.of(
                    "controlled/left",
                    List.of(0.25),
                    "controlled/right",
                    List.of(0.75),
                    "coco/left",
                    List.of(Double.NaN)),
                List.of(0.5),
                List.of(0.5)),
            50,
            0);
    assertThat(BenchmarkTables.table("What'sUp", "itc", report).lines().skip(2))
        .containsExactly(
            "                                   items                accuracy          pair",
            "controlled/left                       60  50.00 ( 37.7 to  62.3)         25.00",
            "controlled/right                      60  75.00 ( 62.8 to  84.2)         75.00",
            "coco/left                             60 100.00 ( 94.0 to 100.0)             –",
            "controlled (macro)                        62.50                          50.00",
            "all (micro)                          180  75.00 ( 68.2 to  80.8)         50.00",
            "categories (macro)                        75.00                          50.00",
            "macro: mean of the 3 categories with at least 50 items");
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    BenchmarkTables.json(json, report);
    assertThat(json.at("/categories/coco~1left/pair/value").isNull()).isTrue();
    assertThat(json.at("/macroByFolder/controlled/pair").doubleValue()).isEqualTo(0.5);
  }

  @Test
  void ofLargeCategoriesThereIsOneMacro() {
    Map<String, List<Share>> categories = new LinkedHashMap<>();
    categories.put("on", List.of(new Share(30, 60)));
    categories.put("beside", List.of(new Share(45, 50)));
    assertThat(table(categories, new Share(75, 110), 0.7))
        .contains("categories (macro)                        70.00\n")
        .doesNotContain("all 2 categories")
        .endsWith("macro: mean of the 2 categories with at least 50 items\n");
  }

  /** VG-Attribution has thousands of pairs of attributes. */
  @Test
  void ofManyCategoriesTheLargestAreShown() {
    Map<String, List<Share>> categories = new LinkedHashMap<>();
    for (int i = 0; i < 1000; i++) {
      categories.put("pair " + i, List.of(new Share(i % 100, 100 + i % 100)));
    }
    String table = table(categories, new Share(10_000, 149_500), 0.5);
    // Of those with 199, 198 and 197 items there are ten each.
    assertThat(table.lines().filter(line -> line.startsWith("pair "))).hasSize(30);
    assertThat(table)
        .contains(
            "pair 99  ", "pair 997  ", "and 970 more, of up to 196 items each; --json has all")
        .doesNotContain("pair 96  ");
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    BenchmarkTables.json(json, report(categories, new Share(10_000, 149_500), 0.5));
    assertThat(json.get("categories").size()).isEqualTo(1000);
  }

  /** VL-CheckList's names are long and differ in their ends. */
  @Test
  void longNamesAreToldApartAndFoldersAveraged() {
    Map<String, List<Share>> categories = new LinkedHashMap<>();
    categories.put("Attribute/color/vg", List.of(new Share(80, 100)));
    categories.put(
        "Object/Location/swig_location/swig_agent_location_center", List.of(new Share(60, 100)));
    categories.put(
        "Object/Location/swig_location/swig_agent_location_margin", List.of(new Share(20, 100)));
    categories.put("Object/Size/hake_size/hake_large", List.of(new Share(30, 100)));
    String table = table(categories, new Share(190, 400), 0.475);
    assertThat(table)
        .contains(
            "Object/Location/swig_location/swig_agent_location_center     100  60.00",
            "Object/Location/swig_location/swig_agent_location_margin     100  20.00");
    assertThat(table.lines().filter(line -> line.contains("(macro)")).map(String::strip))
        .map(line -> line.replaceAll(" +", " "))
        .containsExactly(
            "Object (macro) 36.67",
            "Object/Location (macro) 40.00",
            "Object/Location/swig_location (macro) 40.00",
            "categories (macro) 47.50");
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    BenchmarkTables.json(json, report(categories, new Share(190, 400), 0.475));
    assertThat(json.get("macroByFolder").get("Object").get("accuracy").doubleValue())
        .isCloseTo(1.1 / 3, within(1e-12));
  }

  @Test
  void withoutLargeCategoriesThereIsNoMacroOfThem() {
    Map<String, List<Share>> categories = new LinkedHashMap<>();
    categories.put("on", List.of(new Share(1, 2)));
    categories.put("beside", List.of(new Share(2, 2)));
    assertThat(table(categories, new Share(3, 4), 0.75))
        .contains("on                                     2 1 of 2\n")
        .contains("all 2 categories                          75.00\n")
        .doesNotContain("(macro)")
        .endsWith("no macro: there are no categories with at least 50 items\n");
  }
}
