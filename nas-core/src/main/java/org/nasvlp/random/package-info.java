/** Randomness that depends on coordinates alone, and hashes that never change. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.random;
