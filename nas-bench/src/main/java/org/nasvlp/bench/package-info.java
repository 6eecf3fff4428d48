/** JMH benchmarks of the dictionary kernels beside LibTorch's way of doing the same. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.bench;
