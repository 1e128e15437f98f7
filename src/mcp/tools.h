// The tools: what they are called, take and give, and how each is answered. They ask the database,
// and say in words what it says. Threads: any, several at once. Memory: plain values. Errors: a
// tool's failure is a result with isError and what to do; nullopt is an unknown tool. Design:
// docs/mcp.md
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "answers/reader.h"

namespace spanring::mcp {

// Where answers come from. Both may fail now and succeed later: a database may be away for a while.
struct Sources {
  std::function<absl::StatusOr<answers::Reader*>()> reader;
  // How query_traces connects: a login with no more rights than spanring_reader.
  std::function<absl::StatusOr<std::string>()> query_conninfo;
};

// {"tools": [...]}, as tools/list gives them.
[[nodiscard]] const nlohmann::json& ToolList();

// {"content", "structuredContent"} or {"content", "isError": true}.
[[nodiscard]] std::optional<nlohmann::json> CallTool(const Sources& sources, std::string_view name,
                                                     const nlohmann::json& arguments);

// What get_trace gives; for resources.
[[nodiscard]] absl::StatusOr<nlohmann::json> Trace(const Sources& sources,
                                                   std::optional<std::string> execution_id,
                                                   std::optional<std::string> trace_id,
                                                   int max_spans);

// A failed question in a sentence with what to do. `none` is what to say of what is not there.
[[nodiscard]] std::string Advice(const absl::Status& status, std::string_view none);

}  // namespace spanring::mcp
