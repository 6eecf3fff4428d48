package org.nasvlp.config;

import io.soabase.recordbuilder.core.RecordBuilder;

/** Marks a record of the configuration: the compiler makes a builder for it. */
@RecordBuilder.Template(
    options =
        @RecordBuilder.Options(
            addStaticBuilder = false,
            enableGetters = false,
            enableWither = false))
@interface ConfigSection {}
