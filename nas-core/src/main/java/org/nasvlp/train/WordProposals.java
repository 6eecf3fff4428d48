package org.nasvlp.train;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.data.text.TokenizedCaptions;
import org.nasvlp.internal.Torch;
import org.nasvlp.internal.TorchDevice;
import org.nasvlp.model.Network;

/**
 * Words that the masked-language head puts where a word of a caption was, given the picture: wrong
 * ones among them are the hard ones. Not thread-safe.
 */
final class WordProposals {
  /** Words proposed for a caption. */
  private static final int MOST = 16;

  /** Tokens looked at for them: pieces of words and punctuation are left out. */
  private static final int TOKENS = 64;

  private final Network network;
  private final CaptionTokenizer tokenizer;
  private final String[] words;

  WordProposals(Network network, CaptionTokenizer tokenizer) {
    this.network = network;
    this.tokenizer = tokenizer;
    this.words = new String[tokenizer.vocabularySize()];
    for (Map.Entry<String, Integer> entry : tokenizer.vocabulary().entrySet()) {
      boolean word = entry.getKey().chars().allMatch(Character::isLetter);
      words[entry.getValue()] =
          word && !tokenizer.isSpecial(entry.getValue()) ? entry.getKey() : "";
    }
  }

  /**
   * Proposals for one word of each caption, the most probable first.
   *
   * @param captions B captions, normalised
   * @param places which word of each, counted from 0 as spaces part them; -1 for none
   * @param imageCls B x d
   * @param fusionTokens B x N x d
   * @return B lists, empty where no word was asked for or the text limit cuts it off
   */
  List<List<String>> propose(
      String[] captions, int[] places, Tensor imageCls, Tensor fusionTokens) {
    List<List<String>> proposed = new ArrayList<>(Collections.nCopies(captions.length, List.of()));
    int[] rows = IntStream.range(0, captions.length).filter(row -> places[row] >= 0).toArray();
    if (rows.length == 0) {
      return proposed;
    }
    TokenizedCaptions texts =
        tokenizer.encodeMasked(
            IntStream.of(rows).mapToObj(row -> captions[row]).toList(),
            IntStream.of(rows).map(row -> places[row]).toArray());
    int length = texts.length();
    int[] at = new int[rows.length];
    for (int i = 0; i < rows.length; i++) {
      at[i] = -1;
      for (int t = 0; t < length; t++) {
        if (texts.ids()[i * length + t] == tokenizer.maskId()) {
          at[i] = i * length + t;
        }
      }
    }
    int[] found = IntStream.range(0, rows.length).filter(i -> at[i] >= 0).toArray();
    if (found.length == 0) {
      return proposed;
    }
    try (PointerScope scope = new PointerScope();
        AutoGradMode off = Torch.withoutGradient()) {
      TorchDevice device = TorchDevice.of(imageCls);
      Tensor attentionMask = device.longs(texts.mask(), rows.length, length).ne(new Scalar(0));
      Tensor text =
          network.encodeText(device.longs(texts.ids(), rows.length, length), attentionMask);
      Tensor images = device.index(rows);
      Tensor context =
          network.fusionInput(
              imageCls.index_select(0, images), fusionTokens.index_select(0, images));
      Tensor all = device.index(IntStream.range(0, rows.length).toArray());
      Tensor fused =
          network.fuse(
              network.imageContext(context), all, network.captionContext(text, attentionMask), all);
      Tensor places1d = device.index(IntStream.of(found).map(i -> at[i]).toArray());
      Tensor logits =
          network.maskedLogits(fused.reshape(-1, fused.size(2)).index_select(0, places1d));
      int most = Math.min(TOKENS, words.length);
      long[] best = Torch.toLongs(torch.topk(logits, most, 1, true, true).get1());
      for (int i = 0; i < found.length; i++) {
        List<String> list = new ArrayList<>();
        for (int t = 0; t < most && list.size() < MOST; t++) {
          String word = words[(int) best[i * most + t]];
          if (!word.isEmpty()) {
            list.add(word);
          }
        }
        proposed.set(rows[found[i]], list);
      }
    }
    return proposed;
  }
}
