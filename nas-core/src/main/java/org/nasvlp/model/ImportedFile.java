package org.nasvlp.model;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.config.ModelConfig;
import org.nasvlp.internal.Torch;

/** A weights file while it is read: its tensors, checked, and what is to be told of them. */
final class ImportedFile {
  private final WeightKind kind;
  private final WeightFile file;
  private final ModelConfig config;
  private final List<WeightReport.Resized> resized = new ArrayList<>();
  private final List<String> notes = new ArrayList<>();

  ImportedFile(WeightKind kind, WeightFile file, ModelConfig config) {
    this.kind = kind;
    this.file = file;
    this.config = config;
    notes.addAll(file.notes());
  }

  WeightKind kind() {
    return kind;
  }

  WeightFile file() {
    return file;
  }

  /** The model's. */
  ModelConfig config() {
    return config;
  }

  List<WeightReport.Resized> resized() {
    return resized;
  }

  List<String> notes() {
    return notes;
  }

  void note(String note) {
    notes.add(note);
  }

  void resized(String parameter, Safetensors.Entry entry, long[] shape, String how) {
    resized.add(
        new WeightReport.Resized(
            parameter,
            Arrays.stream(entry.shape()).boxed().toList(),
            Arrays.stream(shape).boxed().toList(),
            how));
  }

  /** Copies a tensor's values into memory of the same size. */
  void copy(Safetensors.Entry entry, String name, Tensor into) throws IOException {
    MemorySegment floats = Torch.segment(into);
    try {
      entry.copyFloats(floats);
    } catch (IllegalArgumentException e) {
      throw new IOException(
          file.path() + ": tensor " + name + ": " + e.getMessage() + "; convert the file", e);
    }
    long count = entry.count();
    for (long i = 0; i < count; i++) {
      if (!Float.isFinite(floats.getAtIndex(ValueLayout.JAVA_FLOAT, i))) {
        throw fault(
            name,
            "holds a NaN or an infinity at element "
                + i
                + ": the file is damaged, or its training had failed");
      }
    }
  }

  /** A tensor's values, in the caller's scope. */
  Tensor values(Safetensors.Entry entry, String name) throws IOException {
    Tensor values = Torch.empty(torch.ScalarType.Float, entry.shape());
    copy(entry, name, values);
    return values;
  }

  /** That something is wrong with a tensor. */
  IOException fault(String name, String what) {
    return new IOException(file.path() + ": tensor " + name + " " + what);
  }

  IOException wrongShape(Safetensors.Entry entry, String name, String parameter, long[] shape) {
    return fault(
        name,
        "has the shape "
            + Arrays.toString(entry.shape())
            + ", the model's "
            + parameter
            + " "
            + Arrays.toString(shape)
            + ": take weights of model.width "
            + config.width()
            + " and model.patchSize "
            + config.patchSize()
            + ", or set these fields to the weights' sizes");
  }
}
