package org.nasvlp.onnx;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;

/**
 * An ONNX graph while it is built. A value is known by its name, which is also that of the node
 * that makes it; weights keep the names of the model's parameters.
 */
final class OnnxGraph {
  /** The first with layer normalization as one operator; in ONNX Runtime from 1.12 on. */
  static final int OPSET = 17;

  /** The version of the file format that belongs to it. */
  private static final int IR_VERSION = 8;

  private final Map<String, Tensor> parameters;
  private final GraphProto.Builder graph;
  private final Set<String> constants = new HashSet<>();

  /**
   * @param parameters float32, by name
   */
  OnnxGraph(String name, Map<String, Tensor> parameters) {
    this.parameters = parameters;
    this.graph = GraphProto.newBuilder().setName(name);
  }

  // ---------------------------------------------------------------- constants

  /** A parameter as it is. */
  String weight(String parameter) {
    return weight(parameter, shape(parameter));
  }

  /** A parameter in another shape of as many values. */
  String weight(String parameter, long... shape) {
    if (constants.add(parameter)) {
      FloatBuffer values = values(parameter);
      ByteBuffer bytes = littleEndian(Float.BYTES, values.remaining());
      bytes.asFloatBuffer().put(values);
      constant(parameter, TensorProto.DataType.FLOAT, bytes, shape);
    }
    return parameter;
  }

  /**
   * A matrix out x in as in x out, for a product from the right; named with {@code .transposed}.
   */
  String transposed(String parameter) {
    String name = parameter + ".transposed";
    if (constants.add(name)) {
      long[] shape = shape(parameter);
      int out = Math.toIntExact(shape[0]);
      int in = Math.toIntExact(shape[1]);
      FloatBuffer values = values(parameter);
      ByteBuffer bytes = littleEndian(Float.BYTES, values.remaining());
      for (int i = 0; i < in; i++) {
        for (int o = 0; o < out; o++) {
          bytes.putFloat(values.get(o * in + i));
        }
      }
      constant(name, TensorProto.DataType.FLOAT, bytes.flip(), in, out);
    }
    return name;
  }

  /** Numbers of one's own. */
  String floats(String name, float[] values, long... shape) {
    if (constants.add(name)) {
      ByteBuffer bytes = littleEndian(Float.BYTES, values.length);
      bytes.asFloatBuffer().put(values);
      constant(name, TensorProto.DataType.FLOAT, bytes, shape);
    }
    return name;
  }

  /** A number. */
  String number(String name, double value) {
    return floats(name, new float[] {(float) value});
  }

  /** An int64 vector. */
  String longs(String name, long... values) {
    if (constants.add(name)) {
      ByteBuffer bytes = littleEndian(Long.BYTES, values.length);
      bytes.asLongBuffer().put(values);
      constant(name, TensorProto.DataType.INT64, bytes, values.length);
    }
    return name;
  }

  private void constant(String name, TensorProto.DataType type, ByteBuffer data, long... shape) {
    ByteString raw = UnsafeByteOperations.unsafeWrap(data);
    TensorProto.Builder tensor =
        TensorProto.newBuilder().setName(name).setDataType(type.getNumber()).setRawData(raw);
    for (long size : shape) {
      tensor.addDims(size);
    }
    graph.addInitializer(tensor);
  }

  private static ByteBuffer littleEndian(int bytes, int count) {
    return ByteBuffer.allocate(Math.multiplyExact(bytes, count)).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** The shape of a parameter. */
  long[] shape(String parameter) {
    return parameter(parameter).shape();
  }

  private FloatBuffer values(String parameter) {
    return parameter(parameter).cpu().contiguous().createBuffer();
  }

  private Tensor parameter(String name) {
    Tensor parameter = parameters.get(name);
    if (parameter == null) {
      throw new IllegalStateException("the model has no parameter " + name);
    }
    return parameter;
  }

  // ---------------------------------------------------------------- nodes

  /** A node with one output, which is known by the node's name. */
  String node(String name, String operator, List<String> inputs, AttributeProto... attributes) {
    graph.addNode(
        NodeProto.newBuilder()
            .setName(name)
            .setOpType(operator)
            .addAllInput(inputs)
            .addOutput(name)
            .addAllAttribute(List.of(attributes)));
    return name;
  }

  static AttributeProto attribute(String name, long value) {
    return AttributeProto.newBuilder()
        .setName(name)
        .setType(AttributeProto.AttributeType.INT)
        .setI(value)
        .build();
  }

  static AttributeProto attribute(String name, double value) {
    return AttributeProto.newBuilder()
        .setName(name)
        .setType(AttributeProto.AttributeType.FLOAT)
        .setF((float) value)
        .build();
  }

  static AttributeProto attribute(String name, List<Long> values) {
    return AttributeProto.newBuilder()
        .setName(name)
        .setType(AttributeProto.AttributeType.INTS)
        .addAllInts(values)
        .build();
  }

  // ---------------------------------------------------------------- border

  /**
   * What the graph is given.
   *
   * @param dimensions a Long for a fixed one, a String for the name of one that may vary
   * @param meaning in words
   */
  void input(String name, TensorProto.DataType type, String meaning, Object... dimensions) {
    graph.addInput(value(name, type, meaning, dimensions));
  }

  /** What the graph gives: a value of that name. */
  void output(String name, TensorProto.DataType type, String meaning, Object... dimensions) {
    graph.addOutput(value(name, type, meaning, dimensions));
  }

  private static ValueInfoProto value(
      String name, TensorProto.DataType type, String meaning, Object... dimensions) {
    TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
    for (Object dimension : dimensions) {
      if (dimension instanceof String free) {
        shape.addDimBuilder().setDimParam(free);
      } else {
        shape.addDimBuilder().setDimValue(((Number) dimension).longValue());
      }
    }
    TypeProto.Tensor.Builder tensor =
        TypeProto.Tensor.newBuilder().setElemType(type.getNumber()).setShape(shape);
    return ValueInfoProto.newBuilder()
        .setName(name)
        .setDocString(meaning)
        .setType(TypeProto.newBuilder().setTensorType(tensor))
        .build();
  }

  /** The graph as a model, with texts to read beside it. */
  ModelProto model(Map<String, String> metadata) {
    List<StringStringEntryProto> entries = new ArrayList<>();
    metadata.forEach(
        (key, value) ->
            entries.add(StringStringEntryProto.newBuilder().setKey(key).setValue(value).build()));
    return ModelProto.newBuilder()
        .setIrVersion(IR_VERSION)
        .setProducerName("nas")
        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(OPSET))
        .setGraph(graph)
        .addAllMetadataProps(entries)
        .build();
  }
}
