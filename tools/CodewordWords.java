// SPDX-License-Identifier: Apache-2.0
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.source.DatasetOptions;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.NasModel;

/**
 * Tells what a model's codewords know of words: how many of those that occur in enough pictures
 * have a word that half of these pictures' captions have, and for each word its best codeword.
 *
 * <pre>
 * java -cp nas-cli/target/nas.jar tools/CodewordWords.java CHECKPOINT DATA WORD,WORD,...
 * </pre>
 */
final class CodewordWords {
  private static final int BATCH = 64;

  /** Pictures that a codeword has to occur in to be counted, and to be a word's best one. */
  private static final int COUNTED = 20;

  private static final int CANDIDATE = 10;

  private CodewordWords() {}

  public static void main(String[] args) throws Exception {
    List<String> words = List.of(args[2].split(","));
    try (NasModel model = NasModel.load(Path.of(args[0]));
        ImageTextDataset pairs =
            ImageTextDataset.open(
                Path.of(args[1]),
                DatasetOptions.of(model.config().data().background()).forTest())) {
      int codewords = model.config().dictionary().codewords();
      int[] pictures = new int[codewords];
      int[] captions = new int[words.size()];
      int[][] both = new int[words.size()][codewords];
      for (long first = 0; first < pairs.size(); first += BATCH) {
        List<RgbImage> images = new ArrayList<>();
        List<Set<String>> texts = new ArrayList<>();
        for (long i = first; i < Math.min(pairs.size(), first + BATCH); i++) {
          ImageTextPair pair = pairs.get(i);
          images.add(pair.image());
          String caption = CaptionTokenizer.normalize(pair.caption());
          texts.add(Set.copyOf(Arrays.asList(caption.split(" ", -1))));
        }
        int[][] codes = model.codes(images);
        for (int b = 0; b < codes.length; b++) {
          int[] occurring = Arrays.stream(codes[b]).distinct().toArray();
          for (int code : occurring) {
            pictures[code]++;
          }
          for (int w = 0; w < words.size(); w++) {
            if (texts.get(b).contains(words.get(w))) {
              captions[w]++;
              for (int code : occurring) {
                both[w][code]++;
              }
            }
          }
        }
      }
      tell(words, pairs.size(), pictures, captions, both);
    }
  }

  private static void tell(
      List<String> words, long all, int[] pictures, int[] captions, int[][] both) {
    int counted = 0;
    int known = 0;
    for (int code = 0; code < pictures.length; code++) {
      if (pictures[code] >= COUNTED) {
        counted++;
        for (int w = 0; w < words.size(); w++) {
          if (2 * both[w][code] >= pictures[code]) {
            known++;
            break;
          }
        }
      }
    }
    System.out.printf(
        "%d codewords occur in %d of %d pictures or more; half of the captions of %d of them have"
            + " one of the words%n",
        counted, COUNTED, all, known);
    for (int w = 0; w < words.size(); w++) {
      int best = -1;
      for (int code = 0; code < pictures.length; code++) {
        if (pictures[code] >= CANDIDATE
            && (best < 0
                || both[w][code] * (long) pictures[best] > both[w][best] * (long) pictures[code])) {
          best = code;
        }
      }
      System.out.printf(
          Locale.ROOT,
          "%-10s in %4.1f %% of the captions; codeword %d, in %d pictures: %5.1f %%%n",
          words.get(w),
          100.0 * captions[w] / all,
          best,
          best < 0 ? 0 : pictures[best],
          best < 0 ? 0 : 100.0 * both[w][best] / pictures[best]);
    }
  }
}
