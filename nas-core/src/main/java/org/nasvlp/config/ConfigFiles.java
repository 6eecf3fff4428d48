package org.nasvlp.config;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import tools.jackson.core.JacksonException;
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
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(EnumFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .build();
  private static final YAMLMapper YAML = YAMLMapper.builder().build();

  private ConfigFiles() {}

  static NasConfig load(Path file) throws IOException {
    String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
    boolean yaml = name.endsWith(".yaml") || name.endsWith(".yml");
    if (!yaml && !name.endsWith(".json")) {
      throw new IllegalArgumentException(
          file + ": a configuration file's name ends in .json, .yaml or .yml");
    }
    return parse(Files.readString(file), file.toString(), yaml);
  }

  static NasConfig parse(String text, String name, boolean yaml) {
    try {
      JsonNode given = yaml ? YAML.readTree(text) : JSON.readTree(text);
      if (!(given instanceof ObjectNode fields)) {
        throw new IllegalArgumentException(
            name + ": a configuration is an object of the fields " + sections());
      }
      JsonNode preset = fields.remove("preset");
      if (preset != null && !preset.isString()) {
        throw new IllegalArgumentException(name + ": preset must be a name, got " + preset);
      }
      NasConfig base = NasConfig.preset(preset == null ? "tiny" : preset.stringValue());
      ObjectNode merged = JSON.valueToTree(base);
      merge(merged, fields, "", name);
      return JSON.treeToValue(merged, NasConfig.class);
    } catch (UnrecognizedPropertyException e) {
      throw new IllegalArgumentException(
          name
              + ": unknown field "
              + e.getPropertyName()
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
          name + ": " + (where.isEmpty() ? "" : where + ": ") + e.getOriginalMessage(), e);
    } catch (IllegalArgumentException e) {
      if (e.getMessage() != null && e.getMessage().startsWith(name)) {
        throw e;
      }
      throw new IllegalArgumentException(name + ": " + e.getMessage(), e);
    }
  }

  private static List<String> sections() {
    return Arrays.stream(NasConfig.class.getRecordComponents())
        .map(component -> component.getName())
        .toList();
  }

  private static void merge(ObjectNode into, ObjectNode from, String path, String name) {
    for (var property : from.properties()) {
      String field = path + property.getKey();
      JsonNode known = into.get(property.getKey());
      if (known == null) {
        throw new IllegalArgumentException(
            name
                + ": unknown field "
                + field
                + "; known here are "
                + into.propertyNames().stream().sorted().toList());
      }
      if (known instanceof ObjectNode inner) {
        if (!(property.getValue() instanceof ObjectNode fields)) {
          throw new IllegalArgumentException(name + ": " + field + " must be an object of fields");
        }
        merge(inner, fields, field + ".", name);
      } else {
        into.set(property.getKey(), property.getValue());
      }
    }
  }

  static String toJson(NasConfig config) {
    return JSON.writeValueAsString(config);
  }
}
