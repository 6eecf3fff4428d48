/*
 * Lookup problems on which a screen's error bound is attained: of an int8 screen by Adversary, of a
 * float32 screen, nearly, by SummationAdversary.
 *
 * The screen in question centres rows and codewords by the codebook's mean, A = x - mu and
 * B_j = e_j - mu, rounds each to multiples of its own scale, max|A|/127 and max|B_j|/127 or, on tiers
 * without VNNI, max|A|/63 and max|B_j|/64, to A' and B'_j, and estimates
 * t_j = ||B_j||^2/2 - A.B_j with an error of at most E_j = ||A|| ||B_j - B'_j|| + ||A - A'|| ||B'_j||.
 * By Cauchy-Schwarz the error is E_j only if A is parallel to the rounding residual of B_j, or B'_j
 * to that of A. Here it is: the residuals of a row's nearest and second nearest codeword are parallel
 * to the row and opposite (or the two codewords are parallel and opposite to the row's residual), and
 * their true t differ by less than 0.02 % of E. A bound smaller by 1/1000 loses the nearest codeword.
 *
 * The codebook holds -b with every b, so that mu is exactly zero or a common offset. All scales are
 * powers of two and every number is exact in float32. nas-bench's Int8Adversary makes the same
 * problems, and its test simulates the screen.
 */
#ifndef NAS_TESTS_ADVERSARIAL_H
#define NAS_TESTS_ADVERSARIAL_H

#include <math.h>
#include <stdint.h>

#include <algorithm>
#include <random>
#include <vector>

class Adversary {
 public:
  int64_t K = 0, d = 0, rows = 0;
  std::vector<float> e, x;

  Adversary(uint64_t seed, bool coarse)
      : levels_(coarse ? 63 : 127), codeword_levels_(coarse ? 64 : 127), random_(seed) {
    const int64_t range = pick(0, 19);
    d = range < 3 ? pick(48, 511) : range < 18 ? pick(512, 2048) : pick(2049, 4096);
    const int64_t fillers = pick(0, 1) ? pick(0, 3) : pick(0, 39);
    if (pick(0, 1)) {
      codeword_residuals(pick(1, 3), fillers);
    } else {
      row_residuals(pick(0, 3), fillers, pick(1, 7));
    }
  }

 private:
  using Vector = std::vector<double>;

  /* Finest fraction of a scale step: 7 bits of integer, one of offset and 16 of fraction. */
  static constexpr double kGrid = 0x1p-16;
  /* Components, zero in the row, that tune the second codeword's norm. */
  static constexpr int64_t kTuning = 6;

  int64_t pick(int64_t low, int64_t high) {
    return low + (int64_t)(random_() % (uint64_t)(high - low + 1));
  }
  double sign() { return pick(0, 1) ? 1.0 : -1.0; }

  std::vector<size_t> permutation(int64_t count) {
    std::vector<size_t> order((size_t)count);
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
    return order;
  }

  /* Rows without a residual, parallel to those of their codewords. */
  void codeword_residuals(int64_t pairs, int64_t fillers) {
    const double step = ldexp(1.0, (int)pick(-20, 10));
    for (int64_t pair = 0; pair < pairs; ++pair) add_pair(step);
    for (int64_t filler = 0; filler < fillers; ++filler) add_filler(20 * step, step * 0x1p-10);
    finish(step);
  }

  void add_pair(double step) {
    const auto order = permutation(d);
    const int64_t free = pick(kTuning + 1, kTuning + 11);
    const double row_step = step * (double)(2 << pick(0, 5));
    const double half = 0.5 - ldexp(1.0, -(int)pick(8, 15));
    const bool constant = pick(0, 1) != 0;
    Vector row((size_t)d, 0.0), first = row, second = row;
    for (int64_t f = kTuning; f < free; ++f) {
      const double integer = (double)(f == kTuning ? codeword_levels_ : pick(0, codeword_levels_));
      first[order[(size_t)f]] = sign() * step * integer;
      second[order[(size_t)f]] = sign() * step * integer;
    }
    for (int64_t f = free; f < d; ++f) {
      const size_t t = order[(size_t)f];
      const double s = sign();
      const double multiple = constant || f == free ? (double)levels_ : (double)pick(1, levels_);
      const double residual = s * step * kGrid * rint(half * multiple / (double)levels_ / kGrid);
      const int64_t integer = pick(-codeword_levels_ / 4, codeword_levels_ - 8);
      row[t] = s * row_step * multiple;
      first[t] = s * step * (double)integer + residual;
      second[t] = s * step * (double)(integer + pick(-3, 3)) - residual;
    }
    /* Whole steps bring the second codeword just ahead of the first, a longer norm just behind it. */
    const double target = half_t(first, row);
    double gap = half_t(second, row) - target;
    const double most = (double)codeword_levels_;
    while (gap > 0 || gap < -1.5 * most * most * step * step) {
      const size_t t = order[(size_t)pick(free, d - 1)];
      const double move = copysign(step, gap > 0 ? row[t] : -row[t]);
      const double change = move * (second[t] + move / 2 - row[t]);
      if (fabs(change) > 16 * step * step && (change < 0) == (gap > 0) &&
          fabs(second[t] + move) < (most - 1) * step) {
        second[t] += move;
        gap += change;
      }
    }
    gap = half_t(second, row) - target;
    int64_t squares = (int64_t)floor(-2 * gap / (step * step)) + 1;
    for (int64_t f = 0; f < kTuning && squares > 0; ++f) {
      int64_t root = std::min(codeword_levels_, (int64_t)sqrt((double)squares));
      if (f == kTuning - 1 && root * root < squares) root = std::min(codeword_levels_, root + 1);
      second[order[(size_t)f]] = (double)root * step;
      squares -= root * root;
    }
    add(e, K, first);
    add(e, K, second);
    add(x, rows, row);
  }

  /* Codewords without a residual, parallel to those of the rows. */
  void row_residuals(int64_t similar, int64_t fillers, int64_t count) {
    const double row_step = ldexp(1.0, (int)pick(-20, 10));
    const double step = row_step * (double)(1 << pick(0, 6));
    const auto order = permutation(d);
    int64_t free = 2 + similar + pick(0, 5);
    free += (d - free + 1) % 2;
    Vector codeword((size_t)d, 0.0);
    for (int64_t f = free; f < d; ++f) codeword[order[(size_t)f]] = sign() * (double)codeword_levels_ * step;
    add(e, K, codeword);
    for (int64_t f = 1; f <= similar; ++f) {
      Vector other = codeword;
      other[order[(size_t)f]] = step * (double)pick(1, 8);
      add(e, K, other);
    }
    for (int64_t filler = 0; filler < fillers; ++filler) {
      add_filler(3 * 127 * step, step * 0x1p-6);
    }
    for (int64_t i = 0; i < count; ++i) add_row(order, free, similar, codeword, row_step);
    finish(row_step);
  }

  /* A row with a residual along the codeword, but all but orthogonal to it. */
  void add_row(const std::vector<size_t> &order, int64_t free, int64_t similar,
               const Vector &codeword, double row_step) {
    const int64_t signed_count = d - free;
    std::vector<int64_t> integers((size_t)d);
    int64_t sum = 0;
    for (int64_t f = free; f < d; ++f) sum += integers[(size_t)f] = pick(1 - levels_, levels_ - 2);
    /* The integers sum to half a step for each component below zero, which the residuals undo. */
    for (int64_t excess = sum + (signed_count - 1) / 2; excess != 0;) {
      int64_t &integer = integers[(size_t)pick(free, d - 1)];
      const int64_t moved = excess > 0 ? integer - 1 : integer + 1;
      if (moved < 1 - levels_ || moved > levels_ - 2) continue;
      excess += moved - integer;
      integer = moved;
    }
    const int64_t below = (1 << 15) - pick(1, 8), extra = below % signed_count;
    const int64_t rotation = pick(0, signed_count - 1);
    Vector row((size_t)d, 0.0);
    row[order[0]] = sign() * (double)levels_ * row_step;
    for (int64_t f = 1 + similar; f < free; ++f) {
      row[order[(size_t)f]] = row_step * (double)pick(-levels_, levels_);
    }
    for (int64_t f = free; f < d; ++f) {
      const int64_t units = below / signed_count + ((f + rotation) % signed_count < extra ? 1 : 0);
      const double value =
          row_step * ((double)integers[(size_t)f] + 0.5 - (double)units * kGrid);
      row[order[(size_t)f]] = codeword[order[(size_t)f]] > 0 ? value : -value;
    }
    add(x, rows, row);
  }

  /* ||B||^2/2 - A.B */
  static double half_t(const Vector &codeword, const Vector &row) {
    double sum = 0;
    for (size_t t = 0; t < row.size(); ++t) sum += codeword[t] * (0.5 * codeword[t] - row[t]);
    return sum;
  }

  void add_filler(double scale, double grid) {
    Vector codeword((size_t)d);
    for (double &value : codeword) value = grid * rint(scale * normal_(random_) / grid);
    add(e, K, codeword);
  }

  void add(std::vector<float> &vectors, int64_t &count, const Vector &vector) {
    for (double value : vector) vectors.push_back((float)value);
    for (double value : vector) vectors.push_back((float)-value);
    count += 2;
  }

  /* Shuffles the codewords and, sometimes, moves all of the problem by an exact offset. */
  void finish(double step) {
    const std::vector<float> codewords = e;
    const auto order = permutation(K);
    for (size_t j = 0; j < order.size(); ++j) {
      std::copy_n(&codewords[order[j] * (size_t)d], d, &e[j * (size_t)d]);
    }
    if (pick(0, 2) != 0) return;
    std::vector<float> offset((size_t)d);
    for (float &value : offset) value = (float)(step * (double)pick(-128, 127));
    for (size_t at = 0; at < e.size(); ++at) e[at] += offset[at % (size_t)d];
    for (size_t at = 0; at < x.size(); ++at) x[at] += offset[at % (size_t)d];
  }

  const int64_t levels_, codeword_levels_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
};

/*
 * Problems on which a float32 dot product, summed in order from a block's first element on, has nearly
 * the error that its bound allows for: the first product is just above 1, each of the others just
 * below half a unit in its last place, so that none of them changes the sum. All are positive for the
 * nearest codeword j and negative for the other, k, so that A.B_j is estimated too low and A.B_k too
 * high. A component that is zero in the row makes B_j longer by just less than that is worth: j is
 * truly nearer, but by so little that only the bound saves it. With 2 * (d - 2) roundings of 2^-24
 * between the estimates, of the 2 * 1.02 (d + 11) + 12 that the bound has for one block, a bound of
 * 0.88 times the right one loses j for d of 180 to 192.
 */
class SummationAdversary {
 public:
  int64_t K = 0, d = 0, rows = 0;
  std::vector<float> e, x;

  explicit SummationAdversary(uint64_t seed) : random_(seed) {
    d = pick(0, 3) ? pick(180, 192) : pick(2, 179);
    const double scale = ldexp(1.0, (int)pick(-20, 20));
    /* Of the small products: just below 2^-24. */
    const double row_part = ldexp(1.0, (int)pick(-14, -10)), part = 0x1p-24 / row_part;
    const double shortened = part * (1 - ldexp(1.0, -(int)pick(5, 9)));
    std::vector<double> row((size_t)d), near = row, other = row;
    const double s = sign();
    row[0] = s;
    near[0] = other[0] = s * (1 + 0x1p-22);
    const int64_t longer = pick(1, d - 1);
    double gap = 0; /* half the difference of the distances, without the component that closes it */
    for (int64_t t = 1; t < d; ++t) {
      if (t == longer) continue;
      row[(size_t)t] = sign() * row_part;
      near[(size_t)t] = copysign(shortened, row[(size_t)t]);
      other[(size_t)t] = -near[(size_t)t];
      gap += 2 * row_part * shortened;
    }
    near[(size_t)longer] = (double)(float)(sqrt(2 * gap) * (1 - 0x1p-16)) * sign();
    add(e, K, near, scale);
    add(e, K, other, scale);
    for (int64_t filler = pick(0, 40); filler > 0; --filler) {
      std::vector<double> far((size_t)d);
      for (double &value : far) value = sign() * 4;
      add(e, K, far, scale);
    }
    for (int64_t copy = pick(1, 20); copy > 0; --copy) add(x, rows, row, scale);
  }

 private:
  int64_t pick(int64_t low, int64_t high) {
    return low + (int64_t)(random_() % (uint64_t)(high - low + 1));
  }
  double sign() { return pick(0, 1) ? 1.0 : -1.0; }

  /* The vector and its opposite: the codebook's mean is zero. */
  static void add(std::vector<float> &vectors, int64_t &count, const std::vector<double> &vector,
                  double scale) {
    for (double value : vector) vectors.push_back((float)(scale * value));
    for (double value : vector) vectors.push_back((float)(-scale * value));
    count += 2;
  }

  std::mt19937_64 random_;
};

#endif
