package org.nasvlp.train;

/**
 * What a run begins with.
 *
 * @param firstStep steps done before, 0 for a fresh run
 * @param steps planned length of the run in steps; with a time budget the first estimate
 * @param parameters trained parameters
 * @param pairs image-text pairs of the data set
 * @param singleThingPairs pairs whose caption names one thing, which a run with {@code
 *     data.singleThingSteps} begins with; 0 for a run without
 * @param device where LibTorch computes
 * @param kernels backend and tier of the dictionary kernels
 */
public record TrainingStart(
    long firstStep,
    long steps,
    long parameters,
    long pairs,
    long singleThingPairs,
    String device,
    String kernels) {}
