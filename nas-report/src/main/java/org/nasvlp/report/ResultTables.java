package org.nasvlp.report;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nasvlp.eval.AttributeScores;
import org.nasvlp.eval.EvaluationReport;
import org.nasvlp.eval.FineGrainedReport;
import org.nasvlp.eval.FineGrainedScore;
import org.nasvlp.eval.LargeTypes;
import org.nasvlp.eval.RetrievalReport;
import org.nasvlp.eval.RewordedScores;
import org.nasvlp.eval.Share;

/** The tables of an evaluation on test pairs, and of a retrieval. */
final class ResultTables {
  private final Html html;
  private final Tables tables;

  ResultTables(Html html) {
    this.html = html;
    this.tables = new Tables(html);
  }

  void write(EvaluationReport report) {
    fineGrained(report);
    reworded(report);
    if (report.retrievalItc() != null) {
      retrieval(report.retrievalItc(), report.retrievalItm());
    }
  }

  private void fineGrained(EvaluationReport report) {
    tables.open("Right choices between pairs that differ in one thing, in %; small: 95 % interval");
    List<String> columns = new ArrayList<>(List.of("pairs"));
    List<String> ways = report.itm() == null ? List.of("ITC") : List.of("ITC", "ITM");
    for (String way : ways) {
      columns.addAll(List.of(way + " caption", way + " image", way + " group"));
    }
    tables.head("type", columns);
    report
        .itc()
        .byAttribute()
        .forEach(
            (type, itc) -> {
              html.open("tr").element("th", type, "scope", "row");
              html.element("td", Tables.format("%,d", itc.pairs()));
              cells(itc);
              if (report.itm() != null) {
                cells(report.itm().byAttribute().get(type));
              }
              html.close();
            });
    html.open("tr", "class", "sum").element("th", "macro", "scope", "row").element("td", "");
    macroCells(report.itc());
    if (report.itm() != null) {
      macroCells(report.itm());
    }
    html.close();
    AttributeScores chance = AttributeScores.chance();
    html.open("tr", "class", "chance").element("th", "chance", "scope", "row").element("td", "");
    for (int i = 0; i < ways.size(); i++) {
      for (double value :
          new double[] {chance.captionChoice(), chance.imageChoice(), chance.group()}) {
        html.element("td", Tables.percent(value));
      }
    }
    html.close();
    tables.close();
    html.element("p", LargeTypes.note(report.itc()), "class", "soft");
  }

  private void cells(@Nullable AttributeScores scores) {
    for (FineGrainedScore score :
        List.of(
            FineGrainedScore.CAPTION_CHOICE,
            FineGrainedScore.IMAGE_CHOICE,
            FineGrainedScore.GROUP)) {
      if (scores == null || scores.pairs() == 0) {
        html.element("td", Tables.DASH);
        continue;
      }
      html.open("td").text(share(scores, score));
      if (LargeTypes.isLarge(scores.pairs())) {
        Share interval = new Share((int) score.right(scores), score.decisions(scores.pairs()));
        html.text(" ");
        html.element(
            "small", Tables.format("%.0f–%.0f", 100 * interval.low(), 100 * interval.high()));
      }
      html.close();
    }
  }

  /** A percentage, or a count where there are too few for one. */
  static String share(AttributeScores scores, FineGrainedScore score) {
    return LargeTypes.isLarge(scores.pairs())
        ? Tables.percent(score.share(scores))
        : Tables.format("%d of %d", score.right(scores), score.decisions(scores.pairs()));
  }

  private void macroCells(FineGrainedReport report) {
    AttributeScores macro = LargeTypes.macro(report).orElse(null);
    html.element("td", macro == null ? Tables.DASH : Tables.percent(macro.captionChoice()));
    html.element("td", macro == null ? Tables.DASH : Tables.percent(macro.imageChoice()));
    html.element("td", macro == null ? Tables.DASH : Tables.percent(macro.group()));
  }

  private void reworded(EvaluationReport report) {
    if (report.itc().reworded().isEmpty()) {
      return;
    }
    tables.open(
        "True rewordings held against the false caption, right in %; both: the caption too");
    List<String> columns = new ArrayList<>(List.of("rewordings", "ITC", "ITC both"));
    if (report.itm() != null) {
      columns.addAll(List.of("ITM", "ITM both"));
    }
    tables.head("type", columns);
    report
        .itc()
        .reworded()
        .forEach(
            (type, itc) -> {
              html.open("tr").element("th", type, "scope", "row");
              html.element("td", Tables.format("%,d", itc.rewordings()));
              cells(itc);
              if (report.itm() != null) {
                cells(report.itm().reworded().get(type));
              }
              html.close();
            });
    html.open("tr", "class", "chance").element("th", "chance", "scope", "row").element("td", "");
    cells(RewordedScores.chance());
    if (report.itm() != null) {
      cells(RewordedScores.chance());
    }
    html.close();
    tables.close();
  }

  private void cells(@Nullable RewordedScores scores) {
    html.element("td", scores == null ? Tables.DASH : Tables.percent(scores.choice()));
    html.element("td", scores == null ? Tables.DASH : Tables.percent(scores.both()));
  }

  /**
   * @param itm the best candidates re-ranked; null without a match head
   */
  void retrieval(RetrievalReport itc, @Nullable RetrievalReport itm) {
    tables.open(
        Tables.format(
            "Retrieval among %,d images and %,d captions, found in %%",
            itc.images(), itc.captions()));
    List<String> columns = new ArrayList<>();
    for (String direction : List.of("caption", "image")) {
      for (int rank : RetrievalReport.ranks()) {
        columns.add(direction + " R@" + rank);
      }
    }
    tables.head("way", columns);
    html.open("tr");
    recall("ITC", itc.textRecall(), itc.imageRecall());
    if (itm != null) {
      html.open("tr");
      recall("ITC, then both", itm.textRecall(), itm.imageRecall());
    }
    html.open("tr", "class", "chance");
    recall("chance", itc.textChance(), itc.imageChance());
    tables.close();
  }

  /** Fills a row and closes it. */
  private void recall(String way, double[] text, double[] image) {
    html.element("th", way, "scope", "row");
    for (double[] direction : List.of(text, image)) {
      for (double recall : direction) {
        html.element("td", Tables.percent(recall));
      }
    }
    html.close();
  }
}
