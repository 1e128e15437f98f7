// The resources (spanring://schema, spanring://trace/ID, spanring://execution/ID) and the prompt.
// Threads: any, several at once.
// Memory: plain values.
// Errors: NotFound = no such resource, or nothing there; the rest as the tools'.
// Design: docs/mcp.md
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "mcp/tools.h"

namespace spanring::mcp {

[[nodiscard]] nlohmann::json ResourceList();
[[nodiscard]] nlohmann::json ResourceTemplateList();
[[nodiscard]] absl::StatusOr<nlohmann::json> ReadResource(const Sources& sources,
                                                          const std::string& uri);

[[nodiscard]] nlohmann::json PromptList();
// NotFound: no such prompt. InvalidArgument: its arguments.
[[nodiscard]] absl::StatusOr<nlohmann::json> GetPrompt(const std::string& name,
                                                       const nlohmann::json& arguments);

}  // namespace spanring::mcp
