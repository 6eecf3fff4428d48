package example;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;

/** Shapes in colours, large and small, drawn when they are asked for: a data set of one's own. */
final class ColouredShapes implements ImageTextDataset {
  private static final int PIXELS = 32;

  private record Paint(String name, Color color) {}

  private static final List<Paint> PAINTS =
      List.of(
          new Paint("red", Color.RED),
          new Paint("green", Color.GREEN),
          new Paint("blue", Color.BLUE),
          new Paint("yellow", Color.YELLOW),
          new Paint("black", Color.BLACK),
          new Paint("pink", Color.PINK));
  private static final List<String> SHAPES = List.of("circle", "square", "bar", "ring");
  private static final List<String> SIZES = List.of("small", "large");

  /** Every word a caption may have. */
  static List<String> words() {
    return Stream.of(List.of("a"), SIZES, PAINTS.stream().map(Paint::name).toList(), SHAPES)
        .flatMap(List::stream)
        .toList();
  }

  @Override
  public long size() {
    return (long) PAINTS.size() * SHAPES.size() * SIZES.size();
  }

  @Override
  public ImageTextPair get(long index) {
    int number = Math.toIntExact(Objects.checkIndex(index, size()));
    Paint paint = PAINTS.get(number % PAINTS.size());
    String shape = SHAPES.get(number / PAINTS.size() % SHAPES.size());
    String size = SIZES.get(number / PAINTS.size() / SHAPES.size());
    String caption = "a " + size + " " + paint.name() + " " + shape;
    return new ImageTextPair(
        "shape-" + number, number, draw(paint.color(), shape, size.equals("large")), caption);
  }

  private static RgbImage draw(Color color, String shape, boolean large) {
    BufferedImage canvas = new BufferedImage(PIXELS, PIXELS, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = canvas.createGraphics();
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, PIXELS, PIXELS);
    graphics.setColor(color);
    int side = large ? 26 : 14;
    int corner = (PIXELS - side) / 2;
    switch (shape) {
      case "circle" -> graphics.fillOval(corner, corner, side, side);
      case "square" -> graphics.fillRect(corner, corner, side, side);
      case "bar" -> graphics.fillRect(corner, PIXELS / 2 - side / 8, side, side / 4);
      default -> {
        graphics.fillOval(corner, corner, side, side);
        graphics.setColor(Color.WHITE);
        graphics.fillOval(corner + side / 4, corner + side / 4, side / 2, side / 2);
      }
    }
    graphics.dispose();
    byte[] rgb = new byte[3 * PIXELS * PIXELS];
    for (int y = 0; y < PIXELS; y++) {
      for (int x = 0; x < PIXELS; x++) {
        int pixel = canvas.getRGB(x, y);
        int place = 3 * (y * PIXELS + x);
        rgb[place] = (byte) (pixel >> 16);
        rgb[place + 1] = (byte) (pixel >> 8);
        rgb[place + 2] = (byte) pixel;
      }
    }
    return new RgbImage(PIXELS, PIXELS, rgb);
  }

  @Override
  public String name() {
    return "coloured shapes";
  }
}
