package org.nasvlp.data.scenes;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.nasvlp.data.image.RgbImage;

/** Paints scenes. Thread-safe; the same scene gives the same pixels. */
final class ScenePainter {
  static final List<String> COLORS =
      List.of(
          "red", "green", "blue", "yellow", "orange", "purple", "pink", "brown", "black", "white");
  private static final int[] RGB = {
    0xE02020, 0x20A030, 0x2850E0, 0xF0D020, 0xF08018, 0x8030B0, 0xF078B0, 0x805028, 0x181818,
    0xFFFFFF
  };

  /** Shapes are drawn so many times finer along each side, then averaged. */
  private static final int FINER = 4;

  private static final int[] GROUNDS = {
    0xE4EEF6, 0xF6EEDC, 0xE2F0E0, 0xF2E4EC, 0xE8E4F4, 0xEEEEEE, 0xD8E8EA, 0xF0E6D8
  };

  private record Key(Thing thing, int side) {}

  private final int side;
  private final Map<String, Sprite> emoji;
  private final Map<Key, Sprite> cache = new ConcurrentHashMap<>();

  /**
   * @param side of a picture, in pixels
   * @param emoji by name
   */
  ScenePainter(int side, Map<String, Sprite> emoji) {
    this.side = side;
    this.emoji = Map.copyOf(emoji);
  }

  RgbImage paint(Scene scene) {
    float[] canvas = new float[side * side * 3];
    paintGround(canvas, scene.background());
    for (Scene.Placement place : scene.placements()) {
      int size = Math.max(2, (int) Math.round(place.size() * side));
      Sprite sprite =
          cache.computeIfAbsent(
              new Key(place.thing(), size), key -> sprite(key.thing(), key.side()));
      lay(canvas, sprite, (int) Math.round(place.x() * side), (int) Math.round(place.y() * side));
    }
    byte[] rgb = new byte[canvas.length];
    for (int i = 0; i < rgb.length; i++) {
      rgb[i] = (byte) Math.clamp(Math.round(canvas[i]), 0, 255);
    }
    return new RgbImage(side, side, rgb);
  }

  private void lay(float[] canvas, Sprite sprite, int x, int y) {
    int left = x - sprite.width() / 2;
    int top = y - sprite.height() / 2;
    float[] pixels = sprite.pixels();
    for (int row = Math.max(0, -top); row < Math.min(sprite.height(), side - top); row++) {
      for (int column = Math.max(0, -left);
          column < Math.min(sprite.width(), side - left);
          column++) {
        int from = (row * sprite.width() + column) * 4;
        int to = ((top + row) * side + left + column) * 3;
        float rest = 1 - pixels[from + 3] / 255f;
        canvas[to] = canvas[to] * rest + pixels[from];
        canvas[to + 1] = canvas[to + 1] * rest + pixels[from + 1];
        canvas[to + 2] = canvas[to + 2] * rest + pixels[from + 2];
      }
    }
  }

  /** Plain, shaded, striped, checked or grainy, of two of the pale colors. */
  private void paintGround(float[] canvas, long background) {
    Dice dice = new Dice(background, 0);
    int pattern = dice.below(5);
    int one = GROUNDS[dice.below(GROUNDS.length)];
    int two = GROUNDS[dice.below(GROUNDS.length)];
    boolean down = dice.chance(0.5);
    int width = 4 + dice.below(8);
    int grain = dice.below(Integer.MAX_VALUE) | 1;
    for (int y = 0; y < side; y++) {
      for (int x = 0; x < side; x++) {
        int along = (down ? y : x) * 64 / side;
        double mix =
            switch (pattern) {
              case 0 -> 0;
              case 1 -> along / 64.0;
              case 2 -> along / width % 2;
              case 3 -> (x * 64 / side / width + y * 64 / side / width) % 2;
              default -> ((((x * 73_856_093) ^ (y * 19_349_663)) * grain) >>> 24) / 255.0;
            };
        for (int channel = 0; channel < 3; channel++) {
          int shift = 16 - 8 * channel;
          double from = one >> shift & 0xFF;
          double to = two >> shift & 0xFF;
          canvas[(y * side + x) * 3 + channel] = (float) (from + (to - from) * mix);
        }
      }
    }
  }

  private Sprite sprite(Thing thing, int size) {
    if (!thing.isShape()) {
      return Objects.requireNonNull(emoji.get(thing.noun()), thing.noun()).scaled(size);
    }
    int rgb = RGB[COLORS.indexOf(thing.color())];
    float[] pixels = new float[size * size * 4];
    for (int y = 0; y < size; y++) {
      for (int x = 0; x < size; x++) {
        int inside = 0;
        for (int i = 0; i < FINER * FINER; i++) {
          int right = i % FINER;
          int down = i / FINER;
          double u = (x + (right + 0.5) / FINER) / size * 2 - 1;
          double v = (y + (down + 0.5) / FINER) / size * 2 - 1;
          inside += covers(thing.noun(), u, v) ? 1 : 0;
        }
        float share = (float) inside / (FINER * FINER);
        int at = (y * size + x) * 4;
        pixels[at] = share * (rgb >> 16 & 0xFF);
        pixels[at + 1] = share * (rgb >> 8 & 0xFF);
        pixels[at + 2] = share * (rgb & 0xFF);
        pixels[at + 3] = share * 255;
      }
    }
    return new Sprite(size, size, pixels);
  }

  /** Whether a shape that fills the square from -1 to 1 covers a point, v downwards. */
  private static boolean covers(String noun, double u, double v) {
    double radius = Math.hypot(u, v);
    return switch (noun) {
      case "circle" -> radius <= 1;
      case "ring" -> radius <= 1 && radius >= 0.6;
      case "square" -> true;
      case "diamond" -> Math.abs(u) + Math.abs(v) <= 1;
      case "triangle" -> Math.abs(u) <= (v + 1) / 2;
      case "cross" -> Math.abs(u) <= 0.33 || Math.abs(v) <= 0.33;
      case "heart" ->
          v < -0.3
              ? Math.hypot(Math.abs(u) - 0.5, v + 0.4) <= 0.5
              : Math.abs(u) <= 0.95 * (1 - v) / 1.3;
      case "star" -> {
        // Between two points of five the edge is straight: one fifth stands for all.
        double angle = Math.atan2(u, -v);
        double fifth = 2 * Math.PI / 5;
        double turn = Math.abs(angle - fifth * Math.round(angle / fifth));
        double inner = 0.42;
        double ex = inner * Math.sin(fifth / 2);
        double ey = inner * Math.cos(fifth / 2);
        double px = radius * Math.sin(turn);
        double py = radius * Math.cos(turn);
        yield ex * (py - 1) - px * (ey - 1) <= 0;
      }
      default -> throw new IllegalArgumentException(noun);
    };
  }
}
