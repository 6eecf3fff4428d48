/** Hard negatives made through the Visual Dictionary. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.negatives;
