package example;

import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.image.Image;
import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.ContentType;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.request.EmbeddingInput;
import dev.langchain4j.model.embedding.request.EmbeddingRequest;
import dev.langchain4j.model.embedding.response.EmbeddingResponse;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.model.NasModel;

/**
 * A model behind LangChain4j's interface, for its embedding stores: captions and pictures lie in
 * one space. As thread-safe as the model, which stays the caller's.
 */
final class NasEmbeddingModel implements EmbeddingModel {
  private static final int WHITE = 0xFFFFFF;

  private final NasModel model;

  NasEmbeddingModel(NasModel model) {
    this.model = model;
  }

  @Override
  public Set<ContentType> supportedContentTypes() {
    return Set.of(ContentType.TEXT, ContentType.IMAGE);
  }

  @Override
  public int dimension() {
    return model.config().model().projection();
  }

  @Override
  public String modelName() {
    return model.fingerprint();
  }

  @Override
  public EmbeddingResponse doEmbed(EmbeddingRequest request) {
    List<Embedding> embeddings = new ArrayList<>();
    for (EmbeddingInput input : request.inputs()) {
      if (input.contents().size() != 1) {
        throw new IllegalArgumentException("an input is one caption or one picture");
      }
      embeddings.add(Embedding.from(embed(input.contents().getFirst())));
    }
    return EmbeddingResponse.builder().embeddings(embeddings).modelName(modelName()).build();
  }

  private float[] embed(Content content) {
    return switch (content) {
      case TextContent text -> model.encodeText(List.of(text.text()))[0];
      case ImageContent image -> model.encodeImage(List.of(decode(image.image())))[0];
      default -> throw new IllegalArgumentException("not a caption and not a picture: " + content);
    };
  }

  private static RgbImage decode(Image image) {
    if (image.base64Data() == null) {
      throw new IllegalArgumentException("a picture by its bytes is needed, not by its address");
    }
    try {
      return RgbImage.decode(Base64.getDecoder().decode(image.base64Data()), "the picture", WHITE);
    } catch (BadSampleException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }
}
