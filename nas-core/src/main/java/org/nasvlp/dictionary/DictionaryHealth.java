package org.nasvlp.dictionary;

/**
 * How well the dictionary's codes are used.
 *
 * @param codewords K
 * @param live codes whose smoothed count is not below the dead threshold
 * @param perplexity exp of the entropy of the smoothed counts, between 1 and K: the number of codes
 *     in even use over the recent steps that the moving average remembers
 * @param restarts codes restarted since training began
 */
public record DictionaryHealth(int codewords, int live, double perplexity, long restarts) {}
