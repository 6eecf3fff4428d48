package org.nasvlp.data.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PairTableTest {
  private record Expected(
      int entry, int part, String path, long id, String caption, int turn, String reason) {}

  /** Against maps of the plain kind, with the texts in memory and in a file. */
  @ParameterizedTest
  @ValueSource(ints = {1 << 26, 200, 0})
  void keepsWhatIsPutIn(int mostInMemory) throws IOException {
    SplittableRandom random = new SplittableRandom(mostInMemory);
    List<Expected> expected = new ArrayList<>();
    Map<String, Integer> pairOf = new HashMap<>();
    Map<String, Integer> turns = new HashMap<>();
    try (PairTable table = new PairTable(mostInMemory)) {
      for (int entry = 0; entry < 3000; entry++) {
        String path = "img/" + random.nextInt(900) + ".png";
        String caption = "caption é" + "x".repeat(random.nextInt(40)) + random.nextInt(60);
        int part = entry < 1000 ? -1 : random.nextInt(-1, 4);
        if (random.nextInt(10) == 0) {
          table.addBad("sample " + entry, "reason " + caption);
          expected.add(new Expected(0, -1, "", 0, "sample " + entry, 0, "reason " + caption));
          continue;
        }
        int earlier = table.add(entry, part, path, entry * 7L, caption, false);
        Integer same = pairOf.putIfAbsent(path + "\n" + caption, expected.size());
        if (same != null) {
          assertThat(earlier).isEqualTo(same);
          continue;
        }
        assertThat(earlier).isEqualTo(-1);
        int turn = turns.merge(path, 1, Integer::sum) - 1;
        expected.add(new Expected(entry, part, path, entry * 7L, caption, turn, ""));
      }
      table.finish();
      assertThat(table.size()).isEqualTo(expected.size());
      for (int pair = 0; pair < table.size(); pair++) {
        Expected e = expected.get(pair);
        if (table.isBad(pair)) {
          assertThat(table.badSample(pair)).isEqualTo(e.caption());
          assertThat(table.badReason(pair)).isEqualTo(e.reason());
        } else {
          assertThat(
                  new Expected(
                      table.entry(pair),
                      table.part(pair),
                      table.path(pair),
                      table.imageId(pair),
                      table.caption(pair),
                      table.turn(pair),
                      ""))
              .isEqualTo(e);
        }
      }
      assertThat(turns.values()).anyMatch(count -> count > 2);
    }
  }
}
