package org.nasvlp.eval;

import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What'sUp's controlled images (arXiv 2310.19785): each two objects in four places, of which two
 * and two are opposites. The names of the images tell objects and place, as in the authors' code.
 */
final class PlacedObjects {
  private static final Pattern NAME =
      Pattern.compile("([^_]+)_(left|right|on|under|in-front|behind)_(?:.*_)?([^_]+)\\.[^._]+");

  private static final Map<String, String> OPPOSITES =
      Map.of(
          "left",
          "right",
          "right",
          "left",
          "on",
          "under",
          "under",
          "on",
          "in-front",
          "behind",
          "behind",
          "in-front");

  private static final int PLACES = 4;

  /**
   * Objects and where one of them is.
   *
   * @param objects the file and both objects' names
   */
  private record Place(List<String> objects, String where) {
    static @Nullable Place of(BenchmarkItem item) {
      String path = item.pictures().getFirst().path();
      Matcher name = NAME.matcher(path.substring(path.lastIndexOf('/') + 1));
      String file = item.id().substring(0, item.id().lastIndexOf('/') + 1);
      return name.matches()
          ? new Place(List.of(file, name.group(1), name.group(3)), name.group(2))
          : null;
    }
  }

  /** By objects and place, whether the item is right. */
  private final Map<List<String>, Map<String, Boolean>> right = new HashMap<>();

  private PlacedObjects() {}

  static PlacedObjects of(
      List<BenchmarkMetrics.Scored> items, Predicate<BenchmarkMetrics.Scored> isRight) {
    PlacedObjects objects = new PlacedObjects();
    for (BenchmarkMetrics.Scored of : items) {
      Place place = Place.of(of.item());
      if (place != null) {
        objects
            .right
            .computeIfAbsent(place.objects(), both -> new HashMap<>())
            .put(place.where(), isRight.test(of));
      }
    }
    return objects;
  }

  /**
   * Of the pairs of opposite places that some items are of, the share with both right; NaN if there
   * is none that is whole.
   */
  double pairs(List<BenchmarkMetrics.Scored> items) {
    Map<List<Object>, Boolean> pairs = new LinkedHashMap<>();
    for (BenchmarkMetrics.Scored of : items) {
      Place place = Place.of(of.item());
      if (place != null) {
        Map<String, Boolean> places = right.get(place.objects());
        String opposite = OPPOSITES.get(place.where());
        if (places.containsKey(opposite)) {
          pairs.put(
              List.of(place.objects(), Set.of(place.where(), opposite)),
              places.get(place.where()) && places.get(opposite));
        }
      }
    }
    return share(pairs.values());
  }

  /** Of the sets of all four places, the share with all right; NaN if there is none. */
  double sets(List<BenchmarkMetrics.Scored> items) {
    Map<List<String>, Boolean> sets = new LinkedHashMap<>();
    for (BenchmarkMetrics.Scored of : items) {
      Place place = Place.of(of.item());
      if (place != null) {
        Map<String, Boolean> places = right.get(place.objects());
        if (places.size() == PLACES) {
          sets.put(place.objects(), !places.containsValue(false));
        }
      }
    }
    return share(sets.values());
  }

  private static double share(Collection<Boolean> right) {
    return right.stream().mapToInt(yes -> yes ? 1 : 0).average().orElse(Double.NaN);
  }
}
