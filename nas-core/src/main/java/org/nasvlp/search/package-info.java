/**
 * Finding pictures by captions: an index of embeddings, and a search that lets the match head judge
 * what the index finds.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.search;
