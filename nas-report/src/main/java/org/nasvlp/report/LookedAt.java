package org.nasvlp.report;

import org.nasvlp.data.image.RgbImage;
import org.nasvlp.model.WordRelevance;

/**
 * A picture with its caption, and where a model looks in it for each word.
 *
 * @param attribute the type of the difference to the other caption
 * @param image as the model sees it: a square
 * @param other a caption that is not true of the picture, to mark in what they differ
 * @param relevance for the picture's own caption
 */
public record LookedAt(String attribute, RgbImage image, String other, WordRelevance relevance) {}
