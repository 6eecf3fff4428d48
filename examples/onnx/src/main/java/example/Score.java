package example;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Map;
import javax.imageio.ImageIO;

/**
 * How probably each caption matches a picture: DIR PICTURE CAPTION..., DIR by nas export --onnx.
 */
final class Score {
  static void main(String[] args) throws Exception {
    Path model = Path.of(args[0]);
    try (var ort = OrtEnvironment.getEnvironment();
        var images = ort.createSession(model.resolve("image-encoder.onnx").toString());
        var texts = ort.createSession(model.resolve("text-encoder.onnx").toString());
        var matcher = ort.createSession(model.resolve("matcher.onnx").toString());
        var tokenizer = HuggingFaceTokenizer.newInstance(model.resolve("tokenizer.json"))) {
      // A picture of the model's own size; see docs/using-a-model.md for any other.
      int size = Integer.parseInt(images.getMetadata().getCustomMetadata().get("image_size"));
      var picture = ImageIO.read(Path.of(args[1]).toFile());
      var pixels = FloatBuffer.allocate(3 * size * size);
      for (int shift = 16; shift >= 0; shift -= 8) {
        for (int rgb : picture.getRGB(0, 0, size, size, null, 0, size)) {
          pixels.put(((rgb >> shift & 0xFF) / 255f - 0.5f) / 0.5f);
        }
      }
      try (var input = OnnxTensor.createTensor(ort, pixels.flip(), new long[] {1, 3, size, size});
          var image = images.run(Map.of("pixels", input))) {
        for (int i = 2; i < args.length; i++) {
          var tokens = tokenizer.encode(args[i]);
          try (var ids = OnnxTensor.createTensor(ort, new long[][] {tokens.getIds()});
              var mask = OnnxTensor.createTensor(ort, new long[][] {tokens.getAttentionMask()});
              var text = texts.run(Map.of("input_ids", ids, "attention_mask", mask));
              var match =
                  matcher.run(
                      Map.of(
                          "image_tokens", (OnnxTensor) image.get("image_tokens").orElseThrow(),
                          "text_states", (OnnxTensor) text.get("text_states").orElseThrow(),
                          "attention_mask", mask))) {
            float[] probability = (float[]) match.get("probability").orElseThrow().getValue();
            System.out.printf("%.4f  %s%n", probability[0], args[i]);
          }
        }
      }
    }
  }
}
