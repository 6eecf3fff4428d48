/** Checkpoints and the safetensors format. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.checkpoint;
