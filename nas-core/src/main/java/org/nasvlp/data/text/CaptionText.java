package org.nasvlp.data.text;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.regex.Pattern;
import org.nasvlp.data.BadSampleException;

/** Captions as text. */
public final class CaptionText {
  public static final int MAX_BYTES = 1 << 20;

  private static final Pattern SPACE = Pattern.compile("[\\s\\u00A0\\u2028\\u2029]+");
  private static final Pattern PUNCTUATION = Pattern.compile("[,.'!?\"()*#:;~]");

  // With all its brackets, so that what is normalised stays as it is when normalised again.
  private static final Pattern PERSON = Pattern.compile("<+person>+");

  private CaptionText() {}

  /** The caption, on one line, or an exception that says what is wrong with the bytes. */
  public static String decode(byte[] utf8, String sample) throws BadSampleException {
    try {
      String text =
          StandardCharsets.UTF_8
              .newDecoder()
              .onMalformedInput(CodingErrorAction.REPORT)
              .onUnmappableCharacter(CodingErrorAction.REPORT)
              .decode(ByteBuffer.wrap(utf8))
              .toString();
      return clean(text, sample);
    } catch (CharacterCodingException e) {
      throw new BadSampleException(sample, "the caption is not valid UTF-8", e);
    }
  }

  /** Whether a text is plain ASCII words with one space between each: most are. */
  private static boolean isClean(String text) {
    char before = ' ';
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c > '~' || c < ' ' || (c == ' ' && before == ' ')) {
        return false;
      }
      before = c;
    }
    return before != ' ';
  }

  /** The caption, on one line. */
  public static String clean(String text, String sample) throws BadSampleException {
    if (text.length() > MAX_BYTES) {
      throw new BadSampleException(sample, "the caption has " + text.length() + " characters");
    }
    if (isClean(text)) {
      return text;
    }
    String withoutMark = text.startsWith("\uFEFF") ? text.substring(1) : text;
    String line = SPACE.matcher(withoutMark).replaceAll(" ").strip();
    if (line.isEmpty()) {
      throw new BadSampleException(sample, "the caption is empty");
    }
    return line;
  }

  /**
   * Lower case, without punctuation; hyphens and slashes become spaces, as in ALBEF (arXiv
   * 2107.07651). A caption of nothing but punctuation stays as it is.
   */
  public static String normalize(String caption) {
    String text =
        PERSON
            .matcher(PUNCTUATION.matcher(caption.toLowerCase(Locale.ROOT)).replaceAll(""))
            .replaceAll("person")
            .replace('-', ' ')
            .replace('/', ' ');
    String line = SPACE.matcher(text).replaceAll(" ").strip();
    return line.isEmpty() ? caption.strip() : line;
  }
}
