/* The comparison, and what has been found. */
#include <stdarg.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>

#include "selfcheck.h"

namespace selfcheck {

namespace {

struct Tally {
  int64_t cases = 0;
  int64_t values = 0;
  int64_t failures = 0;
};

struct Report {
  std::vector<std::string> order;
  std::map<std::string, Tally> tallies;

  Tally &of(const std::string &function) {
    if (tallies.find(function) == tallies.end()) order.push_back(function);
    return tallies[function];
  }
};

Report report;
int64_t shown = 0;

/* The case being run: what a kernel that never ends is told by, when a time limit ends this program. */
char running[512];

void now_running(const std::string &function, const std::string &what, const std::string &side) {
  snprintf(running, sizeof running, "ended while running %s on %s: %s\n", function.c_str(),
           side.c_str(), what.c_str());
}

}  // namespace

void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "nas_selfcheck: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  va_end(arguments);
  exit(2);
}

void print_running() { (void)!write(STDOUT_FILENO, running, strlen(running)); }

std::string text(const char *format, ...) {
  char buffer[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

void complain(const std::string &function, const char *format, ...) {
  report.of(function).failures++;
  if (++shown > 20) return;
  va_list arguments;
  va_start(arguments, format);
  printf("DIFFERENCE in %s: ", function.c_str());
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
}

void count_case(const std::string &function) { report.of(function).cases++; }

void compare(const std::string &function, const std::string &what, const Side &reference,
             const Outcome &expected, const Side &subject, const Outcome &actual) {
  Tally &tally = report.of(function);
  tally.cases++;
  if (expected.status != actual.status) {
    complain(function, "%s: status %d (%s) on %s, %d (%s) on %s", what.c_str(), expected.status,
             expected.error.c_str(), reference.name.c_str(), actual.status, actual.error.c_str(),
             subject.name.c_str());
    return;
  }
  if (actual.status != NAS_OK && actual.error.empty()) {
    complain(function, "%s: a failure without a message on %s", what.c_str(),
             subject.name.c_str());
  }
  if (expected.bad_row != actual.bad_row) {
    complain(function, "%s: bad row %lld on %s, %lld on %s", what.c_str(),
             (long long)expected.bad_row, reference.name.c_str(), (long long)actual.bad_row,
             subject.name.c_str());
    return;
  }
  if (expected.outputs.size() != actual.outputs.size()) {
    complain(function, "%s: %zu outputs on %s, %zu on %s", what.c_str(), expected.outputs.size(),
             reference.name.c_str(), actual.outputs.size(), subject.name.c_str());
    return;
  }
  for (size_t i = 0; i < expected.outputs.size(); ++i) {
    const auto &a = expected.outputs[i];
    const auto &b = actual.outputs[i];
    tally.values += (int64_t)(a.second.size() / 4);
    if (a.second == b.second) continue;
    size_t at = 0;
    while (at < a.second.size() && at < b.second.size() && a.second[at] == b.second[at]) ++at;
    at = at / 4 * 4;
    uint32_t left = 0;
    uint32_t right = 0;
    if (at + 4 <= a.second.size()) memcpy(&left, &a.second[at], 4);
    if (at + 4 <= b.second.size()) memcpy(&right, &b.second[at], 4);
    complain(function, "%s: %s differs, first at byte %zu: 0x%08x on %s, 0x%08x on %s",
             what.c_str(), a.first.c_str(), at, left, reference.name.c_str(), right,
             subject.name.c_str());
  }
}

void both(const std::string &function, const std::string &what, const Side &reference,
          const Side &subject, const std::function<Outcome(const Side &)> &run) {
  reference.prepare();
  now_running(function, what, reference.name);
  Outcome expected = run(reference);
  subject.prepare();
  now_running(function, what, subject.name);
  Outcome actual = run(subject);
  compare(function, what, reference, expected, subject, actual);
}

int conclude() {
  if (report.order.empty()) die("nothing was compared");
  int64_t failures = 0;
  for (const std::string &function : report.order) {
    const Tally &tally = report.tallies[function];
    failures += tally.failures;
    printf("%-16s %6lld cases, %10lld words compared, %s\n", function.c_str(),
           (long long)tally.cases, (long long)tally.values,
           tally.failures == 0 ? "equal" : text("%lld DIFFERENCES", (long long)tally.failures)
                                               .c_str());
  }
  printf(failures == 0 ? "all equal\n" : "%lld differences\n", (long long)failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace selfcheck
