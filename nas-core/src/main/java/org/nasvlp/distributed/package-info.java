/**
 * Training on several devices and machines: who takes part ({@link
 * org.nasvlp.distributed.Cluster}), and how the ranks exchange what they have computed, over
 * PyTorch's c10d.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.distributed;
