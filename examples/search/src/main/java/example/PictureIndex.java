package example;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.KnnFloatVectorField;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.VectorSimilarityFunction;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.KnnFloatVectorQuery;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.store.FSDirectory;

/** Embeddings of pictures in a Lucene index: near ones are found without a look at all of them. */
final class PictureIndex implements AutoCloseable {
  private static final String EMBEDDING = "embedding";
  private static final String PATH = "path";

  private final FSDirectory directory;
  private final DirectoryReader reader;
  private final IndexSearcher searcher;

  /** A picture that was found, and the cosine of its embedding and the query's. */
  record Hit(Path path, double cosine) {}

  private PictureIndex(FSDirectory directory) throws IOException {
    this.directory = directory;
    this.reader = DirectoryReader.open(directory);
    this.searcher = new IndexSearcher(reader);
  }

  /**
   * Makes an index, in the place of one that there is.
   *
   * @param embeddings one for each path, L2-normalized as {@code NasModel.encodeImage} gives them
   */
  static PictureIndex write(Path folder, List<Path> paths, float[][] embeddings)
      throws IOException {
    FSDirectory directory = FSDirectory.open(folder);
    IndexWriterConfig config =
        new IndexWriterConfig().setOpenMode(IndexWriterConfig.OpenMode.CREATE);
    try (IndexWriter writer = new IndexWriter(directory, config)) {
      for (int i = 0; i < embeddings.length; i++) {
        Document document = new Document();
        document.add(new StoredField(PATH, paths.get(i).toString()));
        // The dot product of vectors of length 1 is their cosine.
        document.add(
            new KnnFloatVectorField(
                EMBEDDING, embeddings[i], VectorSimilarityFunction.DOT_PRODUCT));
        writer.addDocument(document);
      }
    }
    return new PictureIndex(directory);
  }

  /** The pictures nearest to an embedding, best first. */
  List<Hit> nearest(float[] embedding, int count) throws IOException {
    List<Hit> hits = new ArrayList<>();
    for (ScoreDoc found :
        searcher.search(new KnnFloatVectorQuery(EMBEDDING, embedding, count), count).scoreDocs) {
      String path = searcher.storedFields().document(found.doc).get(PATH);
      // Lucene's score of a dot product is (1 + it) / 2.
      hits.add(new Hit(Path.of(path), 2 * found.score - 1));
    }
    return hits;
  }

  @Override
  public void close() throws IOException {
    reader.close();
    directory.close();
  }
}
