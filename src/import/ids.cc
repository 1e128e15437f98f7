#include "import/ids.h"

#include <algorithm>
#include <string>

#include "absl/strings/escaping.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace spanring::importer {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<TraceId> FromHex(std::string_view text) {
  if (text.size() > 32) return std::nullopt;
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  for (const char c : text) {
    const int digit = HexDigit(c);
    if (digit < 0) return std::nullopt;
    high = high << 4 | low >> 60;
    low = low << 4 | static_cast<std::uint64_t>(digit);
  }
  return TraceId(high, low);
}

std::optional<TraceId> FromBase64(std::string_view text) {
  // 16 and 8 bytes, with and without padding.
  if (text.size() != 24 && text.size() != 22 && text.size() != 12 && text.size() != 11) {
    return std::nullopt;
  }
  std::string bytes;
  if (!absl::Base64Unescape(std::string(text), &bytes)) return std::nullopt;
  if (bytes.size() != 16 && bytes.size() != 8) return std::nullopt;
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  for (const char c : bytes) {
    high = high << 8 | low >> 56;
    low = low << 8 | static_cast<std::uint8_t>(c);
  }
  return TraceId(high, low);
}

std::optional<ParsedId> Known(std::string_view text, bool base64) {
  if (const auto id = FromHex(text)) {
    // Leading zeros aside, and the case of an id of the usual length.
    const bool usual = text.size() == 16 || text.size() == 32;
    const bool lower =
        std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'F'; });
    return ParsedId{*id, usual || lower};
  }
  if (const auto id = TraceId::Parse(text)) return ParsedId{*id};
  if (base64) {
    if (const auto id = FromBase64(text)) return ParsedId{*id};
  }
  return std::nullopt;
}

}  // namespace

std::optional<ParsedId> ParseTraceId(std::string_view text, bool base64) {
  if (text.empty()) return std::nullopt;
  if (const auto known = Known(text, base64)) return known;
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return ParsedId{TraceId(hash.high64, hash.low64), false};
}

std::optional<ParsedId> ParseSpanId(std::string_view text, bool base64) {
  if (text.empty()) return std::nullopt;
  if (const auto known = Known(text, base64)) return known;
  return ParsedId{TraceId(0, XXH3_64bits(text.data(), text.size()) | 1), false};
}

TraceId ContentId(std::uint64_t high, std::uint64_t low) {
  constexpr std::uint64_t kVersionBits = 0xf000;
  constexpr std::uint64_t kVersion = 0x8000;
  constexpr std::uint64_t kVariantBits = std::uint64_t{3} << 62;
  constexpr std::uint64_t kVariant = std::uint64_t{2} << 62;
  return TraceId((high & ~kVersionBits) | kVersion, (low & ~kVariantBits) | kVariant);
}

TraceId ContentIdOf(std::string_view content, std::string_view how) {
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, content.data(), content.size());
  XXH3_128bits_update(&state, how.data(), how.size());
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return ContentId(hash.high64, hash.low64);
}

}  // namespace spanring::importer
