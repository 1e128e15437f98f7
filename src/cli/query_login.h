// How query_traces connects: by a login of its own, since whoever asks may write any SELECT.
// Threads: any may ask for it.
// Memory: kept once it is known.
// Errors: as Resolve's; of the private server FailedPrecondition when the login cannot be made.
// Design: docs/mcp.md#query_traces
#pragma once

#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/database.h"

namespace spanring::cli {

// On the private server, where it is made when it is missing.
inline constexpr char kViewer[] = "spanring_viewer";

class QueryLogin {
 public:
  // `wanted`: of --query-database. The context outlives this.
  QueryLogin(const Context& context, std::string wanted)
      : context_(context), wanted_(std::move(wanted)) {}

  // --query-database, else SPANRING_QUERY_DATABASE, else, on the private server, spanring_viewer,
  // else the login of everything else, which query_traces refuses if it has more rights than a
  // reader.
  [[nodiscard]] absl::StatusOr<std::string> Conninfo();

 private:
  const Context& context_;
  const std::string wanted_;
  std::mutex mutex_;
  std::string found_;  // guarded by mutex_
};

// True where the session's login may take the role spanring_reader.
[[nodiscard]] absl::StatusOr<bool> MayBeReader(const Session& session);

}  // namespace spanring::cli
