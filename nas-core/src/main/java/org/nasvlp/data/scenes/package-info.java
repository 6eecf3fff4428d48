/**
 * Composed scenes: pictures of two to five things with exact captions that ask for fine detail (who
 * is where, how many, what color belongs to what), and a test of pairs that differ in one respect.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.data.scenes;
