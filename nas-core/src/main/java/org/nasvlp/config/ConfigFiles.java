package org.nasvlp.config;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.nasvlp.internal.Excerpt;
import org.nasvlp.internal.InputFiles;
import org.nasvlp.internal.Json;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.cfg.EnumFeature;
import tools.jackson.databind.exc.UnrecognizedPropertyException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/** Reads and writes configurations as JSON or YAML. */
final class ConfigFiles {
  private static final JsonMapper JSON =
      Json.MAPPER
          .rebuild()
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .enable(EnumFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .build();
  private static final YAMLMapper YAML =
      YAMLMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();
  private static final int MAX_BYTES = 1 << 20;

  private ConfigFiles() {}

  static NasConfig load(Path file) throws IOException {
    boolean yaml = isYaml(file);
    return parse(InputFiles.text(file, MAX_BYTES), file.toString(), yaml);
  }

  /** The configuration with the fields of a file in place of its own. */
  static NasConfig merge(NasConfig base, Path file) throws IOException {
    boolean yaml = isYaml(file);
    String text = InputFiles.text(file, MAX_BYTES);
    return named(
        file.toString(),
        () -> merge(base, object(yaml ? YAML.readTree(text) : JSON.readTree(text))));
  }

  private static boolean isYaml(Path file) {
    String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
    boolean yaml = name.endsWith(".yaml") || name.endsWith(".yml");
    if (!yaml && !name.endsWith(".json")) {
      throw new IllegalArgumentException(
          file + ": a configuration file's name ends in .json, .yaml or .yml");
    }
    return yaml;
  }

  /** The configuration of a file's text: the fields it names in place of its preset's. */
  static NasConfig parse(String text, String name, boolean yaml) {
    return named(
        name,
        () -> {
          ObjectNode fields = object(yaml ? YAML.readTree(text) : JSON.readTree(text));
          JsonNode preset = fields.remove("preset");
          if (preset != null && !preset.isString()) {
            throw new IllegalArgumentException("preset must be a name, got " + Excerpt.of(preset));
          }
          return merge(NasConfig.preset(preset == null ? "tiny" : preset.stringValue()), fields);
        });
  }

  /** The configuration with the fields of a JSON object in place of its own. */
  static NasConfig merge(NasConfig base, String json, String name) {
    return named(name, () -> merge(base, object(JSON.readTree(json))));
  }

  private static NasConfig merge(NasConfig base, ObjectNode fields) {
    RenamedFields.refuse(fields);
    ObjectNode merged = JSON.valueToTree(base);
    merge(merged, fields, "");
    return JSON.treeToValue(merged, NasConfig.class);
  }

  private static ObjectNode object(JsonNode given) {
    if (given instanceof ObjectNode fields) {
      return fields;
    }
    throw new IllegalArgumentException("a configuration is an object of the fields " + sections());
  }

  /** Puts the file's name, and the field's where it is known, before what went wrong. */
  private static NasConfig named(String name, Supplier<NasConfig> read) {
    try {
      return read.get();
    } catch (UnrecognizedPropertyException e) {
      throw new IllegalArgumentException(
          name
              + ": unknown field "
              + Excerpt.of(e.getPropertyName())
              + "; known are "
              + e.getKnownPropertyIds(),
          e);
    } catch (JacksonException e) {
      // A record's own check arrives wrapped; its message already names the field and the rule.
      if (e.getCause() instanceof IllegalArgumentException cause) {
        throw new IllegalArgumentException(name + ": " + cause.getMessage(), e);
      }
      String where =
          e.getPath().stream()
              .map(JacksonException.Reference::getPropertyName)
              .collect(Collectors.joining("."));
      throw new IllegalArgumentException(
          name + ": " + (where.isEmpty() ? "" : where + ": ") + Json.problem(e), e);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(name + ": " + e.getMessage(), e);
    }
  }

  private static List<String> sections() {
    return Arrays.stream(NasConfig.class.getRecordComponents())
        .map(component -> component.getName())
        .toList();
  }

  private static void merge(ObjectNode into, ObjectNode from, String path) {
    for (var property : from.properties()) {
      String field = path + property.getKey();
      JsonNode known = into.get(property.getKey());
      if (known == null) {
        throw new IllegalArgumentException(
            "unknown field "
                + Excerpt.of(field)
                + "; known here are "
                + into.propertyNames().stream().sorted().toList());
      }
      if (known instanceof ObjectNode inner) {
        if (!(property.getValue() instanceof ObjectNode fields)) {
          throw new IllegalArgumentException(field + " must be an object of fields");
        }
        merge(inner, fields, field + ".");
      } else {
        into.set(property.getKey(), property.getValue());
      }
    }
  }

  static String toJson(NasConfig config) {
    return JSON.writeValueAsString(config);
  }
}
