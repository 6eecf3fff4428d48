/** The pretraining loop and its reports. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.train;
