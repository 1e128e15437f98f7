#include "ring/open_spans.h"

#include <cstring>

// The owner writes on meanwhile, so what is read may be torn: it is compared with what is read
// behind it, and thrown away. ThreadSanitizer cannot know that.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SPANRING_READS_WHAT_CHANGES __attribute__((disable_sanitizer_instrumentation, noinline))
#endif
#endif
#if !defined(SPANRING_READS_WHAT_CHANGES)
#define SPANRING_READS_WHAT_CHANGES
#endif

namespace spanring::ring {
namespace {

// acquire, both: pairs with the releases in RecordStart, so that what a word is about is read after
// it.
template <typename Member>
SPANRING_READS_WHAT_CHANGES Member Load(const Member& member) noexcept {
  return __atomic_load_n(&member, __ATOMIC_ACQUIRE);
}
SPANRING_READS_WHAT_CHANGES std::uint64_t FirstWord(const OpenSpan* slot) noexcept {
  using Aliasing __attribute__((may_alias)) = std::uint64_t;
  return __atomic_load_n(reinterpret_cast<const Aliasing*>(&slot->record), __ATOMIC_ACQUIRE);
}

std::uint32_t SizeOf(std::uint64_t first) { return static_cast<std::uint32_t>(first); }
RecordStatus StatusOf(std::uint64_t first) {
  return static_cast<RecordStatus>(static_cast<std::uint8_t>(first >> 48));
}
std::uint8_t FlagsOf(std::uint64_t first) { return static_cast<std::uint8_t>(first >> 56); }

SPANRING_READS_WHAT_CHANGES void CopyBytes(std::uint8_t* to, const std::uint8_t* from,
                                           std::size_t size) noexcept {
  // Not memcpy, which a sanitizer watches wherever it is called from.
  for (std::size_t i = 0; i < size; ++i) to[i] = static_cast<const volatile std::uint8_t*>(from)[i];
}

}  // namespace

SPANRING_READS_WHAT_CHANGES bool LookAtOpenSpan(const OpenSpan* slot, OpenLook* look) noexcept {
  const std::uint64_t first = FirstWord(slot);
  if (StatusOf(first) != RecordStatus::kOpen) return false;
  look->span_id = Load(slot->record.span_id);
  look->start = Load(slot->record.start);
  look->start_is_unix_ns = (FlagsOf(first) & kStartIsUnixNs) != 0;
  return FirstWord(slot) == first && Load(slot->record.span_id) == look->span_id;
}

SPANRING_READS_WHAT_CHANGES bool CopyOpenSpan(const OpenSpan* slot,
                                              std::vector<std::uint8_t>* record) {
  const std::uint64_t first = FirstWord(slot);
  const std::uint32_t size = SizeOf(first);
  if (StatusOf(first) != RecordStatus::kOpen || size < sizeof(RecordHeader) ||
      size > sizeof(RecordHeader) + kExtensionBytes) {
    return false;
  }
  RecordHeader header{};
  std::memcpy(static_cast<void*>(&header), &first, sizeof(first));
  header.trace_id_high = Load(slot->record.trace_id_high);
  header.trace_id_low = Load(slot->record.trace_id_low);
  header.span_id = Load(slot->record.span_id);
  header.parent_id = Load(slot->record.parent_id);
  header.start = Load(slot->record.start);
  header.end = header.start;
  header.execution_id = Load(slot->execution_id);
  const std::uint8_t* items = Load(slot->items);
  const std::size_t item_bytes = size - sizeof(RecordHeader);
  if (items == slot->inline_items && item_bytes > internal::kInlineItemBytes) return false;
  // An extension that was given back meanwhile is still mapped: the drainer alone unmaps it.
  record->resize(size);
  CopyBytes(record->data() + sizeof(header), items, item_bytes);
  std::memcpy(record->data(), &header, sizeof(header));
  return FirstWord(slot) == first && Load(slot->record.span_id) == header.span_id &&
         Load(slot->record.start) == header.start;
}

}  // namespace spanring::ring
