package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.data.image.RgbImage;

class SearchPageTest {
  @TempDir private Path folder;

  private static RgbImage image(int width, int height, int blue) {
    byte[] rgb = new byte[3 * width * height];
    for (int i = 2; i < rgb.length; i += 3) {
      rgb[i] = (byte) blue;
    }
    return new RgbImage(width, height, rgb);
  }

  @Test
  void holdsThePicturesNoLargerThanTheyAreShownAndTextsAsTexts() throws IOException {
    Path page = Files.writeString(folder.resolve("found.html"), "replaced");
    List<SearchPage.Shown> shown =
        List.of(
            new SearchPage.Shown(image(40, 30, 200), "a.png", 0.995, 0.5),
            new SearchPage.Shown(image(1000, 10, 100), "<script>alert(1)</script>", 0.25, -0.1),
            new SearchPage.Shown(image(90, 900, 50), "c.png", 0, 0));
    SearchPage.write("a \"red\" <cup>", 12_345, shown, page);
    String html = Files.readString(page);
    assertThat(html)
        .contains("<h1>a &quot;red&quot; &lt;cup&gt;</h1>", "The 3 that fit best among 12,345")
        .contains("match 99.5 %, cosine 0.500", "match 25.0 %, cosine -0.100")
        .contains("&lt;script&gt;alert(1)&lt;/script&gt;")
        .doesNotContain("<script", "http://", "https://");
    List<String> sizes = new ArrayList<>();
    Matcher uri = Pattern.compile("src=\"data:image/(png|jpeg);base64,([^\"]+)\"").matcher(html);
    while (uri.find()) {
      BufferedImage picture =
          ImageIO.read(new ByteArrayInputStream(Base64.getDecoder().decode(uri.group(2))));
      int blue = picture.getRGB(picture.getWidth() / 2, picture.getHeight() / 2) & 0xFF;
      sizes.add(picture.getWidth() + "x" + picture.getHeight() + " " + (blue + 10) / 50 * 50);
    }
    assertThat(sizes).containsExactly("40x30 200", "320x3 100", "32x320 50");
    try (var files = Files.list(folder)) {
      assertThat(files).containsExactly(page);
    }
  }
}
