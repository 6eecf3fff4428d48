package org.nasvlp.config;

import com.sun.source.doctree.DocCommentTree;
import com.sun.source.doctree.DocTree;
import com.sun.source.doctree.LinkTree;
import com.sun.source.doctree.LiteralTree;
import com.sun.source.doctree.ParamTree;
import com.sun.source.tree.BinaryTree;
import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.ExpressionTree;
import com.sun.source.tree.MethodInvocationTree;
import com.sun.source.tree.Tree;
import com.sun.source.tree.VariableTree;
import com.sun.source.util.DocTrees;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TreePath;
import com.sun.source.util.TreePathScanner;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * The tables of docs/configuration.md: names, types and defaults from the records, what they mean
 * and which values they take from the sources.
 */
final class ConfigurationPage {
  /** A source of a value, where the text on a field ends with one: {@code (ALBEF: 0.07)}. */
  private static final Pattern SOURCE = Pattern.compile(" \\(([A-Za-z]+): ([-0-9.e]+)\\)$");

  private static final String OWN = "this library";

  /** Text on records, their components and enum constants: {@code ModelConfig.width}. */
  private final Map<String, String> texts = new LinkedHashMap<>();

  /** What the fields' checks say is allowed, by {@code model.width}. */
  private final Map<String, List<String>> rules = new LinkedHashMap<>();

  private final Map<String, NasConfig> presets = new LinkedHashMap<>();

  /**
   * Reads the sources.
   *
   * @param sources folder of the configuration's package
   */
  ConfigurationPage(Path sources) throws IOException {
    NasConfig.presets().forEach(name -> presets.put(name, NasConfig.preset(name)));
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    try (Stream<Path> list = Files.list(sources);
        StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      List<Path> java = list.filter(file -> file.toString().endsWith(".java")).sorted().toList();
      JavacTask task =
          (JavacTask)
              compiler.getTask(
                  null,
                  files,
                  null,
                  List.of("-proc:none"),
                  null,
                  files.getJavaFileObjectsFromPaths(java));
      DocTrees docs = DocTrees.instance(task);
      for (CompilationUnitTree unit : task.parse()) {
        new Reader(docs).scan(unit, null);
      }
    }
  }

  private final class Reader extends TreePathScanner<Void, Void> {
    private final DocTrees docs;

    Reader(DocTrees docs) {
      this.docs = docs;
    }

    @Override
    public Void visitClass(ClassTree tree, Void nothing) {
      DocCommentTree comment = docs.getDocCommentTree(getCurrentPath());
      String name = tree.getSimpleName().toString();
      if (comment != null) {
        texts.put(name, plain(comment.getFullBody()));
        for (DocTree tag : comment.getBlockTags()) {
          if (tag instanceof ParamTree param) {
            texts.put(name + "." + param.getName(), plain(param.getDescription()));
          }
        }
      }
      if (tree.getKind() == Tree.Kind.ENUM) {
        for (Tree member : tree.getMembers()) {
          DocCommentTree text = docs.getDocCommentTree(new TreePath(getCurrentPath(), member));
          if (member instanceof VariableTree constant && text != null) {
            texts.put(name + "." + constant.getName(), plain(text.getFullBody()));
          }
        }
      }
      return super.visitClass(tree, null);
    }

    @Override
    public Void visitMethodInvocation(MethodInvocationTree tree, Void nothing) {
      List<? extends ExpressionTree> arguments = tree.getArguments();
      switch (tree.getMethodSelect().toString()) {
        case "ConfigCheck.range" ->
            rule(arguments.get(0), number(arguments.get(2)) + " to " + number(arguments.get(3)));
        case "ConfigCheck.that" -> rule(arguments.get(1), words(arguments.get(3)));
        default -> {}
      }
      return super.visitMethodInvocation(tree, null);
    }

    private void rule(ExpressionTree field, String rule) {
      String[] parts = words(field).split("\\.", -1);
      if (parts.length < 2) {
        return;
      }
      boolean deeper = parts.length > 2 && !parts[2].isEmpty();
      List<String> all = rules.computeIfAbsent(parts[0] + "." + parts[1], key -> new ArrayList<>());
      String text =
          deeper
              ? "`" + parts[2] + "` " + rule
              : rule.replaceFirst("^must (lie |be )?(?!leave)", "");
      // The plain range before what holds beside it.
      all.add(rule.startsWith("must") ? all.size() : 0, text);
    }
  }

  private static String number(ExpressionTree tree) {
    return tree instanceof com.sun.source.tree.LiteralTree literal
        ? shown(literal.getValue())
        : tree.toString();
  }

  /** The literal parts of a concatenation, without the brackets that values stand in. */
  private static String words(ExpressionTree tree) {
    if (tree instanceof BinaryTree sum) {
      return (words(sum.getLeftOperand()) + words(sum.getRightOperand())).replace(" ()", "");
    }
    return tree.getKind() == Tree.Kind.STRING_LITERAL
        ? ((com.sun.source.tree.LiteralTree) tree).getValue().toString()
        : "";
  }

  private static String plain(List<? extends DocTree> trees) {
    StringBuilder text = new StringBuilder();
    for (DocTree tree : trees) {
      text.append(
          switch (tree) {
            case LiteralTree code -> "`" + code.getBody().getBody().strip() + "`";
            case LinkTree link ->
                "`" + link.getReference().getSignature().replaceAll("^([a-z]+\\.)+", "") + "`";
            default -> tree.toString();
          });
    }
    return text.toString().replaceAll("`#", "`").replace('#', '.').replaceAll("\\s+", " ").strip();
  }

  /** The tables, a section for each record. */
  String markdown() {
    StringBuilder page = new StringBuilder();
    for (RecordComponent section : NasConfig.class.getRecordComponents()) {
      Class<?> record = section.getType();
      page.append("\n## `").append(section.getName()).append("`\n\n");
      page.append(text(record.getSimpleName())).append("\n\n");
      page.append("| field | type | ");
      presets.keySet().forEach(name -> page.append('`').append(name).append("` | "));
      page.append("allowed | meaning | default from |\n|---|---|");
      page.append("---|".repeat(presets.size())).append("---|---|---|\n");
      List<Class<?>> enums = new ArrayList<>();
      for (RecordComponent field : record.getRecordComponents()) {
        page.append(row(section, field)).append('\n');
        Class<?> type = keys(field);
        if (type.isEnum() && !type.equals(HardNegativeLoss.class)) {
          enums.add(type);
        }
        if (type.equals(HardNegativeLoss.class) && record.equals(NvaConfig.class)) {
          enums.add(type);
        }
      }
      for (Class<?> type : enums) {
        page.append("\n| `").append(type.getSimpleName()).append("` | ");
        page.append(text(type.getSimpleName())).append(" |\n|---|---|\n");
        for (Object constant : type.getEnumConstants()) {
          page.append("| `").append(constant).append("` | ");
          page.append(text(type.getSimpleName() + "." + constant)).append(" |\n");
        }
      }
    }
    return page.toString();
  }

  private String row(RecordComponent section, RecordComponent field) {
    String text = text(field.getDeclaringRecord().getSimpleName() + "." + field.getName());
    Matcher source = SOURCE.matcher(text);
    boolean found = source.find();
    List<String> cells = new ArrayList<>();
    cells.add("`" + section.getName() + "." + field.getName() + "`");
    cells.add(type(field));
    presets.values().forEach(config -> cells.add(shown(value(config, section, field))));
    cells.add(allowed(section, field));
    cells.add(found ? text.substring(0, source.start()) : text);
    cells.add(found ? source.group(1) + " (`base`)" : OWN);
    return "| " + String.join(" | ", cells) + " |";
  }

  /** The values that the text ascribes to a source, by field, to hold against the base preset. */
  Map<String, Double> ascribed() {
    Map<String, Double> values = new LinkedHashMap<>();
    texts.forEach(
        (name, text) -> {
          Matcher source = SOURCE.matcher(text);
          if (source.find()) {
            values.put(name, Double.valueOf(source.group(2)));
          }
        });
    return values;
  }

  private String text(String name) {
    return Objects.requireNonNull(texts.get(name), () -> name + " has no Javadoc");
  }

  private String allowed(RecordComponent section, RecordComponent field) {
    List<String> all = new ArrayList<>();
    if (field.getType() == boolean.class) {
      all.add("`true`, `false`");
    } else if (field.getType() == long.class) {
      all.add("any");
    } else if (field.getType().isEnum()) {
      all.add(
          Arrays.stream(field.getType().getEnumConstants())
              .map(constant -> "`" + constant + "`")
              .collect(Collectors.joining(", ")));
    }
    all.addAll(rules.getOrDefault(section.getName() + "." + field.getName(), List.of()));
    return String.join("; ", all);
  }

  private static Class<?> keys(RecordComponent field) {
    return field.getName().equals("typeWeights") ? EditType.class : field.getType();
  }

  private static String type(RecordComponent field) {
    Class<?> type = field.getType();
    if (type == int.class || type == long.class) {
      return "integer";
    }
    if (type == double.class) {
      return "number";
    }
    if (type == boolean.class) {
      return "boolean";
    }
    if (type == String.class) {
      return "text";
    }
    if (type == List.class) {
      return "list of texts";
    }
    return type.isEnum() ? "`" + type.getSimpleName() + "`" : "number by `EditType`";
  }

  static Object value(NasConfig config, RecordComponent section, RecordComponent field) {
    try {
      return field.getAccessor().invoke(section.getAccessor().invoke(config));
    } catch (ReflectiveOperationException e) {
      throw new LinkageError(e.getMessage(), e);
    }
  }

  private static String shown(Object value) {
    return switch (value) {
      case Double number when number == Math.rint(number) -> Long.toString(number.longValue());
      case Double number -> number.toString().replace(".0E", "e").replace("E", "e");
      case Map<?, ?> weights when weights.values().stream().allMatch(w -> w.equals(1.0)) ->
          "1 each";
      default -> value.toString();
    };
  }
}
