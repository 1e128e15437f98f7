// How a span is laid out in a slot and in a ring, and how its variable part is read.
// Threads: plain data; who may touch it is said in producer.h and ring.h.
// Memory: no allocation.
// Errors: a reader stops at the first item that does not fit.
// Design: docs/architecture.md#record
//
//   0      4     6  7  8          16        24       32        40       48      56            64
//   +------+-----+--+--+----------+---------+--------+---------+--------+-------+--------------+---
//   | size |site |st|fl| trace id            | span  | parent  | start  | end   | execution id
//   |items
//   +------+-----+--+--+----------+---------+--------+---------+--------+-------+--------------+---
//
//   item:  kind (1) | key length (1) | value length (2) | key | value
//
// All numbers in the machine's own order: a record never leaves its machine.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace spanring::ring {

// Never renumber.
enum class RecordStatus : std::uint8_t {
  kFree = 0,  // In a slot: no span. In a ring: padding up to the end of the lap.
  kOpen = 1,
  kCompleted = 2,
  kFailed = 3,
  kTimeout = 4,
};

// Bits of RecordHeader::flags. Never renumber.
inline constexpr std::uint8_t kStartIsUnixNs = 1;   // `start` was given, it is not ticks.
inline constexpr std::uint8_t kEndIsUnixNs = 2;     // The same for `end`.
inline constexpr std::uint8_t kHasExecutionId = 4;  // `execution_id` was set.
inline constexpr std::uint8_t kAttributesLost = 8;  // The last item says how many: kLostAttributes.

struct RecordHeader {
  std::uint32_t size;  // Of the whole record, a multiple of 8.
  std::uint16_t site;  // Number of the call site; 0: the names are items.
  RecordStatus status;
  std::uint8_t flags;
  std::uint64_t trace_id_high;
  std::uint64_t trace_id_low;
  std::uint64_t span_id;
  std::uint64_t parent_id;
  std::int64_t start;  // Ticks, or Unix nanoseconds.
  std::int64_t end;
  std::int64_t execution_id;
};
static_assert(sizeof(RecordHeader) == 64, "one cache line");

// Never renumber.
enum class ItemKind : std::uint8_t {
  kPadding = 0,  // Up to seven bytes at the end of a record.
  kService = 1,
  kOperation = 2,
  kJobId = 3,
  kModelId = 4,
  kRegion = 5,
  kErrorMessage = 6,
  kErrorType = 7,
  kString = 8,
  kInt64 = 9,
  kDouble = 10,
  kBool = 11,
  kLostAttributes = 12,  // uint32: how many attributes did not fit.
};

struct ItemHeader {
  ItemKind kind;
  std::uint8_t key_length;
  std::uint16_t value_length;
};
static_assert(sizeof(ItemHeader) == 4);

inline constexpr std::size_t kMaxNameBytes = 255;
inline constexpr std::size_t kMaxErrorBytes = 16'384;
// Of one span, all items together. A ring of the smallest size holds such a record.
inline constexpr std::size_t kMaxItemBytes = 30'000;
// An extension has room for kLostAttributes behind them.
inline constexpr std::size_t kExtensionBytes = 32'768;

struct Item {
  ItemKind kind;
  std::string_view key;
  std::string_view value;

  // The value as a number; zero where its length is wrong.
  template <typename Number>
  Number As() const noexcept {
    Number number{};
    if (value.size() == sizeof(number)) std::memcpy(&number, value.data(), sizeof(number));
    return number;
  }
};

// Walks the items of a record.
class ItemReader {
 public:
  explicit ItemReader(std::string_view items) : rest_(items) {}

  std::optional<Item> Next() noexcept {
    ItemHeader header;
    if (rest_.size() < sizeof(header)) return std::nullopt;
    std::memcpy(&header, rest_.data(), sizeof(header));
    const std::size_t text = std::size_t{header.key_length} + header.value_length;
    if (header.kind == ItemKind::kPadding || rest_.size() - sizeof(header) < text) {
      return std::nullopt;
    }
    const Item item{header.kind, rest_.substr(sizeof(header), header.key_length),
                    rest_.substr(sizeof(header) + header.key_length, header.value_length)};
    rest_.remove_prefix(sizeof(header) + text);
    return item;
  }

 private:
  std::string_view rest_;
};

// A record in a ring. `size` has been checked by the ring's reader.
inline std::string_view ItemsOf(const RecordHeader* record) noexcept {
  return {reinterpret_cast<const char*>(record + 1), record->size - sizeof(RecordHeader)};
}

// Copies short text without a call: the lengths here are mostly under 32 bytes.
inline void CopyShort(std::uint8_t* to, const char* from, std::size_t size) noexcept {
  if (size > 32) {
    std::memcpy(to, from, size);
  } else if (size >= 16) {
    std::memcpy(to, from, 16);
    std::memcpy(to + size - 16, from + size - 16, 16);
  } else if (size >= 8) {
    std::memcpy(to, from, 8);
    std::memcpy(to + size - 8, from + size - 8, 8);
  } else if (size >= 4) {
    std::memcpy(to, from, 4);
    std::memcpy(to + size - 4, from + size - 4, 4);
  } else if (size != 0) {
    to[0] = static_cast<std::uint8_t>(from[0]);
    to[size / 2] = static_cast<std::uint8_t>(from[size / 2]);
    to[size - 1] = static_cast<std::uint8_t>(from[size - 1]);
  }
}

}  // namespace spanring::ring
