// Trace and span ids in the forms that files have them in.
// Threads: any. Memory: none.
// Errors: none; what is no id in a known form gets one by a hash of its text.
// Design: docs/operations.md#import
#pragma once

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

}  // namespace spanring::importer
