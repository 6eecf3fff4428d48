/** The Visual Dictionary. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.dictionary;
