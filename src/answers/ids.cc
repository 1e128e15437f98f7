#include "answers/ids.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace spanring::answers {

absl::StatusOr<std::string> TraceId(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c == '-' && text.size() == 36) continue;
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) digits.assign(64, '0');
    digits.push_back(absl::ascii_tolower(static_cast<unsigned char>(c)));
    if (digits.size() > 32) break;
  }
  if (digits.size() == 16) digits.insert(0, 16, '0');
  if (digits.size() != 32) {
    return absl::InvalidArgumentError("a trace id is a UUID, or 32 or 16 hex digits");
  }
  return absl::StrCat(digits.substr(0, 8), "-", digits.substr(8, 4), "-", digits.substr(12, 4), "-",
                      digits.substr(16, 4), "-", digits.substr(20));
}

}  // namespace spanring::answers
