// Any bytes in a record give a row that is whole, and whose texts PostgreSQL takes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "flush/row_encoder.h"

namespace {

using spanring::ring::RecordHeader;

void Require(bool condition) {
  if (!condition) std::abort();
}

bool IsText(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = spanring::base::CharacterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// Quotes and braces in order; no bare control character.
bool LooksLikeAnObject(std::string_view json) {
  bool quoted = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const auto c = static_cast<std::uint8_t>(json[i]);
    if (c < 0x20) return false;
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    }
  }
  return !quoted && json.size() >= 2 && json.front() == '{' && json.back() == '}';
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const spanring::platform::TickCalibration clock;
  // A record in a ring: its size is a multiple of 8 and has been checked.
  const std::size_t bytes = std::max(sizeof(RecordHeader), (size + 7) / 8 * 8);
  std::vector<std::uint64_t> memory(bytes / 8);
  std::copy(data, data + size, reinterpret_cast<std::uint8_t*>(memory.data()));
  auto* record = reinterpret_cast<RecordHeader*>(memory.data());
  record->size = static_cast<std::uint32_t>(bytes);

  spanring::flush::RowEncoder encoder("service");
  std::vector<std::uint8_t> out;
  encoder.Append(*record, clock, out);
  const std::string_view row(reinterpret_cast<const char*>(out.data()), out.size());
  Require(spanring::flush::RowLength(row) == row.size());

  std::size_t at = 2;
  for (int column = 0; column < spanring::flush::kRowColumnCount; ++column) {
    std::uint32_t wire = 0;
    std::memcpy(&wire, row.data() + at, 4);
    at += 4;
    const auto length = static_cast<std::int32_t>(__builtin_bswap32(wire));
    if (length < 0) {
      Require(length == -1);
      continue;
    }
    std::string_view field = row.substr(at, static_cast<std::size_t>(length));
    at += field.size();
    constexpr int kFirstText = 8;
    constexpr int kMetadata = 16;
    if (column == kMetadata) {
      Require(!field.empty() && field[0] == 1);
      field.remove_prefix(1);
      Require(LooksLikeAnObject(field));
    }
    if (column >= kFirstText) Require(IsText(field));
  }
  return 0;
}
