/** Shows what training runs learned as one HTML page, and says what is wrong with them. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.report;
