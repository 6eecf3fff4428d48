/** Compares variants of a configuration, every run a process of its own. */
module org.nasvlp.ablation {
  requires transitive org.nasvlp.core;
  requires transitive tools.jackson.databind;
  requires java.management;
  requires tools.jackson.dataformat.yaml;

  exports org.nasvlp.ablation;
}
