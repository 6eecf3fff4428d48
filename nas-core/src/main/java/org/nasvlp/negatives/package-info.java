/** Hard negatives: images made through the Visual Dictionary, captions made by editing text. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.negatives;
