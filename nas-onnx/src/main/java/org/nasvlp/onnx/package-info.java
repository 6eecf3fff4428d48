/** A trained model as ONNX graphs, to run where there is no LibTorch. */
@org.jspecify.annotations.NullMarked
package org.nasvlp.onnx;
