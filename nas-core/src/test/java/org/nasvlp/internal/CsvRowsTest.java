package org.nasvlp.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class CsvRowsTest {
  private static List<CsvRows.Row> parse(String text, char separator) throws IOException {
    List<CsvRows.Row> rows = new ArrayList<>();
    try (CsvRows csv = new CsvRows(new StringReader(text), "t.csv", separator)) {
      for (CsvRows.Row row = csv.next(); row != null; row = csv.next()) {
        rows.add(row);
      }
    }
    return rows;
  }

  @Test
  void anyTableComesBack() throws IOException {
    SplittableRandom random = new SplittableRandom(5);
    String characters = "ab \"\",,\r\n\té\uD83D\uDE00";
    for (int round = 0; round < 500; round++) {
      int columns = random.nextInt(2, 5);
      List<List<String>> table = new ArrayList<>();
      StringBuilder text = new StringBuilder();
      for (int r = random.nextInt(1, 6); r > 0; r--) {
        List<String> row = new ArrayList<>();
        for (int c = 0; c < columns; c++) {
          int[] drawn =
              random
                  .ints(random.nextInt(5), 0, characters.codePointCount(0, characters.length()))
                  .map(i -> characters.codePoints().toArray()[i])
                  .toArray();
          row.add(new String(drawn, 0, drawn.length));
        }
        table.add(row);
        text.append(row.stream().map(CsvRowsTest::quoted).collect(Collectors.joining(",")))
            .append(random.nextBoolean() ? "\n" : "\r\n");
      }
      assertThat(parse(text.toString(), ',')).extracting(CsvRows.Row::fields).isEqualTo(table);
    }
  }

  private static String quoted(String field) {
    return field.matches("[^\",\r\n]*") ? field : '"' + field.replace("\"", "\"\"") + '"';
  }

  @Test
  void rowsKnowTheirLines() throws IOException {
    assertThat(parse("a,b\n\n\"x\ny\",c\nd,e", ','))
        .containsExactly(
            new CsvRows.Row(1, List.of("a", "b")),
            new CsvRows.Row(3, List.of("x\ny", "c")),
            new CsvRows.Row(5, List.of("d", "e")));
  }

  @Test
  void aQuoteBetweenTabsIsACharacter() throws IOException {
    assertThat(parse("\uFEFFa \"b\" c\t\"d\ne,f\tg", '\t'))
        .extracting(CsvRows.Row::fields)
        .containsExactly(List.of("a \"b\" c", "\"d"), List.of("e,f", "g"));
  }

  @Test
  void wrongQuotesAreNamed() throws IOException {
    assertThatThrownBy(() -> parse("a,b\nc,\"d\ne", ','))
        .hasMessage("t.csv line 2: a quote is not closed");
    assertThatThrownBy(() -> parse("a,b\nc,\"d\"e", ',')).hasMessageContaining("line 2");
    assertThatThrownBy(() -> parse("a,b\"\n", ',')).hasMessageContaining("line 1");
    assertThat(parse("\n\r\n", ',')).isEmpty();
    assertThat(parse("", ',')).isEmpty();
  }

  @Test
  void columnsAndCharactersOfARowAreLimited() throws IOException {
    assertThat(parse("a" + ",".repeat(4095), ','))
        .first()
        .extracting(row -> row.fields().size())
        .isEqualTo(4096);
    for (char separator : new char[] {',', '\t'}) {
      String commas = String.valueOf(separator).repeat(4096);
      assertThatThrownBy(() -> parse("a\n" + commas, separator))
          .hasMessage("t.csv line 2: more than 4096 columns; is it a table?");
    }
    String half = "x".repeat(1 << 21);
    assertThat(parse(half + "," + half.substring(1), ',')).hasSize(1);
    assertThatThrownBy(() -> parse("a\n" + half + "," + half, ','))
        .hasMessageContaining("t.csv line 2: a row of more than 4194304 characters");
  }
}
