/**
 * Randomness that depends on coordinates alone, and hashes that never change: for objectives and
 * editors of your own that must repeat.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.random;
