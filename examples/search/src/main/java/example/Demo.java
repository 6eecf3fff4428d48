package example;

import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.model.embedding.request.EmbeddingInput;
import dev.langchain4j.model.embedding.request.EmbeddingRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.nasvlp.config.NasConfig;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.ImageTextDataset;
import org.nasvlp.data.ImageTextPair;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.scenes.SceneData;
import org.nasvlp.data.scenes.SceneOptions;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.model.NasModel;
import org.nasvlp.train.NasTrainer;

/** Composes pictures, trains a small model on them for a moment, and searches among them. */
final class Demo {
  private static final int WHITE = 0xFFFFFF;
  private static final int PICTURES = 64;

  private Demo() {}

  public static void main(String[] args) throws IOException, BadSampleException {
    Path folder = Files.createTempDirectory(Files.createDirectories(Path.of(args[0])), "run-");
    Path data = folder.resolve("data");
    SceneData.write(new SceneOptions(600, 4, 32, 1, null, 0, 1 << 30), data, _ -> {});
    NasConfig config =
        NasConfig.preset("tiny")
            .withModel(
                model ->
                    model
                        .imageSize(32)
                        .patchSize(8)
                        .width(48)
                        .heads(3)
                        .imageLayers(2)
                        .textLayers(1)
                        .fusionLayers(1)
                        .projection(24))
            .withDictionary(dictionary -> dictionary.codewords(48))
            .withData(batches -> batches.batchSize(32))
            .withTraining(training -> training.steps(40).evaluateEvery(0).checkpointEvery(0));
    Path checkpoint;
    try (ImageTextDataset pairs = ImageTextDataset.open(data.resolve("train.tar"), WHITE);
        CaptionTokenizer tokenizer =
            CaptionTokenizer.load(data.resolve("tokenizer.json"), config.model().textTokens())) {
      checkpoint =
          NasTrainer.builder()
              .config(config)
              .dataset(pairs)
              .tokenizer(tokenizer)
              .output(folder.resolve("model"))
              .build()
              .run()
              .checkpoint();
      save(pairs, Files.createDirectories(folder.resolve("pictures")));
    }
    search(checkpoint, folder.resolve("pictures"));
    System.out.println("search works");
  }

  private static void save(ImageTextDataset pairs, Path folder)
      throws IOException, BadSampleException {
    for (int i = 0; i < PICTURES; i++) {
      ImageTextPair pair = pairs.get(i);
      Files.write(folder.resolve("%03d.png".formatted(i)), pair.image().png());
    }
  }

  private static void search(Path checkpoint, Path pictures)
      throws IOException, BadSampleException {
    try (NasModel model = NasModel.load(checkpoint);
        PictureIndex index = Search.index(model, pictures, pictures.resolve("lucene"))) {
      List<Search.Found> found = Search.find(model, index, "a red circle", 20);
      for (Search.Found picture : found.subList(0, 5)) {
        System.out.printf("%.3f  %s%n", picture.match(), picture.path().getFileName());
      }
      requireExact(model, index, pictures);
      requireSame(new NasEmbeddingModel(model), model, pictures.resolve("000.png"));
    }
  }

  /** Of all pictures Lucene has the cosine that the embeddings have. */
  private static void requireExact(NasModel model, PictureIndex index, Path pictures)
      throws IOException, BadSampleException {
    float[] query = model.encodeText(List.of("a blue square"))[0];
    List<PictureIndex.Hit> all = index.nearest(query, PICTURES);
    if (all.size() != PICTURES) {
      throw new IllegalStateException("%d of %d pictures found".formatted(all.size(), PICTURES));
    }
    for (PictureIndex.Hit hit : all) {
      RgbImage image = RgbImage.read(pictures.resolve(hit.path().getFileName()), WHITE);
      float[] embedding = model.encodeImage(List.of(image))[0];
      double cosine = 0;
      for (int i = 0; i < query.length; i++) {
        cosine += (double) query[i] * embedding[i];
      }
      if (Math.abs(cosine - hit.cosine()) > 1e-5) {
        throw new IllegalStateException(
            "%s: cosine %f, Lucene has %f".formatted(hit.path(), cosine, hit.cosine()));
      }
    }
  }

  /** By way of LangChain4j a caption and a picture have the model's own embeddings. */
  private static void requireSame(NasEmbeddingModel embeddings, NasModel model, Path picture)
      throws BadSampleException {
    String caption = "a green star";
    EmbeddingRequest request =
        EmbeddingRequest.builder()
            .inputs(
                List.of(
                    EmbeddingInput.from(caption),
                    EmbeddingInput.from(ImageContent.from(picture, "image/png"))))
            .build();
    List<Embedding> found = embeddings.embed(request).embeddings();
    float[] text = model.encodeText(List.of(caption))[0];
    float[] image = model.encodeImage(List.of(RgbImage.read(picture, WHITE)))[0];
    if (!Arrays.equals(found.get(0).vector(), text)
        || !Arrays.equals(found.get(1).vector(), image)) {
      throw new IllegalStateException("LangChain4j has other embeddings");
    }
  }
}
