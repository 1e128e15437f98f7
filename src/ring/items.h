// Writing the items of an open span: what comes behind its record's header.
// Threads: the one that has the span.
// Memory: the slot's; beyond it, an extension.
// Errors: what does not fit is left out, and counted in the span.
// Design: docs/architecture.md#record
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/utf8.h"
#include "ring/producer.h"
#include "ring/record.h"

namespace spanring::ring {

// Moves the items to an extension; false where there is none, or `needed` is more than a span may
// have.
bool Grow(OpenSpan* span, std::size_t needed) noexcept;

// Writes how many attributes were lost, and counts them.
void SayWhatWasLost(OpenSpan* span) noexcept;

// Appends an item; where it does not fit it is counted as lost.
inline __attribute__((always_inline)) void Append(OpenSpan* span, ItemKind kind,
                                                  std::string_view key, const void* value,
                                                  std::size_t value_size) noexcept {
  if (key.size() > kMaxNameBytes) [[unlikely]]
    key = base::Truncate(key, kMaxNameBytes);
  const std::size_t used = span->record.size - sizeof(RecordHeader);
  const std::size_t needed = used + sizeof(ItemHeader) + key.size() + value_size;
  // The second comparison: a value so long that the sum before it overflows.
  if (needed > span->capacity || value_size > kMaxItemBytes) [[unlikely]] {
    if (value_size > kMaxItemBytes || !Grow(span, needed)) {
      span->record.AddFlags(kAttributesLost);
      ++span->lost_attributes;
      return;
    }
  }
  std::uint8_t* at = span->items + used;
  const ItemHeader header{kind, static_cast<std::uint8_t>(key.size()),
                          static_cast<std::uint16_t>(value_size)};
  std::memcpy(at, &header, sizeof(header));
  CopyShort(at + sizeof(header), key.data(), key.size());
  CopyShort(at + sizeof(header) + key.size(), static_cast<const char*>(value), value_size);
  span->record.SetSize(sizeof(RecordHeader) + needed);
}

// Names are short; what is too long is cut between two characters.
inline __attribute__((always_inline)) void AppendText(OpenSpan* span, ItemKind kind,
                                                      std::string_view text,
                                                      std::size_t limit = kMaxNameBytes) noexcept {
  if (text.size() > limit) [[unlikely]]
    text = base::Truncate(text, limit);
  Append(span, kind, {}, text.data(), text.size());
}

// What is empty leaves what was set before.
inline void AppendContext(OpenSpan* span, std::string_view job_id, std::string_view model_id,
                          std::string_view region) noexcept {
  if (!job_id.empty()) AppendText(span, ItemKind::kJobId, job_id);
  if (!model_id.empty()) AppendText(span, ItemKind::kModelId, model_id);
  if (!region.empty()) AppendText(span, ItemKind::kRegion, region);
}

// The type first: it is short, and worth more than the end of a long message.
inline void AppendError(OpenSpan* span, std::string_view error,
                        std::string_view error_type) noexcept {
  if (!error_type.empty()) AppendText(span, ItemKind::kErrorType, error_type);
  if (!error.empty()) AppendText(span, ItemKind::kErrorMessage, error, kMaxErrorBytes);
}

}  // namespace spanring::ring
