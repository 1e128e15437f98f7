// `spanring import`: one file after another, from bytes to rows.
// Threads: one.
// Memory: as the readers and the loader.
// Errors: what is wrong with a file stands in its report, and the next one goes on; what is wrong
//   with the database is a Status, and ends it all.
// Design: docs/operations.md#import
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "import/loader.h"
#include "import/span.h"

namespace spanring::importer {

inline constexpr std::size_t kMostRefusals = 20;

struct Refusal {
  Position position;
  std::string reason;
};

struct FileReport {
  std::string file;
  std::optional<Format> format;
  std::uint64_t spans = 0;         // That could be read.
  std::uint64_t refused = 0;       // That could not.
  std::vector<Refusal> refusals;   // The first kMostRefusals of them.
  std::optional<Refusal> failure;  // Where the file ended before its end.
  std::string unreadable;          // Why nothing at all could be read, or "".
  Loaded loaded;
  std::string first_rejection;
  TraceId writer;  // Follows from the content.

  bool fine() const {
    return refused == 0 && !failure && unreadable.empty() && loaded.rejected == 0;
  }
};

struct ProgressNow {
  const std::string& file;
  std::uint64_t bytes_read;  // Of the file as it is stored.
  std::uint64_t bytes;
  std::uint64_t spans;
  bool checking;  // Only the content's hash is taken, the spans come after.
};

struct ImportOptions {
  std::optional<Format> format;  // None: by the content.
  std::function<void(const ProgressNow&)> progress;
};

// `loader` nullptr: read only. The report holds what was done also when the Status is not OK.
[[nodiscard]] absl::Status ImportFile(const std::string& file, const ImportOptions& options,
                                      Loader* loader, FileReport* report);

}  // namespace spanring::importer
