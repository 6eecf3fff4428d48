/**
 * The visual dictionary: codewords that follow the patch tokens of a model, and the neighbours of
 * each.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.dictionary;
