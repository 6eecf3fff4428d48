package org.nasvlp.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.nasvlp.report.Finding.Level;

class DiagnosisTest {
  @TempDir private Path folder;
  private RunFolder run;

  @BeforeEach
  void makeRun() throws IOException {
    run = new RunFolder(folder.resolve("run"));
  }

  private Finding finding(String subject) throws IOException {
    List<Finding> found =
        Diagnosis.of(run.read()).stream().filter(of -> of.subject().startsWith(subject)).toList();
    assertThat(found).as(subject).hasSize(1);
    return found.getFirst();
  }

  private void assertLevel(String subject, Level level) throws IOException {
    Finding finding = finding(subject);
    assertThat(finding.level()).as(finding.toString()).isEqualTo(level);
    assertThat(finding.remedy().isEmpty()).isEqualTo(level == Level.FINE);
    assertThat(finding.figure()).isNotEmpty();
    assertThat(finding.threshold()).isNotEmpty();
  }

  @Test
  void nothingIsWrongWithARunThatLearns() throws IOException {
    run.steps(200).evaluation(200, "colour", 100, 0.8, 0.9);
    assertThat(Diagnosis.of(run.read()))
        .hasSizeGreaterThan(10)
        .extracting(Finding::level)
        .isSubsetOf(Level.FINE, Level.UNKNOWN);
  }

  @Test
  void theWorstComesFirst() throws IOException {
    run.itm = step -> 0.6365;
    run.temperature = step -> 0.5;
    run.steps(200);
    assertThat(Diagnosis.of(run.read()))
        .extracting(Finding::level)
        .startsWith(Level.PROBLEM, Level.WARNING)
        .isSorted();
  }

  /** The entropy of one match among three, by its definition. */
  @Test
  void matchingThatIsBlindHasTheEntropyOfItsLabels() {
    assertThat(Diagnosis.blindMatching(1))
        .isCloseTo(
            (Math.log(3) + 2 * Math.log(1.5)) / 3, org.assertj.core.data.Offset.offset(1e-12));
    assertThat(Diagnosis.blindMatching(0.5))
        .isCloseTo(Math.log(2), org.assertj.core.data.Offset.offset(1e-12));
  }

  @Test
  void matchingThatIsStuck() throws IOException {
    run.itm = step -> 0.634;
    run.steps(200);
    assertLevel("Matching", Level.PROBLEM);
    assertThat(finding("Matching").remedy()).contains("weights.json");
  }

  @Test
  void matchingIsNotJudgedAfterAFewSteps() throws IOException {
    run.itm = step -> 0.634;
    run.steps(20);
    assertLevel("Matching", Level.UNKNOWN);
  }

  @Test
  void contrastThatIsStuck() throws IOException {
    // Which of the captions of the batch and of the queue it is, each as probable.
    double blind = Math.log(run.config().data().batchSize() + run.config().objective().queue());
    run.itc = step -> blind;
    run.steps(200);
    assertLevel("Contrast", Level.PROBLEM);
  }

  @Test
  void temperatureAtEitherClamp() throws IOException {
    run.temperature = step -> 0.5;
    run.steps(200);
    assertLevel("Temperature", Level.WARNING);
    run.temperature = step -> 0.001;
    run.steps(200);
    assertLevel("Temperature", Level.WARNING);
  }

  @Test
  void aDictionaryThatCollapses() throws IOException {
    run.perplexity = step -> step < 100 ? 60 : 1.01;
    run.steps(200);
    assertLevel("Dictionary's perplexity", Level.PROBLEM);
  }

  @Test
  void codewordsThatRestartAgainAndAgain() throws IOException {
    run.restarts = step -> step;
    run.steps(200);
    assertLevel("Restarts", Level.WARNING);
  }

  @Test
  void numbersThatAreNotFinite() throws IOException {
    run.gradient = step -> step == 100 ? Double.NaN : 2;
    run.steps(200);
    assertLevel("Numbers", Level.PROBLEM);
    assertThat(finding("Numbers").figure()).contains("1 in the log");
  }

  @Test
  void aBatchThatWasSavedForNotBeingFinite() throws IOException {
    run.steps(200).file("not-finite-step-201.json", "[]");
    assertLevel("Numbers", Level.PROBLEM);
    assertThat(finding("Numbers").figure()).contains("not-finite-step-201.json");
  }

  @Test
  void gradientsThatGrow() throws IOException {
    run.gradient = step -> step > 150 ? 100 : 2;
    run.steps(200);
    assertLevel("Gradient", Level.WARNING);
  }

  @Test
  void aLoaderThatIsSlowerThanTheStep() throws IOException {
    run.data = step -> 0.1;
    run.steps(200);
    assertLevel("Waiting for data", Level.PROBLEM);
    assertThat(finding("Waiting for data").figure()).startsWith("50.0 %");
  }

  @Test
  void editsOfOneTypeOnly() throws IOException {
    run.config(run.config().withNta(nta -> nta.enabled(true)));
    run.steps(200).file("run.json", "{\"captionEdits\":{\"edits\":{\"COLOR\":900,\"NOUN\":100}}}");
    assertLevel("Types of caption edits", Level.WARNING);
    assertThat(finding("Types of caption edits").figure()).isEqualTo("90 % are of the type COLOR");
    run.file("run.json", "{\"captionEdits\":{\"edits\":{\"COLOR\":500,\"NOUN\":500}}}");
    assertLevel("Types of caption edits", Level.FINE);
  }

  @Test
  void captionsThatAreCutOff() throws IOException {
    run.steps(200).file("run.json", "{\"pairs\":1000,\"truncatedCaptions\":60}");
    assertLevel("Captions cut off", Level.WARNING);
    assertThat(finding("Captions cut off").figure()).contains("6.0 %");
  }

  /** 53 of 100 lies within chance, 70 of 100 does not: 95 % of fair coins give 40 to 60. */
  @Test
  void typesAtChance() throws IOException {
    run.steps(200).evaluation(100, "colour", 100, 0.9, 0.53);
    assertLevel("What it can tell apart by matching", Level.PROBLEM);
    assertThat(finding("What it can tell apart").figure()).contains("colour 53.0 %");
    run.evaluation(200, "colour", 100, 0.9, 0.70);
    assertLevel("What it can tell apart by matching", Level.FINE);
  }

  @Test
  void anEvaluationThatIsWorseThanTheBest() throws IOException {
    run.steps(200).evaluation(100, "colour", 100, 0.9, 0.9);
    run.evaluation(200, "colour", 100, 0.9, 0.8);
    assertLevel("Last evaluation", Level.WARNING);
  }
}
