/**
 * How well captions fit images, as an evaluation sees a model: two interfaces that any model can
 * stand behind.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.scoring;
