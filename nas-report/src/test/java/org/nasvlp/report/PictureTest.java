package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Base64;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.negatives.Mirror;

class PictureTest {
  /** Blocks of 16 pixels of one colour each. */
  private static RgbImage blocks(int width, int height) {
    byte[] rgb = new byte[3 * width * height];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        SplittableRandom block = new SplittableRandom(1000L * (y / 16) + x / 16);
        for (int channel = 0; channel < 3; channel++) {
          rgb[3 * (y * width + x) + channel] = (byte) block.nextInt(256);
        }
      }
    }
    return new RgbImage(width, height, rgb);
  }

  /** Small ones to the bit, large ones as a JPEG of the same picture. */
  @ParameterizedTest
  @ValueSource(ints = {64, 256})
  void isThePicture(int size) throws IOException {
    RgbImage image = blocks(size, size);
    String uri = Picture.uri(image);
    assertThat(uri).startsWith(size == 64 ? "data:image/png;base64," : "data:image/jpeg;base64,");
    byte[] file = Base64.getDecoder().decode(uri.substring(uri.indexOf(',') + 1));
    var read = ImageIO.read(new ByteArrayInputStream(file));
    assertThat(read.getWidth()).isEqualTo(size);
    int tolerance = size == 64 ? 0 : 12;
    for (int y = 8; y < size; y += 16) {
      for (int x = 8; x < size; x += 16) {
        int pixel = read.getRGB(x, y);
        assertThat(Math.abs((pixel >> 16 & 255) - image.red(x, y))).isLessThanOrEqualTo(tolerance);
        assertThat(Math.abs((pixel >> 8 & 255) - image.green(x, y))).isLessThanOrEqualTo(tolerance);
        assertThat(Math.abs((pixel & 255) - image.blue(x, y))).isLessThanOrEqualTo(tolerance);
      }
    }
  }

  /** The middle of a wide picture, at half its height: each block is half as large. */
  @ParameterizedTest
  @ValueSource(ints = {32, 64})
  void isSeenAsTheModelSeesIt(int size) {
    RgbImage wide = blocks(128, 64);
    RgbImage seen = Picture.seen(wide, size);
    assertThat(seen.width()).isEqualTo(size);
    assertThat(seen.height()).isEqualTo(size);
    int middle = size / 8;
    int scale = 64 / size;
    for (int y = middle; y < size; y += 2 * middle) {
      for (int x = middle; x < size; x += 2 * middle) {
        assertThat(seen.red(x, y)).isCloseTo(wide.red(32 + scale * x, scale * y), within(3));
        assertThat(seen.blue(x, y)).isCloseTo(wide.blue(32 + scale * x, scale * y), within(3));
      }
    }
  }

  /** Patches of 2 pixels change places; what is in them does not. */
  @Test
  void patchesAreMirroredAsTheyAre() {
    byte[] rgb = new byte[3 * 16];
    for (int i = 0; i < 16; i++) {
      rgb[3 * i] = (byte) i;
    }
    RgbImage image = new RgbImage(4, 4, rgb);
    assertThat(reds(Picture.mirrored(image, Mirror.LEFT_RIGHT, 2)))
        .containsExactly(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    assertThat(reds(Picture.mirrored(image, Mirror.TOP_BOTTOM, 2)))
        .containsExactly(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  }

  /** Of a yellow picture two tokens are given codeword 3, which stands for patches of blue ones. */
  @Test
  void swappedTokensArePatchesOfTheNewCodeword() {
    RgbImage both = Samples.learned(32, "cup").swaps(8).getFirst();
    int size = Samples.SIZE;
    int patch = size / 4;
    assertThat(both.width()).isEqualTo(2 * size);
    assertThat(both.height()).isEqualTo(size);
    for (int y = 0; y < size; y++) {
      for (int x = 0; x < size; x++) {
        assertThat(both.red(x, y)).isEqualTo(255);
        assertThat(both.blue(x, y)).isZero();
        boolean swapped = y / patch == 3 && (x / patch == 1 || x / patch == 2);
        assertThat(both.red(size + x, y)).as("%d, %d", x, y).isEqualTo(swapped ? 0 : 255);
        assertThat(both.blue(size + x, y)).isEqualTo(swapped ? 255 : 0);
      }
    }
    assertThat(Samples.learned(32, "cup").swaps(0)).isEmpty();
  }

  /** Codeword 3 stands for no patch that was looked at. */
  @Test
  void ofACodewordWithoutPatchesNothingIsShown() {
    Learned learned = Samples.learned(2, "cup");
    RgbImage both = learned.swaps(8).getFirst();
    assertThat(reds(both.crop(0, 0, 4, 4))).isEqualTo(reds(both.crop(Samples.SIZE, 0, 4, 4)));
    assertThat(both.red(2 * Samples.SIZE - 1, Samples.SIZE - 1)).isEqualTo(255);
    assertThat(
            new Learned(Samples.SIZE, List.of(), List.of(), null, learned.hardNegatives(), null)
                .swaps(8))
        .isEmpty();
  }

  private static int[] reds(RgbImage image) {
    return IntStream.range(0, 16).map(i -> image.red(i % 4, i / 4)).toArray();
  }
}
