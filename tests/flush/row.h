// A row of binary COPY, taken apart again for the tests.
// Threads: one. Memory: owns its fields.
// Errors: a row that is not of the form fails the test.
// Design: docs/architecture.md#encoding
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flush/row_encoder.h"

namespace spanring::flush {

enum Column {
  kStartedAt,
  kCompletedAt,
  kDurationNs,
  kExecutionId,
  kTraceIdColumn,
  kSpanIdColumn,
  kParentSpanId,
  kDurationMs,
  kServiceColumn,
  kOperationColumn,
  kStatusColumn,
  kJobIdColumn,
  kModelIdColumn,
  kRegionColumn,
  kErrorTypeColumn,
  kErrorMessageColumn,
  kMetadata,
};

struct Row {
  std::array<std::optional<std::string>, kRowColumnCount> fields;

  bool IsNull(Column column) const { return !fields[column].has_value(); }
  std::string Text(Column column) const { return fields[column].value_or("(NULL)"); }
  std::int64_t Number(Column column) const {
    std::uint64_t value = 0;
    for (const char c : fields[column].value()) value = value << 8 | static_cast<std::uint8_t>(c);
    if (fields[column]->size() == 4) return static_cast<std::int32_t>(value);
    EXPECT_EQ(fields[column]->size(), 8U);
    return static_cast<std::int64_t>(value);
  }
  // Microseconds since 1970.
  std::int64_t UnixUs(Column column) const { return Number(column) + 946'684'800'000'000; }
  // 32 hex digits.
  std::string Uuid(Column column) const {
    std::string hex;
    for (const char c : fields[column].value()) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      hex += kDigits[static_cast<std::uint8_t>(c) >> 4];
      hex += kDigits[static_cast<std::uint8_t>(c) & 15];
    }
    return hex;
  }
  // The JSON text of a jsonb column.
  std::string Json(Column column) const {
    if (IsNull(column)) return "(NULL)";
    EXPECT_EQ(fields[column]->at(0), 1) << "the version of jsonb on the wire";
    return fields[column]->substr(1);
  }
};

// Takes the first row off `bytes`.
inline Row TakeRow(std::string_view& bytes) {
  Row row;
  std::size_t at = 0;
  const auto take = [&](std::size_t size) {
    if (bytes.size() - at < size) {
      ADD_FAILURE() << "the row is cut at " << at;
      at = bytes.size();
      return std::string(size, '\0');
    }
    at += size;
    return std::string(bytes.substr(at - size, size));
  };
  const auto number = [&](std::size_t size) {
    std::uint32_t value = 0;
    for (const char c : take(size)) value = value << 8 | static_cast<std::uint8_t>(c);
    return value;
  };
  EXPECT_EQ(number(2), kRowColumnCount);
  for (auto& field : row.fields) {
    const auto length = static_cast<std::int32_t>(number(4));
    if (length >= 0) field = take(static_cast<std::size_t>(length));
  }
  bytes.remove_prefix(at);
  return row;
}

inline Row OnlyRow(const std::vector<std::uint8_t>& bytes) {
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_EQ(RowLength(rest), rest.size());
  Row row = TakeRow(rest);
  EXPECT_TRUE(rest.empty());
  return row;
}

}  // namespace spanring::flush
