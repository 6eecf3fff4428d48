/**
 * The losses of pretraining, one class a loss, and what they may look at. Each is an {@link
 * org.nasvlp.objective.Objective}; a program adds its own to those that the configuration asks for.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.objective;
