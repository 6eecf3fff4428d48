/**
 * Data sets packed, pairs scored and embedded on a cluster of Apache Spark. {@link
 * org.nasvlp.spark.SparkNas} is where to begin.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.spark;
