// Trace and span ids in the forms that files have them in.
// Threads: any. Memory: none.
// Errors: none; what is no id in a known form gets one by a hash of its text.
// Design: docs/operations.md#import
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "spanring/id.h"

namespace spanring::importer {

struct ParsedId {
  TraceId id;         // Of a span: the high half is 0, unless it has more than 16 hex digits.
  bool exact = true;  // The text can be told from it. Else it is worth keeping.
};

// Hex of up to 32 digits, a UUID, and with `base64` 16 or 8 bytes in that; any other text is
// hashed, the same text to the same id always. nullopt: empty.
std::optional<ParsedId> ParseTraceId(std::string_view text, bool base64 = false);
std::optional<ParsedId> ParseSpanId(std::string_view text, bool base64 = false);

// The id of a content, from its XXH3 hash of 128 bits: a UUID of version 8, whose bits are the
// writer's own (RFC 9562).
[[nodiscard]] TraceId ContentId(std::uint64_t high, std::uint64_t low);
// The same of bytes in memory that are read in this way.
[[nodiscard]] TraceId ContentIdOf(std::string_view content, std::string_view how);

}  // namespace spanring::importer
