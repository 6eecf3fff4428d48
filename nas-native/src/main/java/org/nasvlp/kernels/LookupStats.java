package org.nasvlp.kernels;

/**
 * What a lookup did, summed over its rows. It has no influence on the result: it is there to see
 * that a fast path was taken. What a backend does not count is −1.
 *
 * @param tier instruction tier in use
 * @param rowsInt8 rows whose candidates int8 screening found
 * @param rowsFloat32 rows whose candidates float32 screening found
 * @param rowsScanned rows compared with every codeword, or all of a group, in float64
 * @param candidates codewords that screening left, over the rows that were not scanned
 * @param distances float64 distances computed among the candidates
 * @param rowsFloat64 rows decided by float64 distances: scanned, looked up in groups of codewords,
 *     or with two or more
 * @param packingNanos time spent packing codewords that had changed since the last lookup
 */
public record LookupStats(
    Tier tier,
    long rowsInt8,
    long rowsFloat32,
    long rowsScanned,
    long candidates,
    long distances,
    long rowsFloat64,
    long packingNanos) {}
