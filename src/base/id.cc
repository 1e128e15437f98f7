#include "spanring/id.h"

#include <array>

namespace spanring {
namespace {

int HexDigit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Reads exactly 2, 16, ... hex digits into a number of at most 64 bits.
std::optional<std::uint64_t> ParseHex(std::string_view digits) noexcept {
  std::uint64_t value = 0;
  for (const char c : digits) {
    const int digit = HexDigit(c);
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(digit);
  }
  return value;
}

void AppendHex(std::string& out, std::uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) out.push_back(kDigits[(value >> shift) & 15]);
}

bool IsLowerHex(std::string_view text) noexcept {
  for (const char c : text) {
    if (HexDigit(c) < 0 || (c >= 'A' && c <= 'F')) return false;
  }
  return true;
}

}  // namespace

std::optional<TraceId> TraceId::Parse(std::string_view text) noexcept {
  std::array<char, 32> digits;
  if (text.size() == 36) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (i == 8 || i == 13 || i == 18 || i == 23) {
        if (text[i] != '-') return std::nullopt;
      } else {
        digits[n++] = text[i];
      }
    }
    text = std::string_view(digits.data(), digits.size());
  }
  if (text.size() != 32) return std::nullopt;
  const auto high = ParseHex(text.substr(0, 16));
  const auto low = ParseHex(text.substr(16));
  if (!high || !low) return std::nullopt;
  return TraceId(*high, *low);
}

std::string TraceId::ToHex() const {
  std::string hex;
  hex.reserve(32);
  AppendHex(hex, high_);
  AppendHex(hex, low_);
  return hex;
}

std::string TraceId::ToUuid() const {
  std::string uuid = ToHex();
  for (const std::size_t at : {20, 16, 12, 8}) uuid.insert(at, 1, '-');
  return uuid;
}

std::optional<SpanId> SpanId::Parse(std::string_view text) noexcept {
  if (text.size() != 16) return std::nullopt;
  const auto value = ParseHex(text);
  if (!value) return std::nullopt;
  return SpanId(*value);
}

std::string SpanId::ToHex() const {
  std::string hex;
  hex.reserve(16);
  AppendHex(hex, value_);
  return hex;
}

std::optional<SpanContext> SpanContext::FromTraceparent(std::string_view header) noexcept {
  constexpr std::size_t kLength = 55;  // 2 + 1 + 32 + 1 + 16 + 1 + 2
  if (header.size() < kLength) return std::nullopt;
  const std::string_view version = header.substr(0, 2);
  const std::string_view known = header.substr(0, kLength);
  if (known[2] != '-' || known[35] != '-' || known[52] != '-') return std::nullopt;
  const std::string_view trace = known.substr(3, 32);
  const std::string_view span = known.substr(36, 16);
  const std::string_view flags = known.substr(53, 2);
  if (!IsLowerHex(version) || !IsLowerHex(trace) || !IsLowerHex(span) || !IsLowerHex(flags)) {
    return std::nullopt;
  }
  if (version == "ff") return std::nullopt;
  if (version == "00" && header.size() != kLength) return std::nullopt;
  if (header.size() > kLength && header[kLength] != '-') return std::nullopt;
  SpanContext context;
  context.trace_id = *TraceId::Parse(trace);
  context.span_id = *SpanId::Parse(span);
  context.sampled = (*ParseHex(flags) & 1) != 0;
  if (!context.is_valid()) return std::nullopt;
  return context;
}

std::string SpanContext::ToTraceparent() const {
  if (!is_valid()) return {};
  return "00-" + trace_id.ToHex() + "-" + span_id.ToHex() + (sampled ? "-01" : "-00");
}

}  // namespace spanring
