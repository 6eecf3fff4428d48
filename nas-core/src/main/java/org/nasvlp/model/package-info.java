/** Encoders, heads and the trained model. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.model;
