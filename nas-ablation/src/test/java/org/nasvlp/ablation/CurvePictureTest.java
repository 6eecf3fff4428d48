package org.nasvlp.ablation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;

/** Coordinates worked by hand. */
class CurvePictureTest {
  private static CurvePicture.Curve curve(double... xy) {
    double[] x = new double[xy.length / 2];
    double[] y = new double[xy.length / 2];
    for (int i = 0; i < x.length; i++) {
      x[i] = xy[2 * i];
      y[i] = xy[2 * i + 1];
    }
    return new CurvePicture.Curve(x, y);
  }

  @Test
  void aBandIsOverTheStretchThatEveryRunHasSeen() {
    CurvePicture.Band band =
        CurvePicture.Band.of(List.of(curve(0, 50, 4, 70, 8, 80), curve(2, 54, 4, 66, 6, 70)));
    // Of the first run 60 at 2 and 75 at 6; means 57, 68, 72.5, half-differences 3, 2, 2.5.
    assertThat(band.x()).containsExactly(2, 4, 6);
    assertThat(band.means()).containsExactly(57, 68, 72.5);
    double root = Math.sqrt(2);
    assertThat(band.deviations())
        .usingComparatorWithPrecision(1e-9)
        .containsExactly(3 * root, 2 * root, 2.5 * root);
  }

  @Test
  void runsOfOneEvaluationAreAPoint() {
    CurvePicture.Band band = CurvePicture.Band.of(List.of(curve(5, 60), curve(6, 70)));
    assertThat(band.x()).containsExactly(5.5);
    assertThat(band.means()).containsExactly(65);
    assertThat(CurvePicture.Band.of(List.of(curve(5, 60))).deviations()).containsExactly(0);
  }

  @Test
  void ticksAreRoundNumbers() {
    CurvePicture.Axis minutes = CurvePicture.Axis.of(0, 12.3, 0, 150);
    assertThat(minutes.ticks()).containsExactly(0, 5, 10, 15);
    assertThat(minutes.place(12)).isEqualTo(120);
    assertThat(CurvePicture.Axis.of(61.2, 78.9, 0, 1).ticks()).containsExactly(60, 65, 70, 75, 80);
    CurvePicture.Axis tenths = CurvePicture.Axis.of(0, 0.3, 0, 1);
    assertThat(tenths.label(tenths.ticks()[1])).isEqualTo("0.1");
    assertThat(CurvePicture.Axis.of(0, 48_000, 0, 1).label(20_000)).isEqualTo("20,000");
    CurvePicture.Axis flat = CurvePicture.Axis.of(70, 70, 0, 1);
    assertThat(flat.high() - flat.low()).isCloseTo(flat.step(), within(1e-9));
  }

  @Test
  void aPictureIsXmlWithALineForEveryArm() throws Exception {
    Map<String, List<CurvePicture.Curve>> arms = new LinkedHashMap<>();
    arms.put("plain", List.of(curve(0, 60, 10, 80)));
    arms.put("+nva", List.of(curve(0, 60, 10, 70), curve(0, 64, 10, 70)));
    String svg = CurvePicture.svg("accuracy", List.of(new CurvePicture.Panel("minutes", arms)));
    Document document =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(new ByteArrayInputStream(svg.getBytes(StandardCharsets.UTF_8)));
    assertThat(document.getDocumentElement().getTagName()).isEqualTo("svg");
    // From 52 to 452 and from 294 (55 %) up to 44 (80 %): ten for a point.
    assertThat(svg)
        .contains("<path d=\"M52.0 244.0 452.0 44.0\" fill=\"none\" stroke=\"#0072b2\"")
        .contains("<path d=\"M52.0 224.0 452.0 144.0\" fill=\"none\" stroke=\"#d55e00\"")
        .contains(">plain<", ">+nva<", ">minutes<", "<title>accuracy</title>")
        .containsOnlyOnce("fill-opacity");
  }
}
