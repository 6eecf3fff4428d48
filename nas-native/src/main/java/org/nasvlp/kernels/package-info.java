/**
 * Kernels of the visual dictionary. {@link org.nasvlp.kernels.Codebook} holds the codewords and
 * does the work, {@link org.nasvlp.kernels.Kernels} tells and sets what the process runs on.
 */
package org.nasvlp.kernels;
