package org.nasvlp.model.layer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Declares parameters under the names of one part of a network. First values are drawn in the order
 * of declaration; memory is in that order too, parameters under weight decay before the others.
 */
public final class ParameterScope {
  private final String prefix;
  private final Map<String, Parameter> declared;
  private final List<Parameter> joined;
  private final List<Constant> constants;

  private ParameterScope(
      String prefix,
      Map<String, Parameter> declared,
      List<Parameter> joined,
      List<Constant> constants) {
    this.prefix = prefix;
    this.declared = declared;
    this.joined = joined;
    this.constants = constants;
  }

  /**
   * What a network computes with, but neither trains nor saves.
   *
   * @param parameter of its shape, not among the declared ones
   * @param values row-major
   */
  public record Constant(Parameter parameter, float[] values) {}

  /** The scope of a whole network, without parameters yet. */
  public static ParameterScope root() {
    return new ParameterScope("", new LinkedHashMap<>(), new ArrayList<>(), new ArrayList<>());
  }

  /** The scope of a part, whose names begin with this scope's and then that. */
  public ParameterScope scope(String part) {
    return new ParameterScope(prefix + part + ".", declared, joined, constants);
  }

  /**
   * Declares a parameter.
   *
   * @param decay whether it is under weight decay
   * @param shape fan-out first
   * @throws IllegalStateException if there is one of that name
   */
  public Parameter declare(String name, Start start, boolean decay, long... shape) {
    Parameter parameter = new Parameter(prefix + name, start, decay, List.of(), shape);
    if (declared.putIfAbsent(parameter.name(), parameter) != null) {
      throw new IllegalStateException("two parameters are named " + parameter.name());
    }
    return parameter;
  }

  /**
   * Parameters declared one after the other, seen as one along their first dimension: the same
   * memory, and the same memory of gradients.
   *
   * @throws IllegalStateException if they do not lie side by side, or differ in the other
   *     dimensions
   */
  public Parameter join(Parameter... parts) {
    Parameter first = parts[0];
    List<Parameter> order =
        declared.values().stream().filter(p -> p.decay() == first.decay()).toList();
    int at = order.indexOf(first);
    long[] shape = first.shape();
    shape[0] = 0;
    for (int i = 0; i < parts.length; i++) {
      long[] next = parts[i].shape();
      if (at < 0
          || at + i >= order.size()
          || order.get(at + i) != parts[i]
          || !Arrays.equals(next, 1, next.length, shape, 1, shape.length)) {
        throw new IllegalStateException(
            parts[i].name() + " does not continue " + first.name() + " in memory");
      }
      shape[0] += next[0];
    }
    Parameter whole =
        new Parameter(
            first.name() + " and " + (parts.length - 1) + " more",
            first.start(),
            first.decay(),
            List.of(parts),
            shape);
    joined.add(whole);
    return whole;
  }

  /** Declares a constant with its values, row-major. */
  public Parameter constant(String name, float[] values, long... shape) {
    Parameter parameter = new Parameter(prefix + name, Start.ZEROS, false, List.of(), shape);
    constants.add(new Constant(parameter, values));
    return parameter;
  }

  /** All parameters of the network so far, by whole name, in the order of declaration. */
  public Map<String, Parameter> declared() {
    return Collections.unmodifiableMap(declared);
  }

  /** All that {@link #join} made. */
  public List<Parameter> joined() {
    return Collections.unmodifiableList(joined);
  }

  /** All that {@link #constant} declared. */
  public List<Constant> constants() {
    return Collections.unmodifiableList(constants);
  }
}
