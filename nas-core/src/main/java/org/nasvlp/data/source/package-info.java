/** Where pairs come from: lists, tables, WebDataset shards, and mixtures of them. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.data.source;
