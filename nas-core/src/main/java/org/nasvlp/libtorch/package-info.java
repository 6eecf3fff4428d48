/** What LibTorch is there: its version, its threads and the devices that it can train on. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.libtorch;
