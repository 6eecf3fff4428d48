/** Evaluation: fine-grained choices, Winoground's scores and retrieval, from any scorer. */
@NullMarked
package org.nasvlp.eval;

import org.jspecify.annotations.NullMarked;
