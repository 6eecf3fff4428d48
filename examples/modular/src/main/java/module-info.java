/** Scores pictures on the module path. */
module example.modular {
  requires org.nasvlp.core;
}
