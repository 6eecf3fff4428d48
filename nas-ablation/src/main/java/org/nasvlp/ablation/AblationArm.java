package org.nasvlp.ablation;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Pattern;
import org.nasvlp.config.NasConfig;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/**
 * One variant of an ablation: the fields of the base configuration that it changes.
 *
 * @param name of letters, digits, {@code + - _ .}, at most 60 of them; also names the arm's folder
 * @param patch JSON object in the form of a configuration file, with the changed fields alone
 */
public record AblationArm(String name, String patch) {
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9+_-][A-Za-z0-9+_.-]{0,59}");
  private static final String BUILT_IN = "arms.yaml";
  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();
  private static final ObjectMapper YAML =
      YAMLMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  /** What every arm has to share with the others, so that they can be compared. */
  private static final List<String> SHARED =
      List.of(
          "preset",
          "training.seed",
          "training.steps",
          "training.minutes",
          "training.stepMinutes",
          "training.evaluateEvery",
          "data.batchSize");

  /** Checks the name, that the patch is an object, and that it leaves what arms share alone. */
  public AblationArm {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "arm '"
              + name
              + "': a name has 1 to 60 letters, digits, + - _ or . and does not begin with a dot");
    }
    ObjectNode fields = object(name, patch);
    for (String shared : SHARED) {
      if (!fields.at("/" + shared.replace('.', '/')).isMissingNode()) {
        throw new IllegalArgumentException(
            "arm "
                + name
                + ": "
                + shared
                + " cannot differ between arms; set it for all of them in the base configuration"
                + " or the ablation's options");
      }
    }
    patch = fields.toString();
  }

  private static ObjectNode object(String name, String patch) {
    try {
      if (JsonMapper.shared().readTree(patch) instanceof ObjectNode fields) {
        return fields;
      }
    } catch (JacksonException e) {
      throw new IllegalArgumentException(
          "arm " + name + ": its patch is not JSON: " + e.getOriginalMessage(), e);
    }
    throw new IllegalArgumentException(
        "arm " + name + ": its patch must be an object of configuration fields");
  }

  /**
   * The configuration with this arm's fields in place of the base's.
   *
   * @throws IllegalArgumentException naming the arm and the field, for an unknown field or a value
   *     that the configuration does not allow
   */
  public NasConfig apply(NasConfig base) {
    return base.merge(patch, "arm " + name);
  }

  /** The library's own arms: the baseline, the method's parts and all of it. */
  public static List<AblationArm> builtIn() {
    try (InputStream stream = AblationArm.class.getResourceAsStream(BUILT_IN)) {
      byte[] text = Objects.requireNonNull(stream, BUILT_IN).readAllBytes();
      return parse(new String(text, StandardCharsets.UTF_8), BUILT_IN, YAML);
    } catch (IOException e) {
      throw new IllegalStateException(BUILT_IN + " cannot be read", e);
    }
  }

  /**
   * Reads arms from a JSON or YAML file: a list of {@code {name, patch}}, the baseline first. A
   * patch that is left out changes nothing.
   *
   * @throws IllegalArgumentException naming the file and the arm, for another form, an unknown
   *     field or a name that occurs twice
   * @throws IOException if the file cannot be read
   */
  public static List<AblationArm> load(Path file) throws IOException {
    String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
    boolean yaml = name.endsWith(".yaml") || name.endsWith(".yml");
    if (!yaml && !name.endsWith(".json")) {
      throw new IllegalArgumentException(
          file + ": a file of arms has a name that ends in .json, .yaml or .yml");
    }
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw new IOException(file + ": is not a regular file; name a file of arms");
    }
    try {
      return parse(Files.readString(file), file.toString(), yaml ? YAML : JSON);
    } catch (CharacterCodingException e) {
      throw new IOException(
          file + " is not UTF-8 text; convert it (iconv -f ENCODING -t UTF-8)", e);
    }
  }

  private static List<AblationArm> parse(String text, String file, ObjectMapper mapper) {
    JsonNode list;
    try {
      list = mapper.readTree(text);
    } catch (JacksonException e) {
      String line = e.getLocation() == null ? "" : "line " + e.getLocation().getLineNr() + ": ";
      throw new IllegalArgumentException(file + ": " + line + e.getOriginalMessage(), e);
    }
    if (!list.isArray() || list.isEmpty()) {
      throw new IllegalArgumentException(
          file + ": must be a list of at least one arm {name, patch}, the baseline first");
    }
    List<AblationArm> arms = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (JsonNode entry : list) {
      String where = file + ": entry " + (arms.size() + 1);
      JsonNode name = entry.get("name");
      if (name == null || !name.isString()) {
        throw new IllegalArgumentException(where + " needs a text as \"name\"");
      }
      for (String field : entry.propertyNames()) {
        if (!field.equals("name") && !field.equals("patch")) {
          throw new IllegalArgumentException(
              where + ": unknown field " + field + "; an arm has a name and a patch");
        }
      }
      JsonNode patch = entry.get("patch");
      AblationArm arm;
      try {
        arm = new AblationArm(name.stringValue(), patch == null ? "{}" : patch.toString());
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
      }
      if (!names.add(arm.name())) {
        throw new IllegalArgumentException(where + ": the name " + arm.name() + " occurs twice");
      }
      arms.add(arm);
    }
    return List.copyOf(arms);
  }
}
