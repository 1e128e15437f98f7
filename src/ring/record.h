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

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "spanring/internal/runtime_api.h"

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
inline constexpr std::uint8_t kAttributesLost =
    8;  // Says how many, if there is room: kLostAttributes.
// internal::Sampling: kParentDecided, and then kParentSampled or not.
inline constexpr std::uint8_t kParentDecided = 16;
inline constexpr std::uint8_t kParentSampled = 32;
inline constexpr std::uint8_t kSamplingFlags = kParentDecided | kParentSampled;
static_assert(kParentDecided == static_cast<std::uint8_t>(internal::Sampling::kNotSampled) &&
              kSamplingFlags == static_cast<std::uint8_t>(internal::Sampling::kSampled));

static_assert(std::endian::native == std::endian::little, "the first word is written as one");

// internal::Sampling at its place in a record's first word: what a start costs is to or it in.
struct SamplingBits {
  static constexpr int kFlagsAt = 56;

  constexpr SamplingBits() = default;
  constexpr explicit SamplingBits(internal::Sampling sampling) noexcept
      : bits(std::uint64_t{static_cast<std::uint8_t>(sampling)} << kFlagsAt) {}
  constexpr explicit SamplingBits(const SpanContext& parent) noexcept
      : bits(std::uint64_t{kParentDecided} << kFlagsAt |
             std::uint64_t{parent.sampled} * kParentSampled << kFlagsAt) {}

  std::uint64_t bits = 0;
};

// The part that is known when a span starts.
struct RecordStart {
  std::uint32_t size;  // Of the whole record, a multiple of 8.
  std::uint16_t site;  // Number of the call site; 0: the names are items.
  RecordStatus status;
  std::uint8_t flags;
  std::uint64_t trace_id_high;
  std::uint64_t trace_id_low;
  std::uint64_t span_id;
  std::uint64_t parent_id;
  std::int64_t start;  // Ticks, or Unix nanoseconds.

  // The first word, size to flags, in one store. release, here and in SetStatus: what was written
  // before is there when the word is; pairs with the acquire in LookAtOpenSpan.
  void SetFirst(std::uint32_t new_size, std::uint16_t new_site, RecordStatus new_status,
                SamplingBits sampling = {}) noexcept {
    const std::uint64_t first = std::uint64_t{new_size} | std::uint64_t{new_site} << 32 |
                                std::uint64_t{static_cast<std::uint8_t>(new_status)} << 48 |
                                sampling.bits;
    StoreReleased(reinterpret_cast<std::uint64_t*>(this), first);
  }
  // site, status and flags are read and written together, so that a load behind a store is never
  // wider than the store.
  std::uint32_t SecondHalf() const noexcept {
    std::uint32_t half;
    std::memcpy(&half, &site, sizeof(half));
    return half;
  }
  SamplingBits sampling() const noexcept {
    SamplingBits sampling;
    sampling.bits = std::uint64_t{SecondHalf() & std::uint32_t{kSamplingFlags} << 24} << 32;
    return sampling;
  }
  void AddFlags(std::uint8_t more) noexcept {
    SetSecondHalf(SecondHalf() | std::uint32_t{more} << 24);
  }
  void SetStatus(RecordStatus new_status) noexcept {
    constexpr std::uint32_t kAllButStatus = 0xff00ffff;
    SetSecondHalf((SecondHalf() & kAllButStatus) |
                  std::uint32_t{static_cast<std::uint8_t>(new_status)} << 16);
  }
  // release: as above, for what a flag or the size is about.
  void SetSecondHalf(std::uint32_t half) noexcept {
    StoreReleased(reinterpret_cast<std::uint32_t*>(&site), half);
  }
  void SetSize(std::size_t bytes) noexcept {
    StoreReleased(&size, static_cast<std::uint32_t>(bytes));
  }
  void SetTraceIdHigh(std::uint64_t high) noexcept { StoreReleased(&trace_id_high, high); }

 private:
  // A store to one or to several members, hence not std::atomic_ref.
  template <typename Word>
  static void StoreReleased(Word* word, Word value) noexcept {
    using Aliasing __attribute__((may_alias)) = Word;
    __atomic_store_n(reinterpret_cast<Aliasing*>(word), value, __ATOMIC_RELEASE);
  }
};
static_assert(sizeof(RecordStart) == 48);
static_assert(offsetof(RecordStart, site) == 4 && offsetof(RecordStart, flags) == 7);

struct RecordHeader : RecordStart {
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

// Writes the header of a span that ends.
inline void CopyHeader(std::uint8_t* to, const RecordStart& from, std::uint32_t size,
                       RecordStatus status, std::int64_t end, std::int64_t execution_id) noexcept {
  constexpr std::uint32_t kAllButStatus = 0xff00ffff;
  const std::uint32_t half =
      (from.SecondHalf() & kAllButStatus) | std::uint32_t{static_cast<std::uint8_t>(status)} << 16;
  const std::uint64_t first = std::uint64_t{half} << 32 | size;
  std::memcpy(to, &first, 8);
  std::memcpy(to + 8, &from.trace_id_high, 8);
  std::memcpy(to + 16, &from.trace_id_low, 8);
  std::memcpy(to + 24, &from.span_id, 8);
  std::memcpy(to + 32, &from.parent_id, 8);
  std::memcpy(to + 40, &from.start, 8);
  std::memcpy(to + 48, &end, 8);
  std::memcpy(to + 56, &execution_id, 8);
}

// Copies the items in whole words, of which the last ends in zeros: kPadding to a reader. `from`
// has room for them.
inline void CopyItems(std::uint8_t* to, const std::uint8_t* from, std::size_t size) noexcept {
  const std::size_t before_last = (size - 1) & ~std::size_t{7};
  if (before_last > 256) {
    std::memcpy(to, from, before_last);
  } else {
    for (std::size_t at = 0; at != before_last; at += 8) std::memcpy(to + at, from + at, 8);
  }
  std::uint64_t last;
  std::memcpy(&last, from + before_last, 8);
  const std::size_t unused_bits = 8 * (before_last + 8 - size);
  last = last << unused_bits >> unused_bits;
  std::memcpy(to + before_last, &last, 8);
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
