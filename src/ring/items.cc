// The calls that add to an open span, and what happens where one outgrows its slot.
#include "ring/items.h"

#include "ring/this_thread.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::ring {

__attribute__((noinline, cold)) bool Grow(OpenSpan* span, std::size_t needed) noexcept {
  if (needed > kMaxItemBytes || span->items != span->inline_items) return false;
  // The parent's span, after a fork: a thread that is not here may hold that registry's locks.
  if (span->owner->registry() != CurrentRegistry()) return false;
  std::uint8_t* block = span->owner->registry()->extensions().Take();
  if (block == nullptr) return false;
  std::memcpy(block, span->items, span->record.size - sizeof(RecordHeader));
  span->items = block;
  span->capacity = kMaxItemBytes;
  return true;
}

__attribute__((noinline, cold)) void SayWhatWasLost(OpenSpan* span) noexcept {
  const std::uint32_t lost = span->lost_attributes;
  span->owner->registry()->CountLostAttributes(lost);
  // A full slot that gets no extension has no room to say it; a full extension has.
  const std::size_t used = span->record.size - sizeof(RecordHeader);
  const std::size_t needed = used + sizeof(ItemHeader) + sizeof(lost);
  if (needed > span->capacity && span->items == span->inline_items && !Grow(span, needed)) return;
  const ItemHeader header{ItemKind::kLostAttributes, 0, sizeof(lost)};
  std::memcpy(span->items + used, &header, sizeof(header));
  std::memcpy(span->items + used + sizeof(header), &lost, sizeof(lost));
  span->record.SetSize(sizeof(RecordHeader) + needed);
}

}  // namespace spanring::ring

namespace spanring::internal {

using ring::ItemKind;

void SetAttribute(OpenSpan* span, std::string_view key, std::string_view text) noexcept {
  ring::Append(span, ItemKind::kString, key, text.data(), text.size());
}

void SetAttribute(OpenSpan* span, std::string_view key, std::int64_t number) noexcept {
  ring::Append(span, ItemKind::kInt64, key, &number, sizeof(number));
}

void SetAttribute(OpenSpan* span, std::string_view key, double number) noexcept {
  ring::Append(span, ItemKind::kDouble, key, &number, sizeof(number));
}

void SetAttribute(OpenSpan* span, std::string_view key, bool truth) noexcept {
  ring::Append(span, ItemKind::kBool, key, &truth, sizeof(truth));
}

void SetExecutionContext(OpenSpan* span, std::string_view job_id, std::int64_t execution_id,
                         std::string_view model_id, std::string_view region) noexcept {
  span->execution_id = execution_id;
  span->record.AddFlags(ring::kHasExecutionId);
  ring::AppendContext(span, job_id, model_id, region);
}

void SetStartTime(OpenSpan* span, absl::Time time) noexcept {
  span->record.start = absl::ToUnixNanos(time);
  span->record.AddFlags(ring::kStartIsUnixNs);
}

void SetEndTime(OpenSpan* span, absl::Time time) noexcept {
  span->end = absl::ToUnixNanos(time);
  span->record.AddFlags(ring::kEndIsUnixNs);
}

}  // namespace spanring::internal
