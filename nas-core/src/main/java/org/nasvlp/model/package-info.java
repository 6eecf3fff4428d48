/**
 * The trained model. {@code NasModel} owns it; {@code Network} is its forward passes, put together
 * of {@code VisionEncoder}, {@code TextEncoder}, {@code FusionEncoder} and the heads, which {@code
 * layer} has the parts of; {@code Parameters} is their memory. {@code ModelFiles} reads and writes
 * checkpoints, {@code WeightImport} published weights.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.model;
