/**
 * Hard negative captions in English: parts of speech by Apache OpenNLP, WordNet 3.1, and curated
 * lists of what excludes one another.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.text.en;
