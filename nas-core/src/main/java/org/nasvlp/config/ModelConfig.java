package org.nasvlp.config;

/**
 * Sizes of the image, text and fusion encoders (ViT and BERT layers, arranged as in ALBEF, arXiv
 * 2107.07651).
 *
 * @param imageSize height and width of the square input image, in pixels (ALBEF: 256)
 * @param patchSize height and width of a patch, in pixels (ALBEF: 16)
 * @param stem how pixels become patch tokens
 * @param width model width d of all three encoders (ALBEF: 768)
 * @param heads attention heads of every layer (ALBEF: 12)
 * @param imageLayers layers of the image encoder (ALBEF: 12)
 * @param textLayers layers of the text encoder (ALBEF: 6)
 * @param fusionLayers layers of the fusion encoder (ALBEF: 6)
 * @param projection width of the contrastive embeddings (ALBEF: 256)
 * @param textTokens longest caption in tokens, [CLS] and [SEP] included; longer ones are cut and
 *     counted
 * @param imageNormEps epsilon of the image encoder's layer norms (ViT: 1e-6)
 * @param textNormEps epsilon of the text and fusion encoders' layer norms (BERT: 1e-12)
 * @param fusionInput what the fusion encoder sees of a patch token
 * @param fusionPositions what marks the place of a patch token that the fusion encoder sees
 */
@ConfigSection
public record ModelConfig(
    int imageSize,
    int patchSize,
    Stem stem,
    int width,
    int heads,
    int imageLayers,
    int textLayers,
    int fusionLayers,
    int projection,
    int textTokens,
    double imageNormEps,
    double textNormEps,
    FusionInput fusionInput,
    FusionPositions fusionPositions) {

  /** How pixels become patch tokens. */
  public enum Stem {
    /** One linear map of each patch (Dosovitskiy et al., arXiv 2010.11929). */
    PATCH,
    /**
     * Strided 3 x 3 convolutions down to the patch grid (Xiao et al., arXiv 2106.14881); learns
     * from fewer images. {@code patchSize} must be a power of two.
     */
    CONVOLUTION
  }

  /** What the fusion encoder sees of patch token i with features v_i and codeword e_{z_i}. */
  public enum FusionInput {
    /** The codeword, with gradients passed straight through to v_i (SOHO, arXiv 2104.03135). */
    QUANTIZED,
    /** v_i itself; a hard negative exchanges the codeword part and keeps the residual. */
    RESIDUAL
  }

  /** What marks the place of a patch token that the fusion encoder sees. */
  public enum FusionPositions {
    /** Fixed two-dimensional sine-cosine positions, added before a layer norm of their own. */
    SINE_COSINE,
    /**
     * Nothing besides the positions that the image encoder adds, and no norm (ALBEF, arXiv
     * 2107.07651): for weights trained so.
     */
    NONE
  }

  /** Checks ranges and divisibility. */
  public ModelConfig {
    ConfigCheck.range("model.patchSize", patchSize, 1, 256);
    ConfigCheck.range("model.imageSize", imageSize, patchSize, 4096);
    ConfigCheck.that(
        imageSize % patchSize == 0,
        "model.imageSize",
        imageSize,
        "must be a multiple of model.patchSize (" + patchSize + ")");
    ConfigCheck.present("model.stem", stem);
    ConfigCheck.that(
        stem != Stem.CONVOLUTION || (Integer.bitCount(patchSize) == 1 && patchSize >= 2),
        "model.patchSize",
        patchSize,
        "must be a power of two, 2 or more, with the convolution stem");
    ConfigCheck.range("model.heads", heads, 1, 64);
    ConfigCheck.range("model.width", width, 8, 4096);
    ConfigCheck.that(
        width % heads == 0 && width % 4 == 0,
        "model.width",
        width,
        "must be a multiple of 4 and of model.heads (" + heads + ")");
    ConfigCheck.range("model.imageLayers", imageLayers, 1, 64);
    ConfigCheck.range("model.textLayers", textLayers, 1, 64);
    ConfigCheck.range("model.fusionLayers", fusionLayers, 1, 64);
    ConfigCheck.range("model.projection", projection, 1, 4096);
    ConfigCheck.range("model.textTokens", textTokens, 4, 512);
    ConfigCheck.range("model.imageNormEps", imageNormEps, 1e-15, 1e-2);
    ConfigCheck.range("model.textNormEps", textNormEps, 1e-15, 1e-2);
    ConfigCheck.present("model.fusionInput", fusionInput);
    ConfigCheck.present("model.fusionPositions", fusionPositions);
  }

  /** Patches along one side. */
  public int grid() {
    return imageSize / patchSize;
  }

  /** Patch tokens of an image, N. */
  public int patchTokens() {
    return grid() * grid();
  }

  /** A builder that begins with these values. */
  public ModelConfigBuilder toBuilder() {
    return ModelConfigBuilder.builder(this);
  }
}
