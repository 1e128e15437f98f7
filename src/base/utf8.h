// Makes any bytes fit for a PostgreSQL text column: valid UTF-8 without NUL.
// Threads: any. Memory: writes to the caller's buffer only. Errors: none.
// Design: docs/architecture.md#encoding
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spanring::base {

// The length of the valid character at `text[0]`, 1 to 4 bytes, or 0 where there is none. Valid is
// what RFC 3629 allows (no surrogates, no overlong forms, nothing above U+10FFFF), except NUL.
std::size_t CharacterLength(std::string_view text) noexcept;

// True when no byte needs care: only ASCII, no NUL.
bool IsPlainAscii(std::string_view text) noexcept;

// Copies `text`, each byte that is not part of a valid character replaced by U+FFFD. Writes at most
// three times its length and returns the end of what was written.
std::uint8_t* CopySanitized(std::string_view text, std::uint8_t* out) noexcept;

// The same as a string.
std::string Sanitized(std::string_view text);

// The longest start of `text` of at most `limit` bytes that does not split a character.
std::string_view Truncate(std::string_view text, std::size_t limit) noexcept;

}  // namespace spanring::base
