/** Pictures: decoding, resampling and augmentation. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.data.image;
