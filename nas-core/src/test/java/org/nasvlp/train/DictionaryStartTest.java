package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DictionaryStartTest {
  private static final int WIDTH = 3;

  /** Batches whose numbers go on from one to the next. */
  private static DictionaryStart.Source counting(int tokensPerBatch, AtomicInteger asked) {
    return () -> {
      float[] tokens = new float[tokensPerBatch * WIDTH];
      int from = asked.getAndIncrement() * tokens.length;
      for (int i = 0; i < tokens.length; i++) {
        tokens[i] = from + i;
      }
      return tokens;
    };
  }

  @ParameterizedTest
  @CsvSource({
    // codewords, tokens a batch, batches: four tokens a codeword, rounded up
    "24, 128, 1",
    "32, 128, 1",
    "33, 128, 2",
    "100, 7, 58",
    // no more than 64, which hold a token for each
    "100, 2, 64",
    "128, 2, 64"
  })
  void asManyBatchesAsGiveEachCodewordFourTokens(int codewords, int tokensPerBatch, int batches)
      throws InterruptedException {
    AtomicInteger asked = new AtomicInteger();
    float[] tokens =
        DictionaryStart.tokens(codewords, WIDTH, tokensPerBatch, counting(tokensPerBatch, asked));
    assertThat(asked).hasValue(batches);
    assertThat(tokens).hasSize(batches * tokensPerBatch * WIDTH);
    for (int i = 0; i < tokens.length; i++) {
      assertThat(tokens[i]).isEqualTo(i);
    }
  }

  @Test
  void fewerTokensThanCodewordsAreRefusedBeforeAnyAreRead() {
    assertThatThrownBy(() -> DictionaryStart.tokens(129, WIDTH, 2, () -> fail("asked for a batch")))
        .isInstanceOf(TrainingException.class)
        .hasMessage(
            "dictionary.codewords is 129, more than the patch tokens of 64 batches: lower it or"
                + " raise data.batchSize");
  }

  @Test
  void aBatchOfAnotherSizeIsRefused() {
    assertThatThrownBy(() -> DictionaryStart.tokens(24, WIDTH, 128, () -> new float[WIDTH]))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("3 numbers, not 128 tokens");
  }
}
