package org.nasvlp.train;

/**
 * Collects the patch tokens that a dictionary starts from: enough, where {@value #MOST_BATCHES}
 * batches hold so many, that no codeword has to stand for fewer than {@value #TOKENS_EACH}.
 */
final class DictionaryStart {
  static final int MOST_BATCHES = 64;
  static final int TOKENS_EACH = 4;

  /** Gives the patch tokens of the next batch, row-major. */
  @FunctionalInterface
  interface Source {
    float[] next() throws InterruptedException;
  }

  private DictionaryStart() {}

  /**
   * The tokens, row-major.
   *
   * @param codewords K
   * @param width d of a token
   * @param tokensPerBatch that the source gives
   * @throws TrainingException if there are fewer than codewords
   */
  static float[] tokens(int codewords, int width, long tokensPerBatch, Source source)
      throws InterruptedException {
    int batches =
        (int) Math.min(MOST_BATCHES, Math.ceilDiv((long) TOKENS_EACH * codewords, tokensPerBatch));
    if (batches * tokensPerBatch < codewords) {
      throw new TrainingException(
          ("dictionary.codewords is %d, more than the patch tokens of %d batches:"
                  + " lower it or raise data.batchSize")
              .formatted(codewords, batches));
    }
    int each = Math.toIntExact(tokensPerBatch * width);
    float[] tokens = new float[Math.multiplyExact(batches, each)];
    for (int i = 0; i < batches; i++) {
      float[] batch = source.next();
      if (batch.length != each) {
        throw new IllegalStateException(
            "a batch gave %d numbers, not %d tokens of width %d"
                .formatted(batch.length, tokensPerBatch, width));
      }
      System.arraycopy(batch, 0, tokens, i * each, each);
    }
    return tokens;
  }
}
