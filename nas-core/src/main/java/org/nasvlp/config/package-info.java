/** Configuration records, presets and files. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.config;
