/** Trains variants of a configuration with several seeds each and compares what they reach. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.ablation;
