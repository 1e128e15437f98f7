#include "import/days.h"

#include <chrono>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace spanring::importer {

void Days::Note(std::int64_t start_ns) {
  using std::chrono::floor;
  const auto day = floor<std::chrono::days>(std::chrono::nanoseconds(start_ns)).count();
  const auto today =
      floor<std::chrono::days>(std::chrono::system_clock::now()).time_since_epoch().count();
  if (std::abs(day - today) <= 366 && !made_.contains(day)) noted_.insert(day);
}

void Days::NoteAll(const Days& other, std::size_t most) {
  for (auto day = other.noted_.rbegin(); day != other.noted_.rend(); ++day) {
    if (noted_.size() < most && !made_.contains(*day)) noted_.insert(*day);
  }
}

std::string Days::Statement() const {
  if (noted_.empty()) return "";
  return absl::StrCat(
      "SELECT trace_ensure_days(ARRAY(SELECT '1970-01-01'::date + day FROM unnest(ARRAY[",
      absl::StrJoin(noted_, ","), "]) AS day))");
}

void Days::Made() {
  made_.merge(noted_);
  noted_.clear();
}

}  // namespace spanring::importer
