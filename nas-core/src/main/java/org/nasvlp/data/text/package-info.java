/**
 * Captions: normalizing them, splitting them into tokens, and the parts of speech of their words.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.data.text;
