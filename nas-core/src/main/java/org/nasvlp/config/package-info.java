/**
 * Configuration: immutable records with a preset to start from, read from YAML or JSON and checked
 * by field.
 */
@org.jspecify.annotations.NullMarked
package org.nasvlp.config;
