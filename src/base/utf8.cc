#include "base/utf8.h"

#include <cstring>

namespace spanring::base {
namespace {

constexpr bool IsContinuation(std::uint8_t byte) { return (byte & 0xc0) == 0x80; }

}  // namespace

std::size_t CharacterLength(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  if (text.empty() || byte(0) == 0) return 0;
  if (byte(0) < 0x80) return 1;
  if (byte(0) < 0xc2) return 0;  // A continuation, or an overlong form of ASCII.
  if (byte(0) < 0xe0) return text.size() >= 2 && IsContinuation(byte(1)) ? 2 : 0;
  if (byte(0) < 0xf0) {
    if (text.size() < 3 || !IsContinuation(byte(1)) || !IsContinuation(byte(2))) return 0;
    if (byte(0) == 0xe0 && byte(1) < 0xa0) return 0;   // Overlong.
    if (byte(0) == 0xed && byte(1) >= 0xa0) return 0;  // A surrogate.
    return 3;
  }
  if (byte(0) > 0xf4 || text.size() < 4) return 0;
  if (!IsContinuation(byte(1)) || !IsContinuation(byte(2)) || !IsContinuation(byte(3))) return 0;
  if (byte(0) == 0xf0 && byte(1) < 0x90) return 0;   // Overlong.
  if (byte(0) == 0xf4 && byte(1) >= 0x90) return 0;  // Above U+10FFFF.
  return 4;
}

bool IsPlainAscii(std::string_view text) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    // In bytes below 0x80, the subtraction borrows into the high bit only where the byte is 0.
    if (((word | (word - kOnes)) & kHighBits) != 0) return false;
  }
  for (; i < text.size(); ++i) {
    if (static_cast<std::int8_t>(text[i]) <= 0) return false;
  }
  return true;
}

std::uint8_t* CopySanitized(std::string_view text, std::uint8_t* out) noexcept {
  if (IsPlainAscii(text)) {
    if (!text.empty()) std::memcpy(out, text.data(), text.size());
    return out + text.size();
  }
  while (!text.empty()) {
    const std::size_t length = CharacterLength(text);
    if (length == 0) {
      std::memcpy(out, "\xef\xbf\xbd", 3);
      out += 3;
      text.remove_prefix(1);
    } else {
      std::memcpy(out, text.data(), length);
      out += length;
      text.remove_prefix(length);
    }
  }
  return out;
}

std::string Sanitized(std::string_view text) {
  std::string out(3 * text.size(), '\0');
  auto* begin = reinterpret_cast<std::uint8_t*>(out.data());
  out.resize(static_cast<std::size_t>(CopySanitized(text, begin) - begin));
  return out;
}

std::string_view Truncate(std::string_view text, std::size_t limit) noexcept {
  if (text.size() <= limit) return text;
  std::size_t end = limit;
  // At most three steps back: text that is not UTF-8 is cut anywhere.
  while (end > 0 && limit - end < 4 && IsContinuation(static_cast<std::uint8_t>(text[end]))) --end;
  if (limit - end == 4) end = limit;
  return text.substr(0, end);
}

}  // namespace spanring::base
