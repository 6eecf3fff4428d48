/** How well captions fit images, as an evaluation sees a model. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.scoring;
