package org.nasvlp.kernels;

/**
 * Which instructions a native library's kernels use: a {@link CpuTier} or a {@link CudaTier}. None
 * changes a result.
 */
public sealed interface Tier permits CpuTier, CudaTier {}
