// A producer and a consumer on the ring of src/ring/ring.h, under the model.
// Threads: 1 produces; 2 consumes, and where it is told to, ends the producer anywhere; 3 ends
// both,
//   anywhere, and reads the memory that they leave.
// Memory: of its own. Errors: reported to the explorer.
// Design: docs/memory-model.md#the-model
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "model/explorer.h"
#include "model/model_sync.h"
#include "platform/random.h"
#include "ring/ring.h"

namespace spanring::model {

// The ring's locations, by order of construction.
inline constexpr int kPublished = 0;
inline constexpr int kConsumed = 1;

struct RingPlan {
  std::uint64_t capacity;
  std::vector<std::uint32_t> before;  // Records written, read and given back before the threads.
  std::vector<std::uint32_t> sizes;   // What the producer tries to write, once each.
  int polls = 2;                      // Of the consumer, while the producer may be at work.
  bool gives_back_each = false;       // Space after each record, not once a pass.
  bool crash = false;                 // The consumer ends the producer after its polls.
  bool both_crash = false;            // Thread 3 ends the two.
  bool commits_before_it_writes = false;
};

// Over all executions.
struct RingSeen {
  std::uint64_t all_taken = 0;  // No record was refused.
  std::uint64_t some_refused = 0;
  std::uint64_t padded = 0;      // The rest of a lap was skipped.
  std::uint64_t read_early = 0;  // The consumer read a record while the producer was at work.
  std::vector<std::uint64_t> survivors = std::vector<std::uint64_t>(16);  // Records read, by count.
};

class RingScenario : public Scenario {
 public:
  RingScenario(const RingPlan& plan, RingSeen* seen)
      : plan_(plan), seen_(seen), ring_(buffer_.data(), plan.capacity) {
    for (const std::uint32_t size : plan_.before) {
      Write(size);
      Poll();
    }
    // What a reader knows that comes only now: it has read nothing, and begins where space was last
    // given back.
    first_read_ = read_;
  }

  std::vector<std::function<void()>> Threads() override {
    std::vector<std::function<void()>> threads = {[this] { Produce(); }, [this] { Consume(); }};
    if (plan_.both_crash) threads.emplace_back([this] { ReadTheDead(); });
    return threads;
  }

  void Finish() override {
    if (plan_.both_crash) return;
    Poll();
    Check(read_ == written_, "records are missing or more than were written");
    const std::uint64_t end = Explorer::Current().Load(kPublished, std::memory_order_relaxed);
    if (end != std::accumulate(sizes_.begin(), sizes_.end(), std::uint64_t{0})) ++seen_->padded;
    ++(refused_ == 0 ? seen_->all_taken : seen_->some_refused);
    ++seen_->survivors[read_ - first_read_];
    if (plan_.crash) return;
    Check(ring_.Reserve(ring_.max_record_bytes()) != nullptr, "space was lost");
  }

 private:
  void Produce() {
    for (const std::uint32_t size : plan_.sizes) Write(size);
  }

  void Consume() {
    for (int i = 0; i < plan_.polls; ++i) Poll();
    if (read_ > first_read_) ++seen_->read_early;
    if (!plan_.crash) return;
    Explorer::Current().Kill(1);
    Poll();
    Check(read_ == written_, "a committed record is missing");
  }

  // Knows the two positions and the bytes, and nothing of what the threads had in hand.
  void ReadTheDead() {
    Explorer::Current().Kill(1);
    Explorer::Current().Kill(2);
    std::uint64_t at = Explorer::Current().Load(kConsumed, std::memory_order_relaxed);
    const std::uint64_t end = Explorer::Current().Load(kPublished, std::memory_order_relaxed);
    read_ = given_back_;
    while (at != end) {
      const std::uint64_t place = at & (plan_.capacity - 1);
      const auto* record = reinterpret_cast<const ring::RecordHeader*>(buffer_.data() + place);
      ModelSync::WillRead(record, 8);
      Check(record->size >= 8 && at + record->size <= end && place + record->size <= plan_.capacity,
            "a size that leads nowhere");
      if (record->status != ring::RecordStatus::kFree) Read(record);
      at += record->size;
    }
    Check(read_ == written_, "a committed record is missing");
    ++seen_->survivors[read_ - given_back_];
  }

  // Every word of a record follows from its number and its place.
  static std::uint64_t Word(std::uint64_t number, std::uint32_t at) {
    return platform::Mix(number * 1024 + at);
  }

  void Write(std::uint32_t size) {
    std::uint8_t* to = ring_.Reserve(size);
    if (to == nullptr) {
      ++refused_;
      return;
    }
    Check(to >= buffer_.data() && to + size <= buffer_.data() + plan_.capacity,
          "a record leaves the ring");
    if (plan_.commits_before_it_writes) Commit(size);
    ring::RecordHeader header{};
    header.size = size;
    header.site = static_cast<std::uint16_t>(written_ + (plan_.commits_before_it_writes ? 0 : 1));
    header.status = ring::RecordStatus::kCompleted;
    ModelSync::WillWrite(to, 8);
    std::memcpy(to, &header, 8);
    for (std::uint32_t at = 8; at < size; at += 8) {
      const std::uint64_t word = Word(header.site, at);
      ModelSync::WillWrite(to + at, 8);
      std::memcpy(to + at, &word, 8);
    }
    if (!plan_.commits_before_it_writes) Commit(size);
  }

  void Commit(std::uint32_t size) {
    sizes_[written_] = size;
    ring_.Commit(size);
    ++written_;  // In one step with the store in Commit: killed, the producer did both or neither.
  }

  // One pass of the consumer.
  void Poll() {
    ring_.Refresh();
    while (const ring::RecordHeader* record = ring_.Peek()) {
      Read(record);
      ring_.Advance(record);
      if (plan_.gives_back_each) GiveBack();
    }
    GiveBack();
  }

  void GiveBack() {
    ring_.GiveBack();
    given_back_ = read_;  // In one step with the store, as in Commit.
  }

  void Read(const ring::RecordHeader* record) {
    Check(record->site == ++read_, "a record comes out of order, or twice");
    Check(record->size == sizes_[read_ - 1], "a record has another size");
    Check(record->status == ring::RecordStatus::kCompleted, "a record has another status");
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(record);
    for (std::uint32_t at = 8; at < record->size; at += 8) {
      std::uint64_t word = 0;
      ModelSync::WillRead(bytes + at, 8);
      std::memcpy(&word, bytes + at, 8);
      Check(word == Word(read_, at), "a record is torn");
    }
  }

  const RingPlan& plan_;
  RingSeen* const seen_;
  alignas(64) std::array<std::uint8_t, 512> buffer_{};
  ring::BasicRing<ModelSync> ring_;

  // The producer's; of sizes_, the consumer reads what was committed.
  std::array<std::uint32_t, 16> sizes_{};
  std::uint64_t written_ = 0;
  std::uint64_t refused_ = 0;

  // The consumer's.
  std::uint64_t read_ = 0;
  std::uint64_t first_read_ = 0;
  std::uint64_t given_back_ = 0;
};

inline Report ExploreRing(const RingPlan& plan, RingSeen* seen,
                          const ExploreOptions& options = {}) {
  return Explore([&] { return std::make_unique<RingScenario>(plan, seen); }, options);
}

}  // namespace spanring::model
