/** The {@code nas} command: a thin shell on the pretraining library. */
@NullMarked
package org.nasvlp.cli;

import org.jspecify.annotations.NullMarked;
