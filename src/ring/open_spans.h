// A look at a span that is open, by another thread than the one that has it.
// Threads: any, while the slots stay mapped: the drainer.
// Memory: the caller's.
// Errors: a slot that changes under the look says nothing this time.
// Design: docs/memory-model.md#open-spans
#pragma once

#include <vector>

#include "ring/producer.h"
#include "ring/record.h"

namespace spanring::ring {

// When the span started, in the record's own way, if the slot is in use. One cache line is read.
struct OpenLook {
  std::uint64_t span_id;
  std::int64_t start;
  bool start_is_unix_ns;
};
bool LookAtOpenSpan(const OpenSpan* slot, OpenLook* look) noexcept;

// The whole of it as a record, header and items, status kOpen. False: it changed meanwhile, or has
// ended.
bool CopyOpenSpan(const OpenSpan* slot, std::vector<std::uint8_t>* record);

}  // namespace spanring::ring
