/** Folders of checkpoints and the safetensors files in them. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.checkpoint;
