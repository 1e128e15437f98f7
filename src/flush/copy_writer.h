// Rows in PostgreSQL's binary COPY format: the fields one by one, and those of a span.
// Threads: one.
// Memory: writes to the caller's, which has room.
// Errors: none.
// Design: docs/architecture.md#encoding; format:
//   https://www.postgresql.org/docs/15/sql-copy.html#id-1.9.3.55.9.4
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

#include "base/utf8.h"
#include "flush/row_encoder.h"
#include "flush/span_row.h"

namespace spanring::flush {

static_assert(std::endian::native == std::endian::little, "the wire is big-endian");

// 2000-01-01, where PostgreSQL's timestamps begin, in Unix microseconds.
inline constexpr std::int64_t kPostgresEpochUs = 946'684'800'000'000;

// Appends to memory that has room.
class CopyWriter {
 public:
  explicit CopyWriter(std::uint8_t* at) : at_(at) {}
  std::uint8_t* at() const { return at_; }

  template <typename Number>
  void Put(Number value) {
    if constexpr (sizeof(value) == 8) {
      PutBytes(__builtin_bswap64(static_cast<std::uint64_t>(value)));
    } else if constexpr (sizeof(value) == 4) {
      PutBytes(__builtin_bswap32(static_cast<std::uint32_t>(value)));
    } else if constexpr (sizeof(value) == 2) {
      PutBytes(__builtin_bswap16(static_cast<std::uint16_t>(value)));
    } else {
      PutBytes(value);
    }
  }
  void Null() { Put(std::int32_t{-1}); }
  void Int64(std::int64_t value) {
    Put(std::int32_t{8});
    Put(value);
  }
  void Int32(std::int32_t value) {
    Put(std::int32_t{4});
    Put(value);
  }
  void Uuid(std::uint64_t high, std::uint64_t low) {
    Put(std::int32_t{16});
    Put(high);
    Put(low);
  }
  void Text(std::string_view text) {
    std::uint8_t* length = Skip(4);
    at_ = base::CopySanitized(text, at_);
    PutLength(length);
  }
  void Int64OrNull(std::int64_t value, bool is_set) { is_set ? Int64(value) : Null(); }
  void SpanIdOrNull(std::uint64_t id) { id != 0 ? Uuid(0, id) : Null(); }
  void UuidOrNull(const TraceId& id) { id.is_nil() ? Null() : Uuid(id.high(), id.low()); }
  void TextOrNull(std::string_view text) { text.empty() ? Null() : Text(text); }

  // A field whose length is known when it is written.
  std::uint8_t* Skip(std::size_t bytes) {
    std::uint8_t* here = at_;
    at_ += bytes;
    return here;
  }
  void PutLength(std::uint8_t* field) {
    const std::uint32_t length = __builtin_bswap32(static_cast<std::uint32_t>(at_ - field) - 4);
    std::memcpy(field, &length, 4);
  }

  void Raw(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  template <typename Number>
  void Decimal(Number value) {
    const auto result = std::to_chars(reinterpret_cast<char*>(at_),
                                      reinterpret_cast<char*>(at_) + kDecimalBytes, value);
    at_ = reinterpret_cast<std::uint8_t*>(result.ptr);
  }
  void JsonString(std::string_view text);

  static constexpr std::size_t kDecimalBytes = 32;  // The longest double takes 24.

 private:
  template <typename Value>
  void PutBytes(Value value) {
    std::memcpy(at_, &value, sizeof(value));
    at_ += sizeof(value);
  }
  std::uint8_t* at_;
};

// Bytes that a JSON string holds as they are.
inline constexpr auto kJsonPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = 0x20; c < 0x80; ++c) plain[static_cast<std::size_t>(c)] = c != '"' && c != '\\';
  return plain;
}();

inline void CopyWriter::JsonString(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  Raw("\"");
  while (!text.empty()) {
    const auto c = static_cast<std::uint8_t>(text[0]);
    std::size_t length = 1;
    if (kJsonPlain[c]) [[likely]] {
      *at_++ = c;
    } else if (c == '"' || c == '\\') {
      *at_++ = '\\';
      *at_++ = c;
    } else if ((length = base::CharacterLength(text)) == 0) {
      Raw("\xef\xbf\xbd");
      length = 1;
    } else if (c < 0x20) {
      Raw("\\u00");
      *at_++ = static_cast<std::uint8_t>(kHex[c >> 4]);
      *at_++ = static_cast<std::uint8_t>(kHex[c & 15]);
    } else {
      Raw(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  Raw("\"");
}

inline std::int64_t FloorToUs(std::int64_t ns) {
  const std::int64_t us = ns / 1000;
  return ns % 1000 < 0 ? us - 1 : us;
}

// `put_metadata` writes the last field.
template <typename PutMetadata>
inline void PutSpanRow(CopyWriter& writer, const SpanRow& row, PutMetadata put_metadata) {
  writer.Put(kRowColumnCount);
  const std::int64_t start_us = FloorToUs(row.start_ns);
  writer.Int64(start_us - kPostgresEpochUs);
  if (row.has_end) {
    // The sum stays in range: a duration that overflowed was cut, a time of 2262 has room in int64
    // us.
    const std::int64_t start_rest_ns = (row.start_ns % 1000 + 1000) % 1000;
    const std::int64_t end_us =
        start_us + (start_rest_ns + row.duration_ns % 1000) / 1000 + row.duration_ns / 1000;
    writer.Int64(end_us - kPostgresEpochUs);
    writer.Int64(row.duration_ns);
  } else {
    writer.Null();
    writer.Null();
  }
  writer.Int64OrNull(row.execution_id, row.has_execution_id);
  writer.Uuid(row.trace_id.high(), row.trace_id.low());
  writer.Uuid(row.span_id.high(), row.span_id.low());
  writer.UuidOrNull(row.parent_span_id);
  if (row.has_end) {
    writer.Int32(static_cast<std::int32_t>(std::min<std::int64_t>(
        row.duration_ns / 1'000'000, std::numeric_limits<std::int32_t>::max())));
  } else {
    writer.Null();
  }
  writer.Text(row.service);
  writer.Text(row.operation);
  writer.Text(row.status);
  writer.TextOrNull(row.job_id);
  writer.TextOrNull(row.model_id);
  writer.TextOrNull(row.region);
  writer.TextOrNull(row.error_type);
  writer.TextOrNull(row.error_message);
  put_metadata();
}

}  // namespace spanring::flush
