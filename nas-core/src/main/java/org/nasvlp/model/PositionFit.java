package org.nasvlp.model;

import java.io.IOException;
import java.util.Arrays;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.checkpoint.Safetensors;
import org.nasvlp.internal.Torch;

/** Fits a file's position embeddings to the model's image size and caption length. */
final class PositionFit {
  static final String IMAGE = "image_encoder.embeddings.position_embeddings";
  static final String TEXT = "text_encoder.embeddings.position_embeddings.weight";

  private PositionFit() {}

  /**
   * The class token's position stays; those of the patches are interpolated to the grid.
   *
   * @param distilled whether there is a position of DeiT's distillation token, to be left out
   */
  static void grid(
      ImportedFile of, Safetensors.Entry entry, String name, Tensor into, boolean distilled)
      throws IOException {
    int first = distilled ? 2 : 1;
    if (distilled) {
      of.note("the distillation token and its position embedding are left out: the model has none");
    }
    long[] shape = Torch.shape(into);
    long[] given = entry.shape();
    long d = shape[2];
    if (given.length != 3 || given[0] != 1 || given[1] <= first || given[2] != d) {
      throw of.wrongShape(entry, name, IMAGE, shape);
    }
    long patches = given[1] - first;
    long from = Math.round(Math.sqrt((double) patches));
    if (from * from != patches) {
      throw of.fault(
          name,
          "has positions of "
              + patches
              + " patches, which are no square grid: take weights of a ViT for square images");
    }
    if (Arrays.equals(given, shape)) {
      of.copy(entry, name, into);
      return;
    }
    long to = of.config().grid();
    Tensor all = of.values(entry, name).view(given[1], d);
    Tensor grid = all.narrow(0, first, patches);
    if (from != to) {
      grid =
          torch
              .upsample_bicubic2d(
                  grid.view(1, from, from, d).permute(0, 3, 1, 2).contiguous(),
                  new long[] {to, to},
                  false,
                  new DoubleOptional(),
                  new DoubleOptional())
              .permute(0, 2, 3, 1)
              .reshape(to * to, d);
    }
    into.copy_(Torch.cat(0, all.narrow(0, 0, 1), grid).unsqueeze(0));
    of.resized(
        IMAGE,
        entry,
        shape,
        from == to
            ? "distillation position left out"
            : "grid %d x %d to %d x %d, bicubic".formatted(from, from, to, to));
  }

  /** The first positions, as many as a caption can have. */
  static void text(ImportedFile of, Safetensors.Entry entry, String name, Tensor into)
      throws IOException {
    long[] shape = Torch.shape(into);
    long[] given = entry.shape();
    if (given.length != 2 || given[1] != shape[1]) {
      throw of.wrongShape(entry, name, TEXT, shape);
    }
    if (given[0] < shape[0]) {
      throw of.fault(
          name,
          "has "
              + given[0]
              + " positions, model.textTokens is "
              + shape[0]
              + ": set model.textTokens to "
              + given[0]
              + " or less");
    }
    into.copy_(of.values(entry, name).narrow(0, 0, shape[0]));
    if (given[0] > shape[0]) {
      of.resized(TEXT, entry, shape, "the first positions");
    }
  }
}
