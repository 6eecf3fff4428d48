package org.nasvlp.text.en;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.nasvlp.config.EditType;
import org.nasvlp.config.NtaConfig;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.negatives.CaptionEdit;
import org.nasvlp.negatives.NegativeTextAugmentation;
import org.nasvlp.negatives.TextEditor;

/**
 * Prints random captions of a data set with their edits, and the coverage: {@code QuickLook DATA
 * TOKENIZER [COUNT [SEED [exact]]]}.
 */
public final class QuickLook {
  private QuickLook() {}

  public static void main(String[] args) throws Exception {
    int count = args.length > 2 ? Integer.parseInt(args[2]) : 40;
    long seed = args.length > 3 ? Long.parseLong(args[3]) : 1;
    boolean exact = args.length > 4;
    NtaConfig config = NtaConfig.defaults().toBuilder().exactLabels(exact).build();
    try (ImageTextDataset dataset = ImageTextDataset.open(Path.of(args[0]), 0xFFFFFF);
        CaptionTokenizer tokenizer = CaptionTokenizer.load(Path.of(args[1]), 30)) {
      long start = System.nanoTime();
      NegativeTextAugmentation nta =
          NegativeTextAugmentation.prepare(
              dataset, tokenizer, EnglishTextEditor.factory(exact), config, null, 1);
      double seconds = (System.nanoTime() - start) / 1e9;
      System.out.println(nta.preparation());
      System.out.printf(
          "%.2f s, %.0f captions/s with the start of the editor%n",
          seconds, nta.preparation().captions() / seconds);
      Map<EditType, Integer> having = new EnumMap<>(EditType.class);
      int covered = 0;
      for (int i = 0; i < dataset.size(); i++) {
        var row = dataset.caption(i);
        List<CaptionEdit> edits = nta.candidates(row.caption(), row.imageId());
        covered += edits.isEmpty() ? 0 : 1;
        edits.stream()
            .map(CaptionEdit::type)
            .distinct()
            .forEach(t -> having.merge(t, 1, Integer::sum));
      }
      System.out.printf("covered %d of %d%n", covered, dataset.size());
      having.forEach(
          (type, n) ->
              System.out.printf("  %-16s %5d  %.1f %%%n", type, n, 100.0 * n / dataset.size()));
      Random random = new Random(seed);
      for (int n = 0; n < count; n++) {
        var row = dataset.caption(random.nextInt((int) dataset.size()));
        List<CaptionEdit> edits = nta.candidates(row.caption(), row.imageId());
        System.out.println(row.caption());
        Map<EditType, List<String>> byType = new EnumMap<>(EditType.class);
        edits.forEach(
            e ->
                byType
                    .computeIfAbsent(e.type(), t -> new java.util.ArrayList<>())
                    .add(e.replaced() + ">" + e.replacement()));
        byType.forEach((type, list) -> System.out.println("    " + type + " " + list));
      }
      // The editor alone, one thread, warm.
      TextEditor editor =
          EnglishTextEditor.factory(exact)
              .create(
                  java.util.stream.LongStream.range(0, dataset.size())
                      .mapToObj(
                          i -> {
                            try {
                              return CaptionTokenizer.normalize(dataset.caption(i).caption());
                            } catch (Exception e) {
                              throw new IllegalStateException(e);
                            }
                          })
                      .toList());
      double[] rates = new double[5];
      for (int r = 0; r < rates.length; r++) {
        start = System.nanoTime();
        for (int i = 0; i < dataset.size(); i++) {
          editor.edits(dataset.caption(i).caption());
        }
        rates[r] = dataset.size() / ((System.nanoTime() - start) / 1e9);
      }
      Arrays.sort(rates);
      System.out.printf("editor alone, one thread: %.0f captions/s (median of 5)%n", rates[2]);
    }
  }
}
