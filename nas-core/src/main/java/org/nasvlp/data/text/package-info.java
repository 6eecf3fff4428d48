/** Captions: normalising them and splitting them into tokens. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.data.text;
