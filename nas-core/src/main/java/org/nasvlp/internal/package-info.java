/** Helpers that are not part of the API. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.internal;
