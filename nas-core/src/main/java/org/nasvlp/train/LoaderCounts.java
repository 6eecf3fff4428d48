package org.nasvlp.train;

import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.nasvlp.data.BatchLoader;
import org.nasvlp.data.LoaderState;
import org.nasvlp.distributed.Ranks;
import tools.jackson.databind.json.JsonMapper;

/** What the loaders of all ranks have counted together: each counts the samples of its share. */
final class LoaderCounts {
  private static final int MOST_EXAMPLES = 100;
  private static final JsonMapper JSON = JsonMapper.builder().build();

  private final Ranks ranks;
  private final long skippedBefore;
  private final long truncatedBefore;
  private long skippedOfAll;

  /**
   * @param before what all loaders go on from; null for nothing
   */
  LoaderCounts(@Nullable LoaderState before, Ranks ranks) {
    this.ranks = ranks;
    this.skippedBefore = before == null ? 0 : BitSet.valueOf(before.bad()).cardinality();
    this.truncatedBefore = before == null ? 0 : before.truncatedCaptions();
    this.skippedOfAll = skippedBefore;
  }

  /** Samples that this rank has skipped since the run went on. */
  long own(BatchLoader loader) {
    return loader.skipped().skipped() - skippedBefore;
  }

  /** Takes in how many samples all ranks have skipped since the run went on. */
  void agree(long skipped) {
    skippedOfAll = skippedBefore + skipped;
  }

  /** Samples skipped, of all ranks as of when they last agreed. */
  long skipped(BatchLoader loader) {
    return ranks.isAlone() ? loader.skipped().skipped() : skippedOfAll;
  }

  /** The counts of all ranks. A collective. */
  LoaderState merged(BatchLoader loader) {
    LoaderState own = loader.state();
    if (ranks.isAlone()) {
      return own;
    }
    BitSet read = new BitSet();
    BitSet bad = new BitSet();
    Set<String> examples = new LinkedHashSet<>();
    long truncated = truncatedBefore;
    byte[] text = JSON.writeValueAsString(own).getBytes(StandardCharsets.UTF_8);
    for (byte[] of : ranks.gather(text)) {
      LoaderState state = JSON.readValue(of, LoaderState.class);
      read.or(BitSet.valueOf(state.read()));
      bad.or(BitSet.valueOf(state.bad()));
      examples.addAll(state.examples());
      truncated += state.truncatedCaptions() - truncatedBefore;
    }
    agree(bad.cardinality() - skippedBefore);
    List<String> first = examples.stream().limit(MOST_EXAMPLES).toList();
    return new LoaderState(
        own.firstStep(), read.toByteArray(), bad.toByteArray(), first, truncated);
  }
}
