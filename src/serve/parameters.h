// Reads what a request asks for, with an error that names the parameter.
// Threads: plain functions.
// Memory: owned strings.
// Errors: InvalidArgument names the parameter and what it may be.
// Design: docs/web.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "answers/ids.h"
#include "http/message.h"
#include "pg/handles.h"

namespace spanring::serve {

// The values of a request's query, each read once; the first error is kept.
class Parameters {
 public:
  explicit Parameters(const http::Request& request) : request_(request) {}

  // As it is given; NULL where it is missing or empty.
  pg::Parameter Text(std::string_view name);
  // A whole number from `least` to `most`; `otherwise` where it is missing.
  std::int64_t Number(std::string_view name, std::int64_t otherwise, std::int64_t least,
                      std::int64_t most);
  pg::Parameter OptionalNumber(std::string_view name, std::int64_t least, std::int64_t most);
  // true or false, which it is where it is missing.
  pg::Parameter Bool(std::string_view name);

  // The first error; what was never asked for is one too: a filter that is misspelt must not be
  // left out without a word.
  [[nodiscard]] absl::Status status() const;

 private:
  const http::Request& request_;
  std::vector<std::string> known_;
  absl::Status first_;
};

// A part of a path that is an execution id.
[[nodiscard]] absl::StatusOr<std::int64_t> ExecutionId(std::string_view text);

using answers::TraceId;

}  // namespace spanring::serve
