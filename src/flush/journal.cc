#include "flush/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "platform/clock.h"

namespace spanring::flush {
namespace {

// A buffer that grew for one odd batch is not kept.
constexpr std::size_t kMostBytesKept = 16 * 1024 * 1024;
// Of sealed batches that are on disk too: beyond it they wait there alone.
constexpr std::uint64_t kBytesInMemory = 32 * 1024 * 1024;
// What may be in memory alone, however large the journal may be.
constexpr std::uint64_t kMostBytesInMemoryAlone = 64 * 1024 * 1024;
constexpr std::int64_t kTryDiskAgainNs = 1'000'000'000;

using FileName = std::array<char, 40>;

// SegmentName, where there may be no memory.
FileName NameOf(std::uint64_t sequence) noexcept {
  FileName name{};
  std::snprintf(name.data(), name.size(), "%020llu.segment",
                static_cast<unsigned long long>(sequence));
  return name;
}

}  // namespace

// While it lives, the drainer waits for the disk.
class Journal::DiskWait {
 public:
  // relaxed, both: whoever asks is content with a moment ago.
  explicit DiskWait(Journal* journal) noexcept : journal_(journal) {
    journal_->disk_since_ns_.store(platform::ClockNanoseconds(CLOCK_MONOTONIC),
                                   std::memory_order_relaxed);
  }
  ~DiskWait() { journal_->disk_since_ns_.store(0, std::memory_order_relaxed); }
  DiskWait(const DiskWait&) = delete;
  DiskWait& operator=(const DiskWait&) = delete;

 private:
  Journal* const journal_;
};

std::int64_t Journal::DiskWaitNs() const noexcept {
  // relaxed: as above.
  const std::int64_t since = disk_since_ns_.load(std::memory_order_relaxed);
  return since == 0 ? 0 : platform::ClockNanoseconds(CLOCK_MONOTONIC) - since;
}

Journal::Journal(const JournalOptions& options)
    : options_(options), next_sequence_(options.next_sequence), shippers_(options.shippers) {}

Journal::~Journal() {
  Batch* batch = nullptr;
  while (sealed_.try_dequeue(batch)) delete batch;
  while (ordered_.try_dequeue(batch)) delete batch;
  while (emptied_.try_dequeue(batch)) delete batch;
  delete open_;
}

void Journal::Begin() {
  const DiskWait wait(this);
  if (!OpenFolder()) return;
  const auto names = platform::NamesIn(folder());
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::uint64_t sequence = SequenceOf(name);
    if (sequence == 0) continue;
    const auto segment = ReadSegmentFile(folder(), sequence);
    if (!segment.ok() || segment->rows == 0) continue;
    auto batch = std::make_unique<Batch>();
    batch->sequence = sequence;
    batch->rows = segment->rows;
    batch->bytes = segment->data.size();
    batch->rows_on_disk = segment->rows;
    batch->on_disk = true;
    batch->in_memory = false;
    // Which of them were reported the journal before this one knew.
    batch->closed =
        MaybeReported({reinterpret_cast<const char*>(segment->data.data()), segment->data.size()});
    next_sequence_ = std::max(next_sequence_, sequence + 1);
    // relaxed: as said at bytes_.
    bytes_.fetch_add(batch->bytes, std::memory_order_relaxed);
    Enqueue(batch.get());
    static_cast<void>(batch.release());
  }
}

bool Journal::OpenFolder() {
  if (folder() >= 0) return true;
  if (!options_.open_folder || platform::ClockNanoseconds(CLOCK_MONOTONIC) < try_disk_again_ns_) {
    return false;
  }
  const absl::StatusOr<int> opened = options_.open_folder();
  if (!opened.ok()) {
    DiskFailed(opened.status());
    return false;
  }
  // release: pairs with the acquire in folder().
  folder_.store(*opened, std::memory_order_release);
  return true;
}

bool Journal::HasRoom() const noexcept {
  if (bytes() + uncounted_bytes_ >= options_.capacity_bytes) return false;
  // relaxed: as said at bytes_.
  if (bytes_in_memory_.load(std::memory_order_relaxed) + uncounted_bytes_ <
      kMostBytesInMemoryAlone) {
    return true;
  }
  if (open_ != nullptr && open_->sequence != 0) return open_->on_disk;
  return options_.open_folder != nullptr &&
         platform::ClockNanoseconds(CLOCK_MONOTONIC) >= try_disk_again_ns_;
}

Batch* Journal::Open() { return HasRoom() ? OpenForClosed() : nullptr; }

Batch* Journal::OpenForClosed() {
  if (open_ == nullptr) {
    Batch* batch = nullptr;
    if (!emptied_.try_dequeue(batch)) batch = new Batch;
    open_ = batch;
  }
  if (open_->sequence == 0) {
    open_->sequence = next_sequence_++;
    open_->opened_ns = platform::ClockNanoseconds(CLOCK_MONOTONIC);
    // relaxed: as said at ControlData.
    if (options_.control != nullptr) {
      options_.control->next_sequence.store(next_sequence_, std::memory_order_relaxed);
    }
    OpenSegment();
  }
  return open_;
}

void Journal::OpenSegment() {
  committed_bytes_ = 0;
  committed_rows_ = 0;
  segment_.reset();
  open_->rows_on_disk = 0;
  open_->on_disk = false;
  open_->in_memory = true;
  const DiskWait wait(this);
  if (!OpenFolder() || open_->opened_ns < try_disk_again_ns_) return;
  auto made = SegmentWriter::Create(folder(), options_.writer, open_->sequence);
  if (!made.ok()) return DiskFailed(made.status());
  segment_ = std::move(*made);
  open_->on_disk = true;
}

void Journal::DiskFailed(const absl::Status& status) noexcept {
  segment_.reset();
  if (open_ != nullptr) open_->on_disk = false;
  try_disk_again_ns_ = platform::ClockNanoseconds(CLOCK_MONOTONIC) + kTryDiskAgainNs;
  if (std::exchange(disk_failed_, true)) return;
  try {
    base::LogError(absl::StrCat("the journal cannot be written: ", status.message(),
                                "; spans wait in memory, and are lost if the process is killed"));
  } catch (...) {  // No memory to say it.
  }
}

void Journal::CountAppended(std::size_t bytes) noexcept {
  open_->bytes += bytes;
  uncounted_bytes_ += bytes;
}

void Journal::CountBytes() noexcept {
  const std::uint64_t bytes = std::exchange(uncounted_bytes_, 0);
  // relaxed, both: as said at bytes_.
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  bytes_in_memory_.fetch_add(bytes, std::memory_order_relaxed);
}

void Journal::Commit(const std::vector<RingPosition>& positions) noexcept {
  if (open_ == nullptr || open_->rows == committed_rows_) return;
  CountBytes();
  if (segment_) {
    const std::string_view rows(
        reinterpret_cast<const char*>(open_->data.data()) + committed_bytes_,
        open_->data.size() - committed_bytes_);
    absl::Status status;
    const DiskWait wait(this);
    try {
      status = segment_->Append(rows, open_->rows - committed_rows_, positions);
    } catch (const std::bad_alloc&) {
      status = absl::ResourceExhaustedError("no memory");
    }
    if (!status.ok()) {
      DiskFailed(status);
    } else {
      open_->rows_on_disk = open_->rows;
      if (std::exchange(disk_failed_, false)) base::LogInfo("the journal is written again");
    }
  }
  committed_bytes_ = open_->data.size();
  committed_rows_ = open_->rows;
}

void Journal::CommitInMemoryAlone() noexcept {
  if (open_ == nullptr) return;
  segment_.reset();
  open_->on_disk = false;
}

void Journal::Seal() {
  if (open_ == nullptr || open_->IsEmpty()) return;
  CountBytes();
  segment_.reset();
  if (open_->rows == 0) open_->on_disk = false;
  // relaxed: as said at bytes_.
  if (open_->on_disk && bytes_in_memory_.load(std::memory_order_relaxed) > kBytesInMemory &&
      waiting() > 0) {
    bytes_in_memory_.fetch_sub(open_->bytes, std::memory_order_relaxed);
    open_->in_memory = false;
    std::vector<std::uint8_t>().swap(open_->data);
  }
  Enqueue(open_);
  open_ = nullptr;
}

void Journal::Enqueue(Batch* batch) {
  {
    const std::lock_guard lock(mutex_);
    outstanding_.emplace(batch->sequence, batch->rows_on_disk);
  }
  // Counted first: the shipper must not see it done before it was waiting. relaxed, here and below:
  // a count; the queue carries the batch.
  waiting_.fetch_add(1, std::memory_order_relaxed);
  if ((batch->IsOrdered() ? ordered_ : sealed_).enqueue(batch)) return;
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  outstanding_.erase(batch->sequence);
  throw std::bad_alloc();
}

Batch* Journal::Take(bool first) noexcept {
  Batch* batch = nullptr;
  if (first && ordered_.try_dequeue(batch)) return batch;
  // One that waits while the first has none in hand is the first's.
  if (!first && !NeedsHelp()) return nullptr;
  return sealed_.try_dequeue(batch) ? batch : nullptr;
}

bool Journal::GiveBack(Batch* batch) noexcept {
  return (batch->IsOrdered() ? ordered_ : sealed_).enqueue(batch);
}

Batch* Journal::TakeOldest() noexcept {
  Batch* batch = nullptr;
  return sealed_.try_dequeue(batch) || ordered_.try_dequeue(batch) ? batch : nullptr;
}

absl::Status Journal::Load(Batch* batch) {
  if (batch->in_memory) return absl::OkStatus();
  const std::uint32_t rows = batch->rows;
  absl::StatusOr<Segment> segment = absl::UnavailableError("no memory for a batch");
  try {
    segment = ReadSegmentFile(folder(), batch->sequence);
  } catch (const std::bad_alloc&) {  // As it is said.
  }
  if (absl::IsUnavailable(segment.status())) return segment.status();
  batch->rows = segment.ok() ? std::min(segment->rows, rows) : 0;
  batch->data = segment.ok() ? std::move(segment->data) : std::vector<std::uint8_t>();
  batch->in_memory = true;
  // relaxed: as said at bytes_.
  bytes_in_memory_.fetch_add(batch->bytes, std::memory_order_relaxed);
  if (batch->rows == rows) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("a segment of the journal is damaged: ",
                   segment.ok() ? "its end is missing" : segment.status().message()));
}

bool Journal::Discard(Batch* batch) noexcept {
  const FileName name = NameOf(batch->sequence);
  if (folder() >= 0 && unlinkat(folder(), name.data(), 0) != 0 && errno != ENOENT) {
    // The folder may have become read-only, and the file not.
    const platform::Fd file(openat(folder(), name.data(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
    if ((!file || ftruncate(file.get(), 0) != 0) && GiveBack(batch)) return false;
  }
  Done(batch);
  return true;
}

void Journal::Done(Batch* batch) noexcept {
  // relaxed, all: budgets and a count.
  bytes_.fetch_sub(batch->bytes, std::memory_order_relaxed);
  if (batch->in_memory) bytes_in_memory_.fetch_sub(batch->bytes, std::memory_order_relaxed);
  if (folder() >= 0) unlinkat(folder(), NameOf(batch->sequence).data(), 0);
  {
    const std::lock_guard lock(mutex_);
    outstanding_.erase(batch->sequence);
    changed_.notify_all();
  }
  // relaxed: as above.
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  std::unique_ptr<Batch> keeper(batch);
  // A backlog has more of them than will be wanted again.
  if (batch->data.capacity() > kMostBytesKept ||
      emptied_.size_approx() >= static_cast<std::size_t>(options_.shippers) + 2) {
    return;
  }
  std::vector<std::uint8_t> data = std::move(batch->data);
  data.clear();
  *batch = Batch{};
  batch->data = std::move(data);
  try {
    if (emptied_.enqueue(batch)) static_cast<void>(keeper.release());
  } catch (...) {  // No memory to remember it by: the keeper frees it.
  }
}

void Journal::ShipperEnded() noexcept {
  const std::lock_guard lock(mutex_);
  --shippers_;
  changed_.notify_all();
}

bool Journal::WaitUntilDone(std::uint64_t sequence, Deadline deadline) {
  std::unique_lock lock(mutex_);
  const auto done = [&] { return outstanding_.empty() || outstanding_.begin()->first >= sequence; };
  changed_.wait_until(lock, deadline, [&] { return done() || shippers_ == 0; });
  return done();
}

std::uint64_t Journal::rows_on_disk() {
  const std::lock_guard lock(mutex_);
  std::uint64_t rows = 0;
  for (const auto& [sequence, on_disk] : outstanding_) rows += on_disk;
  return rows;
}

}  // namespace spanring::flush
