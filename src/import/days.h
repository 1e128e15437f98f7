// The days (UTC) whose partitions a batch wants, and those that are known to be there.
// Threads: one.
// Memory: a number for each day.
// Errors: none.
// Design: docs/operations.md#import
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

namespace spanring::importer {

class Days {
 public:
  // Further than a year away are no partitions: see trace_ensure_days.
  void Note(std::int64_t start_ns);
  // What another has noted, the newest first, until there are `most` to be made.
  void NoteAll(const Days& other, std::size_t most);
  // Makes the partitions of those that were noted and not yet made; "" where there are none. So
  // that the spans of a day do not go to the default partition, out of which they would have to be
  // moved.
  [[nodiscard]] std::string Statement() const;
  // They have a partition, or cannot have one.
  void Made();

 private:
  std::set<std::int64_t> made_;  // Since 1970, here and below.
  std::set<std::int64_t> noted_;
};

}  // namespace spanring::importer
