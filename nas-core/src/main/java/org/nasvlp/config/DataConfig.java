package org.nasvlp.config;

/**
 * Batches and image augmentation.
 *
 * @param batchSize pairs in a batch of one process
 * @param singleThingSteps steps at the run's start that draw only pairs whose caption names one
 *     thing, as the editor of hard negative captions reads it ("a pear on the left"); 0 for none.
 *     What is said of one thing is learned before what binds two: of "a pear on the left and a
 *     spoon on the right" alone, a word of place is never true of the picture as a whole
 * @param minCropScale least share of the image's area that a random crop keeps; 1 for no cropping
 *     (ALBEF: 0.2)
 * @param flip whether images may be mirrored (never where the caption says left or right)
 * @param colorJitter greatest relative change of brightness and contrast; hue is never changed, and
 *     nothing is where the caption names a colour
 * @param background RGB colour, {@code 0xRRGGBB}, behind transparent pixels
 * @param loaderThreads threads that decode and augment
 * @param maxBadShare share of the samples read that may be bad before the run stops
 */
@ConfigSection
public record DataConfig(
    int batchSize,
    int singleThingSteps,
    double minCropScale,
    boolean flip,
    double colorJitter,
    int background,
    int loaderThreads,
    double maxBadShare) {

  /** Checks ranges. */
  public DataConfig {
    ConfigCheck.that(
        batchSize >= 2 && batchSize <= 65_536,
        "data.batchSize",
        batchSize,
        "must lie between 2 and 65536 (a contrast needs another pair)");
    ConfigCheck.range("data.singleThingSteps", singleThingSteps, 0, 1_000_000_000);
    ConfigCheck.that(
        minCropScale > 0 && minCropScale <= 1,
        "data.minCropScale",
        minCropScale,
        "must lie in (0, 1]");
    ConfigCheck.range("data.colorJitter", colorJitter, 0, 1);
    ConfigCheck.range("data.background", background, 0, 0xFFFFFF);
    ConfigCheck.range("data.loaderThreads", loaderThreads, 1, 256);
    ConfigCheck.range("data.maxBadShare", maxBadShare, 0, 1);
  }

  /** The library's defaults for that batch size. */
  public static DataConfig defaults(int batchSize) {
    return DataConfigBuilder.builder()
        .batchSize(batchSize)
        .singleThingSteps(0)
        .minCropScale(0.2)
        .flip(true)
        .colorJitter(0.2)
        .background(0xFFFFFF)
        .loaderThreads(2)
        .maxBadShare(0.01)
        .build();
  }

  /** A builder that begins with these values. */
  public DataConfigBuilder toBuilder() {
    return DataConfigBuilder.builder(this);
  }
}
