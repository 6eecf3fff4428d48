package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.nasvlp.kernels.SwapInput;
import org.nasvlp.kernels.SwapOutput;
import org.nasvlp.kernels.TokenSwap;

/** The three structs of a swap in native memory, for one call at a time. */
final class SwapStructs {
  private static final long IMAGES = param("images");
  private static final long TOKENS = param("tokens");
  private static final long CHOSEN = param("chosen");
  private static final long NEIGHBOURS = param("neighbours");
  private static final long EVIDENCE_ROWS = param("evidence_rows");
  private static final long TEXT_WEIGHT = param("text_weight");
  private static final long SEED = param("seed");
  private static final long STEP = param("step");
  private static final long CHOOSE = param("choose");
  private static final long SUBSTITUTE = param("substitute");
  private static final long SIGN = param("sign");
  private static final long WRITE = param("write");
  private static final long DONORS = param("donors");

  private static final long IN_TEXT = Layouts.at(Layouts.SWAP_INPUT, "text");
  private static final long IN_IMAGE = Layouts.at(Layouts.SWAP_INPUT, "image");
  private static final long IN_EVIDENCE = Layouts.at(Layouts.SWAP_INPUT, "evidence");
  private static final long IN_EVIDENCE_OF = Layouts.at(Layouts.SWAP_INPUT, "evidence_of");
  private static final long IN_TOKENS = Layouts.at(Layouts.SWAP_INPUT, "tokens");
  private static final long IN_CODES = Layouts.at(Layouts.SWAP_INPUT, "codes");
  private static final long IN_LISTS = Layouts.at(Layouts.SWAP_INPUT, "neighbour_lists");
  private static final long IN_SAMPLE_IDS = Layouts.at(Layouts.SWAP_INPUT, "sample_ids");

  private static final long OUT_POSITIONS = Layouts.at(Layouts.SWAP_OUTPUT, "positions");
  private static final long OUT_SUBSTITUTES = Layouts.at(Layouts.SWAP_OUTPUT, "substitutes");
  private static final long OUT_SWAPPED = Layouts.at(Layouts.SWAP_OUTPUT, "swapped");
  private static final long OUT_SCORES = Layouts.at(Layouts.SWAP_OUTPUT, "scores");
  private static final long OUT_MASK = Layouts.at(Layouts.SWAP_OUTPUT, "mask");

  final MemorySegment params = Arena.ofAuto().allocate(Layouts.SWAP_PARAMS);
  final MemorySegment input = Arena.ofAuto().allocate(Layouts.SWAP_INPUT);
  final MemorySegment output = Arena.ofAuto().allocate(Layouts.SWAP_OUTPUT);

  private static long param(String field) {
    return Layouts.at(Layouts.SWAP_PARAMS, field);
  }

  void fill(TokenSwap p, SwapInput in, SwapOutput out) {
    params.set(JAVA_LONG, IMAGES, p.images());
    params.set(JAVA_LONG, TOKENS, p.tokens());
    params.set(JAVA_LONG, CHOSEN, p.chosen());
    params.set(JAVA_LONG, NEIGHBOURS, p.neighbours());
    params.set(JAVA_LONG, EVIDENCE_ROWS, in.evidenceRows());
    params.set(JAVA_DOUBLE, TEXT_WEIGHT, p.textWeight());
    params.set(JAVA_LONG, SEED, p.seed());
    params.set(JAVA_INT, STEP, p.step());
    params.set(
        JAVA_INT,
        CHOOSE,
        switch (p.choose()) {
          case RELEVANCE -> 0;
          case GAIN -> 1;
        });
    params.set(JAVA_INT, SUBSTITUTE, p.substitute() == TokenSwap.Substitute.DRAW ? 0 : 1);
    params.set(
        JAVA_INT,
        SIGN,
        switch (p.substitute()) {
          case DRAW -> 0;
          case MOST_EVIDENCE -> 1;
          case LEAST_EVIDENCE -> -1;
        });
    params.set(
        JAVA_INT,
        WRITE,
        switch (p.write()) {
          case CODEWORD -> 0;
          case RESIDUAL -> 1;
        });
    params.set(JAVA_INT, DONORS, p.donors() ? 1 : 0);

    put(input, IN_TEXT, in.text());
    put(input, IN_IMAGE, in.image());
    put(input, IN_EVIDENCE, in.evidence());
    put(input, IN_EVIDENCE_OF, in.evidenceOf());
    put(input, IN_TOKENS, in.tokens());
    put(input, IN_CODES, in.codes());
    put(input, IN_LISTS, in.neighbourLists());
    put(input, IN_SAMPLE_IDS, in.sampleIds());

    put(output, OUT_POSITIONS, out.positions());
    put(output, OUT_SUBSTITUTES, out.substitutes());
    put(output, OUT_SWAPPED, out.swapped());
    put(output, OUT_SCORES, out.scores());
    put(output, OUT_MASK, out.mask());
  }

  private static void put(MemorySegment struct, long at, MemorySegment segment) {
    struct.set(ADDRESS, at, segment == null ? MemorySegment.NULL : segment);
  }
}
