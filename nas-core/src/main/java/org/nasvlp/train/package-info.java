/** The pretraining loop, what it reports on its way, and what it leaves behind. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.train;
