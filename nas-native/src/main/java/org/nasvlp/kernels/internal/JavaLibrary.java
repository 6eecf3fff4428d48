package org.nasvlp.kernels.internal;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/** The kernels in plain Java. */
final class JavaLibrary implements KernelLibrary {
  private final Memory memory = new HostMemory();

  @Override
  public String describe() {
    int threads = Libraries.threads();
    return "java, " + threads + (threads == 1 ? " thread" : " threads");
  }

  @Override
  public Memory memory() {
    return memory;
  }

  @Override
  public KernelCodebook create(float[] codewords, int size, int width) {
    return new JavaCodebook(codewords.clone(), size, width);
  }

  @Override
  public KernelCodebook create(MemorySegment codewords, int size, int width) {
    float[] copy = new float[size * width];
    MemorySegment.copy(codewords, JAVA_FLOAT, 0, copy, 0, copy.length);
    return new JavaCodebook(copy, size, width);
  }
}
