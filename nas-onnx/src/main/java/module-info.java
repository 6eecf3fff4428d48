/**
 * Writes a trained model as ONNX graphs, to run where there is no LibTorch.
 *
 * <p>Needs native access for {@code org.bytedeco.javacpp} as {@code org.nasvlp.core} does; what
 * runs the graphs needs neither of them.
 */
module org.nasvlp.onnx {
  requires transitive org.nasvlp.core;
  requires com.google.protobuf;
  requires org.tribuo.util.onnx;

  exports org.nasvlp.onnx;
}
