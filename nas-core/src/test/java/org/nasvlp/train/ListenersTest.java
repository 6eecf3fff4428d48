package org.nasvlp.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ListenersTest {
  private final List<String> told = new ArrayList<>();

  static Stream<Method> everyEventIsPassedOnInOrder() {
    return Arrays.stream(TrainingListener.class.getMethods())
        .filter(method -> method.getName().startsWith("on"));
  }

  private TrainingListener recorder(String name) {
    return (TrainingListener)
        Proxy.newProxyInstance(
            TrainingListener.class.getClassLoader(),
            new Class<?>[] {TrainingListener.class},
            (proxy, method, args) -> {
              told.add(name + " " + method.getName() + " " + Arrays.deepToString(args));
              return null;
            });
  }

  private static @Nullable Object example(Class<?> type) {
    return switch (type.getSimpleName()) {
      case "long" -> 7L;
      case "double" -> 0.25;
      case "double[]" -> new double[] {0.25, 0.75};
      case "String" -> "text";
      case "Path" -> Path.of("folder");
      case "Map" -> Map.of("itm", "report");
      default -> null; // reports: passed on unread
    };
  }

  @ParameterizedTest
  @MethodSource
  void everyEventIsPassedOnInOrder(Method event) throws ReflectiveOperationException {
    Listeners listeners = new Listeners();
    listeners.add(recorder("first"));
    listeners.add(recorder("second"));
    Object[] args = Arrays.stream(event.getParameterTypes()).map(ListenersTest::example).toArray();
    Object _ = event.invoke(listeners, args);
    String what = " " + event.getName() + " " + Arrays.deepToString(args);
    assertThat(told).containsExactly("first" + what, "second" + what);
  }

  @Test
  void oneThatWantsToStopIsEnough() {
    Listeners listeners = new Listeners();
    listeners.add(new TrainingListener() {});
    assertThat(listeners.wantsStop()).isFalse();
    listeners.add(
        new TrainingListener() {
          @Override
          public boolean wantsStop() {
            return true;
          }
        });
    listeners.add(new TrainingListener() {});
    assertThat(listeners.wantsStop()).isTrue();
  }

  @Test
  void anExceptionEndsIt() {
    Listeners listeners = new Listeners();
    listeners.add(
        new TrainingListener() {
          @Override
          public void onWarning(String message) {
            throw new IllegalStateException(message);
          }
        });
    listeners.add(recorder("second"));
    assertThatThrownBy(() -> listeners.onWarning("enough"))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("enough");
    assertThat(told).isEmpty();
  }
}
