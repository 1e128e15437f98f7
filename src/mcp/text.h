// Words for a language model, and what traced programs recorded made harmless to show to one.
// Threads: plain functions.
// Memory: owned strings.
// Errors: none.
// Design: docs/mcp.md
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace spanring::mcp {

// No string of a result is longer, but for the cells of query_traces.
inline constexpr std::size_t kMaxTextBytes = 600;

// Control characters, and those that hide or reorder text, as \n or \u{202e}; at most `limit`
// bytes, behind which it says how many there were.
[[nodiscard]] std::string Cleaned(std::string_view text, std::size_t limit = kMaxTextBytes);

// The same for every string in `json`, keys too.
[[nodiscard]] nlohmann::json CleanedJson(const nlohmann::json& json);

// A JSON string in its quotes: what a program recorded, apart from what we say.
[[nodiscard]] std::string Quoted(std::string_view text, std::size_t limit = kMaxTextBytes);

// A service, operation, model...: as it is where it looks like a name, else quoted.
[[nodiscard]] std::string Name(const nlohmann::json& text);

// A UUID's last 16 digits where the others are 0, as the programs show span ids.
[[nodiscard]] std::string SpanId(const nlohmann::json& uuid);

// 238900 as "238.9 s"; NULL as "?".
[[nodiscard]] std::string Milliseconds(const nlohmann::json& ms);
[[nodiscard]] std::string Nanoseconds(const nlohmann::json& ns);

// 4312 as "4,312".
[[nodiscard]] std::string Count(const nlohmann::json& number);

// "20 of 4,312 spans shown".
[[nodiscard]] std::string Shown(std::size_t shown, const nlohmann::json& total,
                                std::string_view of);

}  // namespace spanring::mcp
