package org.nasvlp.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;
import static org.assertj.core.api.Assertions.within;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.nasvlp.data.BadSampleException;
import org.nasvlp.data.Fixtures;
import org.nasvlp.data.image.RgbImage;
import org.nasvlp.data.text.CaptionTokenizer;
import org.nasvlp.scoring.ImageTextScorer;

class PublishedBenchmarkTest {
  private static final String ARO_RELATION =
      """
      [{"image_path": "a.png", "bbox_x": 1, "bbox_y": 2, "bbox_w": 4, "bbox_h": 3,
        "true_caption": "the dog on the mat", "false_caption": "the mat on the dog",
        "relation_name": "on"},
       {"image_path": "a.png", "bbox_x": 0, "bbox_y": 0, "bbox_w": 8, "bbox_h": 8,
        "true_caption": "the man in the car", "false_caption": "the car in the man",
        "relation_name": "in"},
       {"image_path": "b.png", "bbox_x": 0, "bbox_y": 0, "bbox_w": 90, "bbox_h": 90,
        "true_caption": "the cup on the dish", "false_caption": "the dish on the cup",
        "relation_name": "on"}]
      """;
  private static final String ARO_ATTRIBUTION =
      """
      [{"image_path": "a.png", "bbox_x": 0, "bbox_y": 0, "bbox_w": 8, "bbox_h": 8,
        "true_caption": "the red cup and the wet dog",
        "false_caption": "the wet cup and the red dog", "attributes": ["red", "wet"]}]
      """;
  private static final String COCO_ORDER =
      """
      [{"image": "val2014/a.png", "caption": ["A small brown dog is on the red sofa.",
        "A dog.", "A dog chases two white cats across a wide green field"]},
       {"image": "b.png", "caption": ["A man in a blue shirt rides an old horse"]}]
      """;
  private static final String FLICKR30K_ORDER =
      """
      {"images": [
        {"filename": "a.png", "split": "train", "sentences": [{"raw": "A man rides a horse."}]},
        {"filename": "b.png", "split": "test", "sentences": [
          {"raw": "A young girl in a pink dress climbs up a set of stairs."}]}],
       "dataset": "flickr30k"}
      """;
  private static final String WINOGROUND =
      """
      {"id": 0, "image_0": "a", "image_1": "b", "caption_0": "a dog sees a cat", "caption_1": "a cat sees a dog", "tag": "x", "secondary_tag": "", "num_main_preds": 1, "collapsed_tag": "Object"}
      {"id": 1, "image_0": "b", "image_1": "a", "caption_0": "more cups than mugs", "caption_1": "more mugs than cups", "tag": "y", "secondary_tag": "", "num_main_preds": 1, "collapsed_tag": "Relation"}
      """;
  private static final String VALSE =
      """
      {"one": {"image_file": "a.png", "caption": "two cats", "foil": "three cats",
        "linguistic_phenomena": "counting", "mturk": {"foil": 0, "caption": 3, "other": 0}},
       "two": {"image_file": "b.png", "caption": "a cat", "foil": "a dog",
        "linguistic_phenomena": "foil-it", "mturk": {"foil": 2, "caption": 1, "other": 0}},
       "three": {"image_file": "b.png", "caption": "a man", "foil": "a boy",
        "linguistic_phenomena": "foil-it", "mturk": {"foil": 1, "caption": 2, "other": 0}}}
      """;
  private static final String SUGARCREPE =
      """
      {"0": {"filename": "a.png", "caption": "a red cup", "negative_caption": "a blue cup"},
       "1": {"filename": "b.png", "caption": "a big dog", "negative_caption": "a small dog"}}
      """;
  private static final String SVO =
      """
      sentence,pos_triplet,neg_triplet,pos_url,neg_url,pos_image_id,neg_image_id,subj_neg,verb_neg,obj_neg
      A man rides.,"man,ride,horse","man,feed,horse",u,v,a,b,False,True,False
      "A ""big"" dog, wet.","dog,sit,mat","cat,sit,mat",u,v,b,a,True,False,False
      """;
  private static final String SUGARCREPE_PP =
      """
      [{"id": 0, "filename": "a.png", "caption": "a cat on a mat", "caption2": "on a mat is a cat",
        "negative_caption": "a mat on a cat"},
       {"id": 7, "filename": "b.png", "caption": "a dog", "caption2": "one dog",
        "negative_caption": "a hog"}]
      """;
  private static final String COLA =
      """
      [["https://x.org/vg/1.jpg", "big dog by small cat", "https://x.org/vg/2.jpg",
        "small dog by big cat"],
       ["https://x.org/vg/2.jpg", "red cup", "https://x.org/vg/3.jpg", "cup of red"]]
      """;
  private static final String COMVG =
      """
      id,sentence,pos_triplet,neg_triplet,pos_image_id,neg_image_id,neg_value,sentence_id
      1,a man sits,"man,sit,table","('dog', 'sit', 'table')",11,12,subject,215
      3,a man sits,"man,sit,table","('man', 'lie', 'table')",11,13,predicate,215
      """;
  private static final String WHATS_UP =
      """
      [{"image_path": "data/controlled_images/mug_left_of_plate.jpeg", "caption_options": [
         "A mug to the left of a plate", "A mug to the right of a plate", "A mug on a plate",
         "A mug under a plate"]},
       {"image_path": "data/controlled_images/mug_on_plate.jpeg", "caption_options": [
         "A mug on a plate", "A mug to the right of a plate", "A mug to the left of a plate",
         "A mug under a plate"]}]
      """;
  private static final String VSR =
      """
      {"image": "7.jpg", "image_link": "http://x.org/7.jpg", "caption": "The cat is under the car.", "label": 1, "relation": "under", "annotator_id": 2, "vote_true_validator_id": "[18, 2]", "vote_false_validator_id": "[]"}
      {"image": "7.jpg", "image_link": "http://x.org/7.jpg", "caption": "The car is under the cat.", "label": 0, "relation": "under", "subj": "car", "obj": "cat", "annotator_id": 1, "vote_true_validator_id": "[]", "vote_false_validator_id": "[3]"}

      {"image": "9.jpg", "image_link": "http://x.org/9.jpg", "caption": "The cup touches the book.", "label": 1, "relation": "touching", "annotator_id": 3, "vote_true_validator_id": "[1]", "vote_false_validator_id": "[]", "reference_frame": null}
      """;
  private static final String COLORSWAP =
      """
      [{"id": 0, "caption_1": "a red cup and a blue dish", "caption_2": "a blue cup and a red dish",
        "image_1": "images/img_0_1.png", "image_2": "images/img_0_2.png",
        "image_source": "midjourney", "caption_source": "human"}]
      """;
  private static final String MMVP_VLM =
      """
      Question ID,Type,Statement
      1,Orientation and Direction,a dog facing left
      2,Orientation and Direction,a dog facing right
      3,Texts,"a sign, open"
      4,Texts,"a sign, shut"
      """;
  private static final String NEGBENCH =
      """
      correct_answer,caption_0,caption_1,caption_2,caption_3,correct_answer_template,image_path
      2,A dog and a cat,A cat but no dog,A dog but no cat,No dog,hybrid,coco/val2017/7.jpg
      0,A cup,No cup,A dish,A dish but no cup,positive,coco/val2017/9.jpg
      """;
  private static final String CREPE =
      """
      image_id,caption,hard_negs,x,y,width,height
      5,a dog's bed,"['a cat\\'s bed', ""a dog's bath"", 'a \"\"big\"\" bed']",1,2,30,40
      6,a cup,"['a cap',]",0,0,30.0,40
      """;
  private static final String BIVLC =
      """
      [{"image": "a.png", "caption": "a red cup", "negative_image": "b.png",
        "negative_caption": "a blue cup", "type": "replace", "subtype": "att"}]
      """;
  private static final String COUNTBENCH =
      """
      [{"image_url": "https://x.org/p/owls.jpg", "text": "Three owls, the three of them", "number": 3},
       {"image_url": "https://x.org/p/cups.jpg", "text": "a pair of cups", "number": 2},
       {"image_url": "https://x.org/p/tens.jpg", "text": "ten pens", "number": 10}]
      """;
  private static final String VL_CHECKLIST =
      """
      [["a.png", {"POS": ["a white cat"], "NEG": ["a black cat"]}],
       ["b.png", {"POS": ["a tall man", "he"], "NEG": ["a short man"]}]]
      """;

  @TempDir Path folder;

  private Path file(BenchmarkFormat format) throws IOException {
    return switch (format) {
      case ARO_RELATION -> write("relation.json", ARO_RELATION);
      case ARO_ATTRIBUTION -> write("attribution.json", ARO_ATTRIBUTION);
      case WINOGROUND -> write("examples.jsonl", WINOGROUND);
      case VALSE -> write("existence.json", VALSE);
      case SUGARCREPE -> write("swap_att.json", SUGARCREPE);
      case SVO_PROBES -> write("svo.csv", SVO);
      case VL_CHECKLIST -> write("color.json", VL_CHECKLIST);
      case SUGARCREPE_PP -> write("swap_obj.json", SUGARCREPE_PP);
      case COLA -> write("cola.json", COLA);
      case COMVG -> write("comvg.csv", COMVG);
      case WHATS_UP -> write("controlled_images_dataset.json", WHATS_UP);
      case VSR -> write("test.jsonl", VSR);
      case COLORSWAP -> write("test.json", COLORSWAP);
      case MMVP_VLM -> write("Questions.csv", MMVP_VLM);
      case NEGBENCH -> write("negbench.csv", NEGBENCH);
      case CREPE -> write("syst_vg_hard_negs.csv", CREPE);
      case BIVLC -> write("bivlc.json", BIVLC);
      case COUNTBENCH -> write("CountBench.json", COUNTBENCH);
      case COCO_ORDER -> write("coco_karpathy_test.json", COCO_ORDER);
      case FLICKR30K_ORDER -> write("dataset_flickr30k.json", FLICKR30K_ORDER);
    };
  }

  private Path write(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  private void picture(String name, int width, int height, int grey) throws IOException {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        image.setRGB(x, y, (grey << 16) | (x << 8) | y);
      }
    }
    ImageIO.write(image, "png", folder.resolve(name).toFile());
  }

  @Test
  void itemsAreWhatTheFilesSay() throws IOException {
    List<BenchmarkItem> aro =
        PublishedBenchmark.read(BenchmarkFormat.ARO_RELATION, file(BenchmarkFormat.ARO_RELATION))
            .items();
    assertThat(aro)
        .first()
        .isEqualTo(
            new BenchmarkItem(
                "1",
                "on",
                List.of(new BenchmarkItem.Picture("a.png", new BenchmarkItem.Crop(1, 2, 4, 3))),
                List.of("the dog on the mat", "the mat on the dog")));
    assertThat(
            PublishedBenchmark.read(
                    BenchmarkFormat.ARO_ATTRIBUTION, file(BenchmarkFormat.ARO_ATTRIBUTION))
                .categories())
        .containsExactly("red_wet");
    PublishedBenchmark valse =
        PublishedBenchmark.read(BenchmarkFormat.VALSE, file(BenchmarkFormat.VALSE));
    assertThat(valse.items())
        .extracting(BenchmarkItem::id)
        .containsExactly("existence/one", "existence/three");
    assertThat(valse.dropped().values()).containsExactly(1);
    List<BenchmarkItem> svo =
        PublishedBenchmark.read(BenchmarkFormat.SVO_PROBES, file(BenchmarkFormat.SVO_PROBES))
            .items();
    assertThat(svo).extracting(BenchmarkItem::category).containsExactly("verb", "subj");
    assertThat(svo.get(1).captions()).containsExactly("A \"big\" dog, wet.");
    assertThat(svo.get(1).pictures())
        .extracting(BenchmarkItem.Picture::path)
        .containsExactly("b", "a");
    assertThat(
            PublishedBenchmark.read(
                    BenchmarkFormat.VL_CHECKLIST, file(BenchmarkFormat.VL_CHECKLIST))
                .items()
                .get(1)
                .captions())
        .containsExactly("a tall man", "a short man");
  }

  private static List<String> sorted(List<String> words) {
    return words.stream().sorted().toList();
  }

  /** Nouns stay in nouns' places and adjectives in adjectives', as in ARO's code. */
  @Test
  void wordOrdersChangeWhatTheySay() throws IOException {
    PublishedBenchmark order =
        PublishedBenchmark.read(BenchmarkFormat.COCO_ORDER, file(BenchmarkFormat.COCO_ORDER));
    assertThat(order.items()).extracting(BenchmarkItem::id).containsExactly("1", "2", "3", "4");
    assertThat(order.dropped()).isEmpty();
    assertThat(order.items().getFirst().pictures())
        .containsExactly(new BenchmarkItem.Picture("val2014/a.png", null));
    for (BenchmarkItem item : order.items()) {
      assertThat(item.captions()).hasSize(5);
      for (String other : item.captions()) {
        assertThat(sorted(List.of(other.split(" "))))
            .isEqualTo(sorted(List.of(item.captions().getFirst().split(" "))));
      }
    }
    BenchmarkItem dog = order.items().getFirst();
    List<String> words = List.of("a", "small", "brown", "dog", "is", "on", "the", "red", "sofa");
    assertThat(dog.captions().getFirst()).isEqualTo(String.join(" ", words));
    List<String> content = List.of(dog.captions().get(1).split(" "));
    assertThat(sorted(List.of(content.get(3), content.get(8)))).containsExactly("dog", "sofa");
    assertThat(sorted(List.of(content.get(1), content.get(2), content.get(7))))
        .containsExactly("brown", "red", "small");
    List<String> rest = List.of(dog.captions().get(2).split(" "));
    for (int i : new int[] {1, 2, 3, 7, 8}) {
      assertThat(rest.get(i)).isEqualTo(words.get(i));
    }
    // The tenth token is the full stop, which is dropped after the exchange.
    List<String> within = List.of(dog.captions().get(3).split(" "));
    for (int i = 0; i < 9; i += 3) {
      assertThat(sorted(within.subList(i, i + 3))).isEqualTo(sorted(words.subList(i, i + 3)));
    }
    for (int i = 0; i < 9; i += 3) {
      assertThat(dog.captions().get(4)).contains(String.join(" ", words.subList(i, i + 3)));
    }
    // The same captions for everyone.
    assertThat(
            PublishedBenchmark.read(BenchmarkFormat.COCO_ORDER, file(BenchmarkFormat.COCO_ORDER))
                .items())
        .isEqualTo(order.items());
    PublishedBenchmark flickr =
        PublishedBenchmark.read(
            BenchmarkFormat.FLICKR30K_ORDER, file(BenchmarkFormat.FLICKR30K_ORDER));
    assertThat(flickr.items()).hasSize(1);
    assertThat(flickr.items().getFirst().pictures().getFirst().path()).isEqualTo("b.png");
  }

  /** Over many captions every noun meets every noun's place, and no adjective's. */
  @Test
  void nounsAreExchangedAmongNouns() {
    WordOrders orders = new WordOrders();
    Map<String, Integer> seen = new TreeMap<>();
    for (int item = 0; item < 400; item++) {
      seen.merge(orders.of("a young dog and a red horse", item).get(1), 1, Integer::sum);
    }
    assertThat(seen.keySet())
        .containsExactly(
            "a red dog and a young horse",
            "a red horse and a young dog",
            "a young dog and a red horse",
            "a young horse and a red dog");
    // Each has a quarter of 400; five standard deviations are 43.
    assertThat(seen.values()).allSatisfy(n -> assertThat(n).isBetween(57, 143));
  }

  @Test
  void orderedCaptionsAreCutAfterTheExchange() {
    String caption = "A dog, ".repeat(20) + "and a cat!";
    List<String> orders = new WordOrders().of(caption, 1);
    assertThat(orders).allSatisfy(text -> assertThat(text.split(" ", -1)).hasSize(30));
    // The caption's commas cling to their words; of the others they are tokens of their own.
    assertThat(orders.getFirst()).startsWith("a dog, a dog,").doesNotContain(" ,");
    assertThat(orders.get(1)).contains(" , ");
  }

  /** ARO keeps an order that is the caption itself; such an order is not held against it. */
  @Test
  void anOrderThatIsTheCaptionDoesNotCompete() {
    List<String> captions = List.of("a dog", "a dog", "dog a", "a dog", "dog a");
    BenchmarkItem item = new BenchmarkItem("1", "all", List.of(), captions);
    PublishedBenchmark order =
        new PublishedBenchmark(BenchmarkFormat.COCO_ORDER, List.of(item), Map.of());
    BenchmarkReport right =
        order.report(scores(Map.of("1", row(2, 2, 1, 2, 1)), "itc"), "itc", Set.of());
    assertThat(right.all()).containsExactly(new Share(1, 1));
    assertThat(right.tied()).isZero();
    BenchmarkReport tied =
        order.report(scores(Map.of("1", row(2, 2, 2, 2, 1)), "itc"), "itc", Set.of());
    assertThat(tied.all()).containsExactly(new Share(0, 1));
    assertThat(tied.tied()).isEqualTo(1);
  }

  @Test
  void aFolderOfSugarCrepeFilesIsACategoryEach() throws IOException {
    Path data = Files.createDirectory(folder.resolve("crepe"));
    Files.writeString(data.resolve("add_obj.json"), SUGARCREPE);
    Files.writeString(data.resolve("swap_att.json"), SUGARCREPE);
    PublishedBenchmark benchmark = PublishedBenchmark.read(BenchmarkFormat.SUGARCREPE, data);
    assertThat(benchmark.categories()).containsExactly("add_obj", "swap_att");
    assertThat(benchmark.items()).hasSize(4);
  }

  /** VALSE's files repeat keys, and several hold the same phenomenon. */
  @Test
  void aFolderOfValseFilesIsAnInstrumentEach() throws IOException {
    Path data = Files.createDirectory(folder.resolve("valse"));
    Files.writeString(data.resolve("action-replacement.json"), VALSE);
    Files.writeString(data.resolve("actant-swap.json"), VALSE);
    PublishedBenchmark valse = PublishedBenchmark.read(BenchmarkFormat.VALSE, data);
    assertThat(valse.categories()).containsExactly("actant-swap", "action-replacement");
    assertThat(valse.items())
        .extracting(BenchmarkItem::id)
        .containsExactly(
            "actant-swap/one",
            "actant-swap/three",
            "action-replacement/one",
            "action-replacement/three");
    // The lower of p_c and p_f is taken in each instrument, then averaged.
    Map<String, double[][]> byId =
        Map.of(
            "actant-swap/one", row(1, 0.5),
            "actant-swap/three", row(1, 0.5),
            "action-replacement/one", row(-0.5, -1),
            "action-replacement/three", row(-0.5, -1));
    Rates rates = valse.report(scores(byId, "itm"), "itm", Set.of()).rates();
    assertThat(rates.macro().getFirst()).isZero();
    assertThat(rates.all().getFirst()).isEqualTo(0.5);
  }

  /** SugarCrepe's repository has its items in "data", and models' outputs elsewhere. */
  @ParameterizedTest
  @EnumSource(
      value = BenchmarkFormat.class,
      names = {"SUGARCREPE", "VALSE"})
  void ofARepositoryItsDataIsRead(BenchmarkFormat format) throws IOException {
    Path root = Files.createDirectories(folder.resolve("repo"));
    Files.createDirectories(root.resolve("outputs"));
    Files.writeString(root.resolve("outputs").resolve("results.json"), "{\"add_obj\": 0.8}");
    Files.writeString(root.resolve("settings.json"), "{\"x\": 1}");
    Path data = Files.createDirectory(root.resolve("data"));
    Files.copy(file(format), data.resolve("add_obj.json"));
    assertThat(PublishedBenchmark.read(format, root).items())
        .isEqualTo(PublishedBenchmark.read(format, data).items());
    assertThat(PublishedBenchmark.read(format, root).categories()).containsExactly("add_obj");
    assertThatThrownBy(
            () -> PublishedBenchmark.read(format, Files.createDirectory(folder.resolve("none"))))
        .hasMessageContaining("none: holds no .json file; name the folder of");
  }

  @Test
  void aroAveragesOverItemsAndOverRelations() throws IOException {
    PublishedBenchmark aro =
        PublishedBenchmark.read(BenchmarkFormat.ARO_RELATION, file(BenchmarkFormat.ARO_RELATION));
    // "on": right and a tie, "in": right.
    ItemScores scores =
        scores(Map.of("1", row(0.9, 0.1), "2", row(0.2, 0.1), "3", row(0.5, 0.5)), "itc");
    BenchmarkReport report = aro.report(scores, "itc", Set.of());
    assertThat(report.metrics()).containsExactly("accuracy");
    assertThat(report.all()).containsExactly(new Share(2, 3));
    assertThat(report.byCategory().get("on")).containsExactly(new Share(1, 2));
    assertThat(report.macro()).containsExactly(0.75);
    assertThat(aro.report(scores, "itc", Set.of("in")).macro()).containsExactly(0.5);
    assertThatThrownBy(() -> aro.report(scores, "itc", Set.of("under")))
        .hasMessageContaining("no category 'under'");
  }

  /** VG-Attribution's authors average over the pairs of attributes with at least 25 items. */
  @Test
  void rarePairsOfAttributesAreLeftOutOfTheAverage() {
    List<BenchmarkItem> items = new ArrayList<>();
    Map<String, double[][]> byId = new LinkedHashMap<>();
    Map<String, Integer> sizes = new LinkedHashMap<>();
    sizes.put("red_wet", 25);
    sizes.put("big_old", 24);
    sizes.put("new_tall", 50);
    sizes.forEach(
        (category, count) -> {
          for (int i = 0; i < count; i++) {
            String id = category + i;
            items.add(new BenchmarkItem(id, category, List.of(), List.of()));
            // All of 25 right, none of 24, half of 50.
            boolean right = count == 25 || (count == 50 && i % 2 == 0);
            byId.put(id, right ? row(1, 0) : row(0, 1));
          }
        });
    ItemScores scores = scores(byId, "itc");
    BenchmarkReport attribution =
        new PublishedBenchmark(BenchmarkFormat.ARO_ATTRIBUTION, items, Map.of())
            .report(scores, "itc", Set.of());
    assertThat(attribution.macro()).containsExactly(0.75);
    assertThat(attribution.macroOfLarge()).containsExactly(0.75);
    assertThat(attribution.leftOut()).containsExactly("big_old");
    assertThat(attribution.byCategory()).hasSize(3);
    // VG-Relation's authors average over all.
    BenchmarkReport relation =
        new PublishedBenchmark(BenchmarkFormat.ARO_RELATION, items, Map.of())
            .report(scores, "itc", Set.of());
    assertThat(relation.macro()).containsExactly(0.5);
    assertThat(relation.macroOfLarge()).containsExactly(0.5);
    assertThat(relation.largeCategories()).containsExactly("new_tall");
  }

  /** The authors take every combination for a match or none, once, and drop double negatives. */
  @Test
  void svoProbesTakesEachCombinationAlone() throws IOException {
    Path file =
        write(
            "svo.csv",
            """
            sentence,pos_triplet,neg_triplet,pos_image_id,neg_image_id,subj_neg,verb_neg,obj_neg
            A man rides.,"['man,ride,horse']","['man,feed,horse']",1,2,False,True,False
            A man rides.,"man,ride,horse","man,lead,horse",1,3,False,True,False
            A man rides.,"man,ride,horse","man,feed,cow",1,4,False,True,True
            A dog sits.,"dog,sit,mat","dog,lie,mat",5,2,False,True,False
            """);
    PublishedBenchmark svo = PublishedBenchmark.read(BenchmarkFormat.SVO_PROBES, file);
    assertThat(svo.dropped()).containsExactly(Map.entry("more than one part differs", 1));
    assertThat(svo.items()).extracting(BenchmarkItem::id).containsExactly("2", "3", "5");
    // Image 1 is no match for the man who rides, once; of the wrong images, image 2 of the dog is.
    Map<String, double[][]> byId =
        Map.of(
            "2", new double[][] {{-1}, {-2}},
            "3", new double[][] {{-1}, {-0.5}},
            "5", new double[][] {{3}, {2}});
    BenchmarkReport itm = svo.report(scores(byId, "itm"), "itm", Set.of());
    assertThat(itm.metrics()).containsExactly("accuracy", "positive", "negative");
    assertThat(itm.all()).containsExactly(new Share(2, 3), new Share(1, 2), new Share(2, 3));
    assertThat(itm.rates().names()).containsExactly("mean");
    assertThat(itm.rates().all().getFirst()).isCloseTo((0.5 + 2.0 / 3) / 2, within(1e-15));
    // A cosine has no such bound.
    assertThat(svo.report(scores(byId, "itc"), "itc", Set.of()).metrics())
        .containsExactly("accuracy");
  }

  /** VL-CheckList has nested folders, an empty file, and images of several data sets. */
  @Test
  void vlChecklistIsReadFromItsFolders() throws IOException {
    Path data = folder.resolve("corpus");
    Path size = Files.createDirectories(data.resolve("Object/Size"));
    Files.writeString(
        size.resolve("vg_size.json"),
        VL_CHECKLIST.replace("a.png", "vg/VG_100K/a.png").replace("b.png", "swig/b.png"));
    Files.writeString(size.resolve("none.json"), "[]");
    Files.createDirectories(data.resolve("Attribute"));
    Files.writeString(data.resolve("Attribute").resolve("color.json"), VL_CHECKLIST);
    PublishedBenchmark checklist = PublishedBenchmark.read(BenchmarkFormat.VL_CHECKLIST, data);
    assertThat(checklist.categories()).containsExactly("Attribute/color", "Object/Size/vg_size");
    assertThat(checklist.firstOfEach(1).items())
        .extracting(BenchmarkItem::id)
        .containsExactly("Attribute/color/1", "Object/Size/vg_size/1");
    Path elsewhere = Files.createDirectories(folder.resolve("genome").resolve("VG_100K"));
    Files.createDirectories(folder.resolve("swig"));
    picture("swig/b.png", 3, 3, 1);
    picture("genome/VG_100K/a.png", 3, 3, 1);
    PublishedBenchmark.Scored scored =
        checklist.score(
            folder,
            Map.of("vg", elsewhere.getParent()),
            0,
            Map.of("itc", (images, captions, image, caption) -> new double[image.length]),
            done -> {});
    assertThat(scored.unreadable()).containsOnlyKeys("Attribute/color/1", "Attribute/color/2");
  }

  private List<BenchmarkItem> items(BenchmarkFormat format) throws IOException {
    return PublishedBenchmark.read(format, file(format)).items();
  }

  private static List<String> paths(BenchmarkItem item) {
    return item.pictures().stream().map(BenchmarkItem.Picture::path).toList();
  }

  @Test
  void ofTwoRightCaptionsBothMustWin() throws IOException {
    assertThat(items(BenchmarkFormat.SUGARCREPE_PP).getFirst().captions())
        .containsExactly("a cat on a mat", "on a mat is a cat", "a mat on a cat");
    PublishedBenchmark crepe =
        PublishedBenchmark.read(BenchmarkFormat.SUGARCREPE_PP, file(BenchmarkFormat.SUGARCREPE_PP));
    Map<String, double[][]> byId = Map.of("swap_obj/0", row(3, 2, 1), "swap_obj/7", row(3, 1, 2));
    assertThat(crepe.report(scores(byId, "itc"), "itc", Set.of()).all())
        .containsExactly(new Share(1, 2));
  }

  @Test
  void pairsOfImagesAreRead() throws IOException {
    BenchmarkItem cola = items(BenchmarkFormat.COLA).getFirst();
    assertThat(paths(cola)).containsExactly("1.jpg", "2.jpg");
    assertThat(cola.captions()).containsExactly("big dog by small cat", "small dog by big cat");
    BenchmarkItem swap = items(BenchmarkFormat.COLORSWAP).getFirst();
    assertThat(paths(swap)).containsExactly("images/img_0_1.png", "images/img_0_2.png");
    assertThat(swap.captions().get(1)).isEqualTo("a blue cup and a red dish");
    List<BenchmarkItem> mmvp = items(BenchmarkFormat.MMVP_VLM);
    assertThat(mmvp).extracting(BenchmarkItem::id).containsExactly("1", "3");
    assertThat(mmvp.getLast())
        .isEqualTo(
            new BenchmarkItem(
                "3",
                "Texts",
                List.of(
                    new BenchmarkItem.Picture("Texts/3.jpg", null),
                    new BenchmarkItem.Picture("Texts/4.jpg", null)),
                List.of("a photo of a sign, open", "a photo of a sign, shut")));
    BenchmarkItem bivlc = items(BenchmarkFormat.BIVLC).getFirst();
    assertThat(bivlc.category()).isEqualTo("replace");
    assertThat(paths(bivlc)).containsExactly("a.png", "b.png");
    List<BenchmarkItem> comvg = items(BenchmarkFormat.COMVG);
    assertThat(comvg).extracting(BenchmarkItem::category).containsExactly("subject", "predicate");
    assertThat(paths(comvg.getLast())).containsExactly("11", "13");
    Path odd = write("odd.csv", MMVP_VLM.replace("4,Texts,\"a sign, shut\"\n", ""));
    assertThatThrownBy(() -> PublishedBenchmark.read(BenchmarkFormat.MMVP_VLM, odd))
        .hasMessageContaining("line 4")
        .hasMessageContaining("no partner");
  }

  @Test
  void severalCaptionsHaveTheRightOneFirst() throws IOException {
    List<BenchmarkItem> negbench = items(BenchmarkFormat.NEGBENCH);
    assertThat(negbench.getFirst().captions())
        .containsExactly("A dog but no cat", "A dog and a cat", "A cat but no dog", "No dog");
    assertThat(negbench.getFirst().category()).isEqualTo("hybrid");
    Path beyond = write("n.csv", NEGBENCH.replace("\n2,", "\n4,"));
    assertThatThrownBy(() -> PublishedBenchmark.read(BenchmarkFormat.NEGBENCH, beyond))
        .hasMessageContaining("line 2")
        .hasMessageContaining("there are 4 captions");
    List<BenchmarkItem> crepe = items(BenchmarkFormat.CREPE);
    assertThat(crepe.getFirst().captions())
        .containsExactly("a dog's bed", "a cat's bed", "a dog's bath", "a \"big\" bed");
    assertThat(crepe.getFirst().pictures())
        .containsExactly(new BenchmarkItem.Picture("5", new BenchmarkItem.Crop(1, 2, 30, 40)));
    assertThat(crepe.getLast().captions()).containsExactly("a cup", "a cap");
    Path code = write("c.csv", CREPE.replace("['a cap',]", "open('x')"));
    assertThatThrownBy(() -> PublishedBenchmark.read(BenchmarkFormat.CREPE, code))
        .hasMessageContaining("line 3")
        .hasMessageContaining("a list of texts");
    PublishedBenchmark counts =
        PublishedBenchmark.read(BenchmarkFormat.COUNTBENCH, file(BenchmarkFormat.COUNTBENCH));
    assertThat(counts.dropped().values()).containsExactly(1);
    assertThat(counts.items()).extracting(BenchmarkItem::category).containsExactly("three", "ten");
    assertThat(counts.items().getFirst().captions())
        .hasSize(9)
        .startsWith("Three owls, the three of them", "two owls, the two of them")
        .endsWith("ten owls, the ten of them");
    assertThat(paths(counts.items().getFirst())).containsExactly("owls.jpg");
    // A row of five scores is not that of nine captions.
    assertThatThrownBy(
            () -> counts.report(scores(Map.of("1", row(1, 2, 3, 4, 5)), "itc"), "itc", Set.of()))
        .hasMessageContaining("1 x 9");
  }

  @Test
  void whatsUpIsReadByPrepositionInEveryForm() throws IOException {
    assertThat(items(BenchmarkFormat.WHATS_UP))
        .extracting(BenchmarkItem::category)
        .containsExactly("controlled_images_dataset/left", "controlled_images_dataset/on");
    Path data = Files.createDirectory(folder.resolve("whatsup"));
    Files.writeString(
        data.resolve("coco_qa_two_obj.json"),
        "[[285, \"A bear in front of a tree.\", \"A bear behind a tree.\"]]");
    Files.writeString(
        data.resolve("vg_qa_one_obj.json"),
        "[[285, \"A photo of a bear on the left\", \"A photo of a bear on the right\"]]");
    List<BenchmarkItem> items = PublishedBenchmark.read(BenchmarkFormat.WHATS_UP, data).items();
    assertThat(items)
        .extracting(BenchmarkItem::category)
        .containsExactly("coco_qa_two_obj/front", "vg_qa_one_obj/left");
    assertThat(paths(items.getFirst())).containsExactly("000000000285.jpg");
    assertThat(paths(items.getLast())).containsExactly("285.jpg");
  }

  /**
   * Two opposite places are a pair, all four a set; two sets have an image each right in common.
   */
  @Test
  void whatsUpCountsPairsAndSets() throws IOException {
    Path data = Files.createDirectory(folder.resolve("whatsup"));
    StringBuilder images = new StringBuilder("[");
    for (String second : List.of("plate", "tea-cup")) {
      for (String where : List.of("left_of", "right_of", "in-front_of", "behind")) {
        images.append(
            """
            %s{"image_path": "controlled_clevr/mug_%s_%s.jpeg", "caption_options": [
              "A mug %s a %s", "a", "b", "c"]}
            """
                .formatted(
                    images.length() == 1 ? "" : ",",
                    where,
                    second,
                    where.equals("behind")
                        ? "behind"
                        : where.replace("_of", " of").replace('-', ' '),
                    second));
      }
    }
    Files.writeString(data.resolve("controlled_clevr_dataset.json"), images.append(']'));
    Files.writeString(
        data.resolve("coco_qa_two_obj.json"),
        "[[285, \"A bear left of a tree.\", \"A bear right of a tree.\"]]");
    PublishedBenchmark whatsUp = PublishedBenchmark.read(BenchmarkFormat.WHATS_UP, data);
    Map<String, double[][]> byId = new LinkedHashMap<>();
    // Of the mug and the plate all are right but behind; of the mug and the cup all.
    for (int i = 1; i <= 8; i++) {
      byId.put("controlled_clevr_dataset/" + i, row(i == 4 ? 1 : 3, 2, 0, 0));
    }
    byId.put("coco_qa_two_obj/1", row(1, 0));
    BenchmarkReport report = whatsUp.report(scores(byId, "itc"), "itc", Set.of());
    assertThat(report.all()).containsExactly(new Share(8, 9));
    assertThat(report.rates().names()).containsExactly("pair", "set");
    assertThat(report.rates().all()).containsExactly(0.75, 0.5);
    assertThat(report.rates().of("controlled_clevr_dataset/left")).containsExactly(1.0, 0.5);
    assertThat(report.rates().of("controlled_clevr_dataset/front")).containsExactly(0.5, 0.5);
    assertThat(report.rates().of("coco_qa_two_obj/left")).containsExactly(Double.NaN, Double.NaN);
    assertThat(report.ratesByFolder()).containsOnlyKeys("controlled_clevr_dataset");
    assertThat(report.ratesByFolder().get("controlled_clevr_dataset")).containsExactly(0.75, 0.5);
    assertThat(report.rates().macro()).containsExactly(0.75, 0.5);
    // Without a partner there is no pair, and without all four no set.
    byId.remove("controlled_clevr_dataset/1");
    assertThat(whatsUp.report(scores(byId, "itc"), "itc", Set.of()).rates().all())
        .containsExactly(2 / 3.0, 1.0);
  }

  @Test
  void vsrTakesEachCaptionAlone() throws IOException {
    PublishedBenchmark vsr =
        PublishedBenchmark.read(BenchmarkFormat.VSR, file(BenchmarkFormat.VSR));
    assertThat(vsr.items())
        .extracting(BenchmarkItem::id, BenchmarkItem::category, BenchmarkItem::matches)
        .containsExactly(
            tuple("1", "under", true), tuple("2", "under", false), tuple("4", "touching", true));
    // An even chance is wrong; the false caption is above one of the two true ones.
    Map<String, double[][]> byId = Map.of("1", row(0.5), "2", row(0.25), "4", row(0));
    BenchmarkReport report = vsr.report(scores(byId, "itm"), "itm", Set.of());
    assertThat(report.metrics()).containsExactly("accuracy");
    assertThat(report.all()).containsExactly(new Share(1, 3));
    assertThat(report.byCategory().get("under")).containsExactly(new Share(1, 2));
    assertThat(report.rates().all()).containsExactly(0.5);
    assertThat(report.rates().of("under")).containsExactly(1.0);
    assertThat(report.rates().of("touching")).containsExactly(Double.NaN);
    byId = Map.of("1", row(0.5), "2", row(-0.25), "4", row(0.25));
    assertThat(vsr.report(scores(byId, "itm"), "itm", Set.of()).all())
        .containsExactly(new Share(3, 3));
    assertThatThrownBy(() -> vsr.report(scores(Map.of("1", row(1)), "itc"), "itc", Set.of()))
        .hasMessage(
            "VSR asks whether a caption is true of its image, which only itm scores say; itc have"
                + " no threshold");
    Path other = write("other.jsonl", VSR.replace("\"label\": 0", "\"label\": 2"));
    assertThatThrownBy(() -> PublishedBenchmark.read(BenchmarkFormat.VSR, other))
        .hasMessageContaining("line 2: \"label\" is 2; it must be 0 or 1");
  }

  @Test
  void tiesAreCounted() throws IOException {
    PublishedBenchmark aro =
        PublishedBenchmark.read(BenchmarkFormat.ARO_RELATION, file(BenchmarkFormat.ARO_RELATION));
    Map<String, double[][]> byId = Map.of("1", row(1, 0), "2", row(0, 1), "3", row(0.5, 0.5));
    assertThat(aro.report(scores(byId, "itc"), "itc", Set.of()).tied()).isEqualTo(1);
    PublishedBenchmark winoground =
        PublishedBenchmark.read(BenchmarkFormat.WINOGROUND, file(BenchmarkFormat.WINOGROUND));
    // The two wrong combinations of item 0 may be equal; of item 1 an image ties.
    Map<String, double[][]> pairs =
        Map.of("0", new double[][] {{4, 1}, {1, 3}}, "1", new double[][] {{4, 1}, {4, 5}});
    assertThat(winoground.report(scores(pairs, "itc"), "itc", Set.of()).tied()).isEqualTo(1);
  }

  /** Ten tokens hold eight words, and these captions differ in their ninth. */
  @Test
  void captionsThatAreEqualAfterCuttingAreCounted() throws IOException {
    String start = "a red dog a dog a red dog ";
    Path file =
        write(
            "swap_obj.json",
            "{\"1\": {\"filename\": \"a.png\", \"caption\": \"%sred\", \"negative_caption\": \"%sdog\"},"
                    .formatted(start, start)
                + " \"2\": {\"filename\": \"a.png\", \"caption\": \"red\", \"negative_caption\":"
                + " \"dog\"}}");
    PublishedBenchmark crepe = PublishedBenchmark.read(BenchmarkFormat.SUGARCREPE, file);
    try (CaptionTokenizer cutting = CaptionTokenizer.load(Fixtures.tokenizerFile(), 10);
        CaptionTokenizer whole = CaptionTokenizer.load(Fixtures.tokenizerFile(), 11)) {
      assertThat(crepe.sameTokens(cutting)).containsExactly("swap_obj/1");
      assertThat(crepe.sameTokens(whole)).isEmpty();
    }
  }

  @Test
  void winogroundsScoresByHand() throws IOException {
    PublishedBenchmark winoground =
        PublishedBenchmark.read(BenchmarkFormat.WINOGROUND, file(BenchmarkFormat.WINOGROUND));
    // Item 0: both captions and both images. Item 1: captions right, the second caption's image
    // wrong.
    ItemScores scores =
        scores(
            Map.of("0", new double[][] {{4, 1}, {2, 3}}, "1", new double[][] {{9, 8}, {1, 2}}),
            "score");
    BenchmarkReport report = winoground.report(scores, "score", Set.of());
    assertThat(report.metrics()).containsExactly("text", "image", "group");
    assertThat(report.all()).containsExactly(new Share(2, 2), new Share(1, 2), new Share(1, 2));
    assertThat(report.byCategory().get("Relation"))
        .containsExactly(new Share(1, 1), new Share(0, 1), new Share(0, 1));
    assertThat(PublishedBenchmark.winoground(scores, "score").all()).isEqualTo(report.all());
  }

  @Test
  void valseTakesCaptionAndFoilAlone() throws IOException {
    PublishedBenchmark valse =
        PublishedBenchmark.read(BenchmarkFormat.VALSE, file(BenchmarkFormat.VALSE));
    // Both pairwise right; the first foil passes for a match, the second caption for none.
    Map<String, double[][]> byId =
        Map.of("existence/one", row(3, 0.5), "existence/three", row(-1, -2));
    BenchmarkReport itm = valse.report(scores(byId, "itm"), "itm", Set.of());
    assertThat(itm.metrics()).containsExactly("acc_r", "acc", "p_c", "p_f");
    assertThat(itm.all())
        .containsExactly(new Share(2, 2), new Share(2, 4), new Share(1, 2), new Share(1, 2));
    // Of the four captions and foils by pairs, 3 beats 0.5 and −2, and −1 beats −2.
    assertThat(itm.rates().names()).containsExactly("min(p_c, p_f)", "AUROC");
    assertThat(itm.rates().all()).containsExactly(0.5, 0.75);
    BenchmarkReport itc = valse.report(scores(byId, "itc"), "itc", Set.of());
    assertThat(itc.metrics()).containsExactly("acc_r");
    assertThat(itc.rates().all()).containsExactly(0.75);
    // A tie is half a win.
    Map<String, double[][]> tied = Map.of("existence/one", row(1, 1), "existence/three", row(2, 0));
    assertThat(valse.report(scores(tied, "itc"), "itc", Set.of()).rates().all())
        .containsExactly(0.875);
  }

  @ParameterizedTest
  @EnumSource(BenchmarkFormat.class)
  void perfectConstantAndOppositeScorers(BenchmarkFormat format) throws IOException {
    PublishedBenchmark benchmark = PublishedBenchmark.read(format, file(format));
    for (int sign = -1; sign <= 1; sign++) {
      int scale = sign;
      Map<String, double[][]> byId = new LinkedHashMap<>();
      for (BenchmarkItem item : benchmark.items()) {
        double[][] matrix = new double[item.pictures().size()][item.captions().size()];
        for (int i = 0; i < matrix.length; i++) {
          for (int c = 0; c < matrix[i].length; c++) {
            boolean right =
                (i == c && item.matches()) || (format == BenchmarkFormat.SUGARCREPE_PP && c == 1);
            matrix[i][c] = right ? scale : -scale;
          }
        }
        byId.put(item.id(), matrix);
      }
      BenchmarkReport report = benchmark.report(scores(byId, "itm"), "itm", Set.of());
      assertThat(report.macro()).allSatisfy(mean -> assertThat(mean).isEqualTo(scale > 0 ? 1 : 0));
      assertThat(report.all())
          .allSatisfy(share -> assertThat(share.value()).isEqualTo(scale > 0 ? 1 : 0));
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = BenchmarkFormat.class,
      names = {
        "WINOGROUND",
        "ARO_ATTRIBUTION",
        "SVO_PROBES",
        "COCO_ORDER",
        "SUGARCREPE_PP",
        "NEGBENCH"
      })
  void randomScoresAreRightAsOftenAsChance(BenchmarkFormat format) {
    int count = 20_000;
    List<BenchmarkItem> items = new ArrayList<>();
    Map<String, double[][]> byId = new LinkedHashMap<>();
    SplittableRandom random = new SplittableRandom(7);
    for (int i = 0; i < count; i++) {
      items.add(new BenchmarkItem("" + i, "all", List.of(), List.of("a", "b", "c", "d", "e")));
      double[][] matrix =
          new double[format.task().images()][format.task().captions(items.getLast())];
      for (double[] row : matrix) {
        java.util.Arrays.setAll(row, c -> random.nextDouble());
      }
      byId.put("" + i, matrix);
    }
    List<Share> all =
        new PublishedBenchmark(format, items, Map.of())
            .report(scores(byId, "itc"), "itc", Set.of())
            .all();
    double[] chance =
        format.task() == BenchmarkFormat.Task.PAIR
            ? new double[] {0.25, 0.25, 1.0 / 6}
            : switch (format.task()) {
              // Five captions each.
              case ORDER, SEVERAL -> new double[] {0.2};
              case TWO_RIGHT -> new double[] {1.0 / 3};
              default -> new double[] {0.5};
            };
    for (int m = 0; m < chance.length; m++) {
      // Four standard deviations of 20,000 draws are below 0.015.
      assertThat(all.get(m).value()).isCloseTo(chance[m], within(0.015));
    }
  }

  @Test
  void aScorerSeesTheRightCropAndCaptions() throws IOException {
    picture("a.png", 20, 10, 7);
    picture("b.png", 5, 4, 9);
    PublishedBenchmark aro =
        PublishedBenchmark.read(BenchmarkFormat.ARO_RELATION, file(BenchmarkFormat.ARO_RELATION));
    // Sizes, first pixel and length of the caption make every combination tell itself.
    ImageTextScorer scorer =
        (images, captions, image, caption) -> {
          double[] scores = new double[image.length];
          for (int k = 0; k < scores.length; k++) {
            RgbImage seen = images.get(image[k]);
            scores[k] =
                1e6 * seen.width()
                    + 1e4 * seen.height()
                    + 100 * (seen.green(0, 0) + seen.blue(0, 0))
                    + (captions.get(caption[k]).startsWith("the d") ? 1 : 0);
          }
          return scores;
        };
    PublishedBenchmark.Scored scored =
        aro.score(folder, 0xFFFFFF, Map.of("itc", scorer), done -> assertThat(done).isEqualTo(3));
    assertThat(scored.unreadable()).isEmpty();
    assertThat(scored.scores().of("1", "itc")).isDeepEqualTo(row(4_030_301, 4_030_300));
    assertThat(scored.scores().of("2", "itc")).isDeepEqualTo(row(8_080_000, 8_080_000));
    assertThat(scored.scores().of("3", "itc")).isDeepEqualTo(row(5_040_000, 5_040_001));
  }

  @Test
  void itemsWithoutAnImageAreNamedAndNotScored() throws IOException {
    picture("b.png", 5, 4, 9);
    Files.writeString(folder.resolve("a.png"), "no picture");
    PublishedBenchmark svo =
        PublishedBenchmark.read(BenchmarkFormat.ARO_RELATION, file(BenchmarkFormat.ARO_RELATION));
    PublishedBenchmark.Scored scored =
        svo.score(
            folder,
            0,
            Map.of("itm", (images, captions, image, caption) -> new double[] {1, 0}),
            done -> {});
    assertThat(scored.unreadable()).containsOnlyKeys("1", "2");
    assertThat(scored.unreadable().get("1")).contains("a.png");
    BenchmarkReport report = svo.report(scored.scores(), "itm", Set.of());
    assertThat(report.items()).isEqualTo(1);
    assertThat(report.unscored()).isEqualTo(2);
    assertThatThrownBy(() -> svo.score(folder.resolve("no"), 0, Map.of(), done -> {}))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("no such folder");
  }

  @Test
  void scoresSurviveAFile() throws IOException {
    Map<String, double[][]> byId = new LinkedHashMap<>();
    byId.put("x/1", new double[][] {{0.1, -1e-30}, {1.0 / 3, 5}});
    byId.put("7", row(1, 2));
    ItemScores written = scores(byId, "itc");
    Path file = folder.resolve("sub").resolve("scores.jsonl");
    written.write(file);
    ItemScores read = ItemScores.read(file);
    assertThat(read.byItem().keySet()).containsExactly("x/1", "7");
    byId.forEach((id, matrix) -> assertThat(read.of(id, "itc")).isDeepEqualTo(matrix));
    try (Stream<Path> beside = Files.list(file.getParent())) {
      assertThat(beside).containsExactly(file);
    }
  }

  @Test
  void winogroundsPublishedScoresAreRead() throws IOException {
    Path file =
        write("s.jsonl", "{\"id\": 3, \"c0_i0\": 4, \"c0_i1\": 2, \"c1_i0\": 1, \"c1_i1\": 3}\n");
    assertThat(ItemScores.read(file).of("3", "score"))
        .isDeepEqualTo(new double[][] {{4, 1}, {2, 3}});
  }

  /** Four lines an item, in any order, as Winoground's authors publish the scores of 59 models. */
  @Test
  void winogroundsLabelledScoresAreRead() throws IOException {
    Path file =
        write(
            "clip.jsonl",
            """
            {"label": "0_c0_i0", "score": 29.97}
            {"label": "0_c1_i0", "score": 25.5}
            {"label": "12_c1_i1", "score": 1}
            {"label": "0_c0_i1", "score": 28}
            {"label": "0_c1_i1", "score": 27}
            {"label": "12_c0_i1", "score": 2}
            {"label": "12_c1_i0", "score": 3}
            {"label": "12_c0_i0", "score": 4}
            """);
    ItemScores scores = ItemScores.read(file);
    assertThat(scores.byItem().keySet()).containsExactly("0", "12");
    assertThat(scores.of("0", "score")).isDeepEqualTo(new double[][] {{29.97, 25.5}, {28, 27}});
    assertThat(scores.of("12", "score")).isDeepEqualTo(new double[][] {{4, 3}, {2, 1}});
    // Item 0 finds both captions' images, but takes its first caption for both.
    assertThat(PublishedBenchmark.winoground(scores, "score").all())
        .containsExactly(new Share(0, 2), new Share(1, 2), new Share(0, 2));
    Path missing = write("cut.jsonl", "{\"label\": \"0_c0_i0\", \"score\": 1}\n");
    assertThatThrownBy(() -> ItemScores.read(missing))
        .hasMessageContaining("cut.jsonl item 0")
        .hasMessageContaining("c1_i0");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {"id": 1}                              | needs scores
          {"itc": [[1]]}                         | needs a text or an integer as "id"
          {"id": 1, "itc": [[1, 2], [3]]}        | rows of the same length
          {"id": 1, "itc": [[1, "x"]]}           | "itc" is "x"
          {"id": 1, "itc": [[1, 1e999]]}         | a finite number is needed
          {"id": 1, "c0_i0": 1, "c1_i0": 2}      | "c0_i1" is null
          {"id": 1, "itc": [[1, 2]               | not JSON
          {"label": "c0_i0", "score": 1}         | an item's id with _c0_i0
          {"label": "1_c0_i2", "score": 1}       | "1_c0_i2"; an item's id with
          {"label": "1_c0_i0"}                   | "score" is null
          """)
  void badScoresAreNamed(String line, String message) throws IOException {
    Path file = write("s.jsonl", "{\"id\": 0, \"itc\": [[1, 2]]}\n" + line + "\n");
    assertThatThrownBy(() -> ItemScores.read(file))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("s.jsonl line 2")
        .hasMessageContaining(message);
  }

  @Test
  void scoresOfOtherFilesOrShapesAreRefused() throws IOException {
    PublishedBenchmark aro =
        PublishedBenchmark.read(BenchmarkFormat.ARO_RELATION, file(BenchmarkFormat.ARO_RELATION));
    assertThatThrownBy(() -> aro.report(scores(Map.of("9", row(1, 2)), "itc"), "itc", Set.of()))
        .hasMessageContaining("id 9");
    assertThatThrownBy(() -> aro.report(scores(Map.of("1", row(1)), "itc"), "itc", Set.of()))
        .hasMessageContaining("1 x 2");
    assertThatThrownBy(() -> aro.report(scores(Map.of("1", row(1, 2)), "itc"), "itm", Set.of()))
        .hasMessageContaining("no item of ARO VG-Relation has itm scores");
  }

  @ParameterizedTest
  @CsvSource({
    "VALSE, ARO_RELATION, this looks like VALSE",
    "ARO_RELATION, VALSE, this looks like ARO VG-Relation",
    "ARO_RELATION, ARO_ATTRIBUTION, this looks like ARO VG-Relation",
    "SUGARCREPE, WINOGROUND, this looks like SugarCrepe",
    "WINOGROUND, SUGARCREPE, this looks like Winoground",
    "SVO_PROBES, WINOGROUND, this looks like SVO-Probes",
    "VL_CHECKLIST, ARO_RELATION, this looks like VL-CheckList",
    "WINOGROUND, SVO_PROBES, this looks like Winoground",
    "SUGARCREPE_PP, SUGARCREPE, this looks like SugarCrepe++",
    "BIVLC, SUGARCREPE, this looks like BiVLC",
    "COLORSWAP, WINOGROUND, this looks like ColorSwap",
    "COMVG, SVO_PROBES, this looks like ComVG",
    "SVO_PROBES, COMVG, this looks like SVO-Probes",
    "CREPE, NEGBENCH, this looks like CREPE"
  })
  void theWrongBenchmarkIsNamed(BenchmarkFormat is, BenchmarkFormat asked, String message)
      throws IOException {
    Path file = file(is);
    assertThatThrownBy(() -> PublishedBenchmark.read(asked, file))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining(message);
  }

  @Test
  void hostileFilesAreNamed() throws IOException {
    assertBad("", "is empty");
    assertBad("[", "not JSON");
    assertBad(ARO_RELATION.substring(0, 300), "not JSON");
    assertBad("[]", "holds no item");
    assertBad(ARO_RELATION.replace("\"b.png\"", "\"../b.png\""), "entry 3", "leads out");
    assertBad(ARO_RELATION.replace("\"b.png\"", "\"/etc/passwd\""), "leads out");
    assertBad(ARO_RELATION.replace("\"b.png\"", "\"b\\u0000.png\""), "not valid");
    assertBad(ARO_RELATION.replace("\"bbox_w\": 4", "\"bbox_w\": 0"), "entry 1", "bbox_w");
    assertBad(ARO_RELATION.replace("\"in\"", "5"), "entry 2", "relation_name");
    Path winoground = write("w.jsonl", WINOGROUND.replace("\"id\": 1", "\"id\": 0"));
    assertThatThrownBy(() -> PublishedBenchmark.read(BenchmarkFormat.WINOGROUND, winoground))
        .hasMessageContaining("line 2")
        .hasMessageContaining("occurs twice");
    assertThatThrownBy(
            () -> PublishedBenchmark.read(BenchmarkFormat.VALSE, folder.resolve("absent.json")))
        .hasMessageContaining("no such file");
    assertThatThrownBy(() -> PublishedBenchmark.read(BenchmarkFormat.WINOGROUND, folder))
        .hasMessageContaining("is a folder");
    Path csv = write("svo.csv", SVO.replace("u,v,b,a", "u,v,b"));
    assertThatThrownBy(() -> PublishedBenchmark.read(BenchmarkFormat.SVO_PROBES, csv))
        .hasMessageContaining("line 3")
        .hasMessageContaining("fields");
  }

  private void assertBad(String text, String... messages) throws IOException {
    Path file = write("bad.json", text);
    assertThatThrownBy(() -> PublishedBenchmark.read(BenchmarkFormat.ARO_RELATION, file))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("bad.json")
        .satisfies(e -> assertThat(e.getMessage()).contains(messages));
  }

  /** Wilson's interval of 8 of 10, worked by hand: (0.8 + 0.19207) / 1.38415 ± 0.22685. */
  @Test
  void wilsonsInterval() {
    Share share = new Share(8, 10);
    assertThat(share.low()).isCloseTo(0.4902, within(1e-4));
    assertThat(share.high()).isCloseTo(0.9433, within(1e-4));
    assertThat(new Share(0, 5).low()).isZero();
    assertThat(new Share(5, 5).high()).isEqualTo(1);
  }

  /** Of one item alone the report says 1 of 1 or 0 of 1; small integers tie often. */
  @ParameterizedTest
  @EnumSource(BenchmarkFormat.class)
  void marginIsAboveZeroWhereTheItemIsRight(BenchmarkFormat format) throws IOException {
    PublishedBenchmark benchmark = PublishedBenchmark.read(format, file(format));
    String way = format.task() == BenchmarkFormat.Task.MATCH ? "itm" : "itc";
    SplittableRandom random = new SplittableRandom(3);
    Map<Boolean, Integer> seen = new TreeMap<>();
    for (int draw = 0; draw < 200; draw++) {
      BenchmarkItem item = benchmark.items().get(draw % benchmark.items().size());
      double[][] matrix = new double[format.task().images()][format.task().captions(item)];
      for (double[] row : matrix) {
        Arrays.setAll(row, c -> random.nextInt(4) - 1);
      }
      BenchmarkReport report =
          benchmark.report(scores(Map.of(item.id(), matrix), way), way, Set.of());
      int metric = Math.max(0, report.metrics().indexOf("group"));
      boolean right = report.all().get(metric).right() == 1;
      assertThat(benchmark.margin(item, matrix) > 0)
          .as("%s %s", item, Arrays.deepToString(matrix))
          .isEqualTo(right);
      seen.merge(right, 1, Integer::sum);
    }
    assertThat(seen.keySet()).containsExactly(false, true);
  }

  /** Leads of the right combinations are 2 and 5 by caption, 4 and 3 by image. */
  @Test
  void marginIsTheLeastLead() throws IOException {
    PublishedBenchmark winoground =
        PublishedBenchmark.read(BenchmarkFormat.WINOGROUND, file(BenchmarkFormat.WINOGROUND));
    double[][] scores = {{6, 4}, {2, 7}};
    assertThat(winoground.margin(winoground.items().getFirst(), scores)).isEqualTo(2);
    PublishedBenchmark svo =
        PublishedBenchmark.read(BenchmarkFormat.SVO_PROBES, file(BenchmarkFormat.SVO_PROBES));
    assertThat(svo.margin(svo.items().getFirst(), new double[][] {{1}, {3.5}})).isEqualTo(-2.5);
  }

  /** The rectangles of ARO's items are cut out, and names without an ending are completed. */
  @Test
  void picturesAreThoseThatAreScored() throws Exception {
    for (BenchmarkFormat format :
        List.of(BenchmarkFormat.ARO_RELATION, BenchmarkFormat.WINOGROUND)) {
      PublishedBenchmark benchmark = PublishedBenchmark.read(format, file(format));
      picture("a.png", 60, 50, 10);
      picture("b.png", 40, 30, 20);
      for (BenchmarkItem item : benchmark.items()) {
        List<RgbImage> seen = new ArrayList<>();
        new PublishedBenchmark(format, List.of(item), Map.of())
            .score(
                folder,
                0,
                Map.of(
                    "itc",
                    (images, captions, image, caption) -> {
                      seen.addAll(images);
                      return new double[image.length];
                    }),
                done -> {});
        List<RgbImage> shown = PublishedBenchmark.pictures(item, folder, Map.of(), 0);
        assertThat(shown).hasSize(format.task().images()).hasSameSizeAs(seen);
        for (int i = 0; i < shown.size(); i++) {
          assertThat(shown.get(i).width()).isEqualTo(seen.get(i).width());
          assertThat(shown.get(i).rgb()).isEqualTo(seen.get(i).rgb());
        }
      }
      assertThatThrownBy(
              () ->
                  PublishedBenchmark.pictures(
                      benchmark.items().getFirst(), folder.resolve("none"), Map.of(), 0))
          .isInstanceOf(BadSampleException.class);
    }
  }

  private static double[][] row(double... values) {
    return new double[][] {values};
  }

  private static ItemScores scores(Map<String, double[][]> byId, String way) {
    Map<String, Map<String, double[][]>> all = new LinkedHashMap<>();
    byId.forEach((id, matrix) -> all.put(id, Map.of(way, matrix)));
    return new ItemScores(all);
  }
}
