/** Contrastive, matching and masked-language objectives. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.objective;
