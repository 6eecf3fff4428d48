package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WordDifferenceTest {
  private static String marked(String caption, String other) {
    return WordDifference.parts(caption, other).stream()
        .map(part -> part.differs() ? "[" + part.text() + "]" : part.text())
        .collect(Collectors.joining(" "));
  }

  @ParameterizedTest
  @CsvSource({
    "a red cup, a blue cup, a [red] cup, a [blue] cup",
    "a cup, a cup, a cup, a cup",
    "A Cup, a cup, A Cup, a cup",
    "man: dark skin tone, man: medium dark skin tone, man: dark skin tone,"
        + " man: [medium] dark skin tone",
    "red cup blue hat, blue cup red hat, [red] cup [blue] hat, [blue] cup [red] hat",
    "one, two three, [one], [two three]",
    "b a c, c a b, [b] a [c], [c] a [b]",
    "a x b c, x b c d, [a] x b c, x b c [d]",
    "a a b, a b b, a [a] b, a [b] b"
  })
  void marksWhatTheOtherLacks(String one, String two, String markedOne, String markedTwo) {
    assertThat(marked(one, two)).isEqualTo(markedOne);
    assertThat(marked(two, one)).isEqualTo(markedTwo);
  }
}
