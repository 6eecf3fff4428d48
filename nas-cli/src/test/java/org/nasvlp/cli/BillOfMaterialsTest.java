package org.nasvlp.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.xpath.XPath;
import javax.xml.xpath.XPathConstants;
import javax.xml.xpath.XPathFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.NodeList;

/** The bill of materials has no parent, so nothing but this keeps it with the other modules. */
class BillOfMaterialsTest {
  private static final Path ROOT = TestShell.home();

  private static List<String> read(Path pom, String expression) throws Exception {
    XPath xpath = XPathFactory.newInstance().newXPath();
    Object document = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(pom.toFile());
    NodeList nodes = (NodeList) xpath.evaluate(expression, document, XPathConstants.NODESET);
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < nodes.getLength(); i++) {
      texts.add(nodes.item(i).getTextContent());
    }
    return texts;
  }

  @Test
  void itHasTheVersionOfTheOthers() throws Exception {
    assertThat(read(ROOT.resolve("nas-bom/pom.xml"), "/project/version"))
        .isEqualTo(read(ROOT.resolve("pom.xml"), "/project/version"));
  }

  @Test
  void itNamesEveryPublishedModuleAndNoOther() throws Exception {
    Set<String> published = new TreeSet<>();
    for (String module : read(ROOT.resolve("pom.xml"), "/project/modules/module")) {
      Path pom = ROOT.resolve(module).resolve("pom.xml");
      boolean jar = read(pom, "/project/packaging[text()='pom']").isEmpty();
      List<String> skip = read(pom, "/project/properties/*[name()='maven.deploy.skip']");
      if (jar && !skip.contains("true")) {
        published.add(module);
      }
    }
    assertThat(published).contains("nas-core").doesNotContain("nas-cli");
    assertThat(new TreeSet<>(read(ROOT.resolve("nas-bom/pom.xml"), "//dependency/artifactId")))
        .isEqualTo(published);
  }

  @Test
  void itNamesTheKernelsOfEachPlatform() throws Exception {
    assertThat(
            read(
                ROOT.resolve("nas-bom/pom.xml"),
                "//dependency[artifactId='nas-native']/classifier"))
        .containsExactly("${native.platform}", "${native.platform}-cuda");
  }
}
