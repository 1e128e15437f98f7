// Text for a terminal: made harmless, measured, cut, padded and wrapped by columns, not bytes.
// Threads: pure functions.
// Memory: returned by value.
// Errors: none; invalid UTF-8 is shown as escapes.
// Design: docs/architecture.md
//
// What comes from a span is data. An escape sequence, a line break or a change of direction in it
// must not reach the terminal: everything passes through Escape before it is measured or printed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace spanring::cli {

// The same text with control, format and unassigned characters and invalid bytes written out:
// `\n`, `\x1b`, `\u202e`. The result is valid UTF-8 that occupies exactly one line.
[[nodiscard]] std::string Escape(std::string_view text);

// The same for JSON text, where those characters can only stand inside strings: equal as JSON.
[[nodiscard]] std::string EscapeJson(std::string_view json);

// How a span is called: service.operation, said once where the operation's name begins with the
// service's already. Not escaped. The same rule as trace_label() in SQL.
[[nodiscard]] std::string Label(std::string_view service, std::string_view operation);

// Columns that escaped text takes; wide characters take two, combining ones none.
[[nodiscard]] std::size_t DisplayWidth(std::string_view text);

// Cut to at most `columns`, its last one then being `…`.
[[nodiscard]] std::string Truncate(std::string_view text, std::size_t columns);

// Exactly `columns` wide: cut or filled with spaces.
[[nodiscard]] std::string PadRight(std::string_view text, std::size_t columns);
[[nodiscard]] std::string PadLeft(std::string_view text, std::size_t columns);

// Broken between words into lines of at most `columns`; longer words are cut into pieces.
[[nodiscard]] std::vector<std::string> Wrap(std::string_view text, std::size_t columns);

}  // namespace spanring::cli
