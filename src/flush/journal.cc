#include "flush/journal.h"

#include <memory>
#include <new>

#include "platform/clock.h"

namespace spanring::flush {
namespace {

// A buffer that grew for one odd batch is not kept.
constexpr std::size_t kMostBytesKept = 16 * 1024 * 1024;

}  // namespace

Journal::~Journal() {
  Batch* batch = nullptr;
  while (sealed_.try_dequeue(batch)) delete batch;
  while (emptied_.try_dequeue(batch)) delete batch;
  delete open_;
}

Batch* Journal::Open() {
  if (bytes() >= capacity_bytes_) return nullptr;
  if (open_ == nullptr) {
    Batch* batch = nullptr;
    if (!emptied_.try_dequeue(batch)) batch = new Batch;
    open_ = batch;
  }
  if (open_->rows == 0) open_->opened_ns = platform::ClockNanoseconds(CLOCK_MONOTONIC);
  return open_;
}

void Journal::Seal() {
  if (open_ == nullptr || open_->rows == 0) return;
  open_->sequence = next_sequence_;
  // Counted first: the shipper must not see it done before it was waiting. relaxed, here and below:
  // a count; the queue carries the batch.
  waiting_.fetch_add(1, std::memory_order_relaxed);
  if (!sealed_.enqueue(open_)) {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    throw std::bad_alloc();
  }
  ++next_sequence_;
  open_ = nullptr;
}

Batch* Journal::Take() noexcept {
  Batch* batch = nullptr;
  return sealed_.try_dequeue(batch) ? batch : nullptr;
}

void Journal::Done(Batch* batch) noexcept {
  // relaxed, both: a budget and a count.
  bytes_.fetch_sub(batch->data.size(), std::memory_order_relaxed);
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  batch->rows = 0;
  batch->data.clear();
  std::unique_ptr<Batch> keeper(batch);
  if (batch->data.capacity() > kMostBytesKept) return;
  try {
    if (emptied_.enqueue(batch)) static_cast<void>(keeper.release());
  } catch (...) {  // No memory to remember it by: the keeper frees it.
  }
}

}  // namespace spanring::flush
