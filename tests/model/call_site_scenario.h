// A call site's first two spans, on two threads, and the drainer that looks its names up, over
// src/ring/call_site_table.h and src/ring/ring.h, under the model.
// Threads: 1 and 2 record, each into a ring of its own; 3 drains.
// Memory: of its own. Errors: reported to the explorer.
// Design: docs/memory-model.md#the-model
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "model/explorer.h"
#include "model/model_sync.h"
#include "ring/call_site_table.h"
#include "ring/ring.h"

namespace spanring::model {

inline constexpr std::uint16_t kMostSites = 4;
using ModelTable = ring::CallSiteTable<ModelSync, kMostSites>;

// Locations, in the order of construction: the count, the buckets, the site's number.
inline constexpr int kFirstBucket = 1;
inline constexpr int kNumber = kFirstBucket + static_cast<int>(ModelTable::kBuckets);

struct CallSiteSeen {
  std::uint64_t looked_up_early = 0;  // While the recorders may be at work.
  std::uint64_t lost_the_race = 0;    // Both entered the site; one entry stays unused.
};

class CallSiteScenario : public Scenario {
 public:
  explicit CallSiteScenario(CallSiteSeen* seen)
      : seen_(seen),
        rings_{ring::BasicRing<ModelSync>(buffers_[0].bytes.data(), kRingBytes),
               ring::BasicRing<ModelSync>(buffers_[1].bytes.data(), kRingBytes)} {}

  std::vector<std::function<void()>> Threads() override {
    return {[this] { Record(0); }, [this] { Record(1); },
            [this] {
              for (auto& ring : rings_) Drain(ring);
              if (looked_up_ > 0) ++seen_->looked_up_early;
            }};
  }

  void Finish() override {
    for (auto& ring : rings_) Drain(ring);
    Check(looked_up_ == 2, "a span is missing");
    Check(numbers_[0] == numbers_[1], "a site has two numbers");
    if (table_.used() == 3) ++seen_->lost_the_race;
  }

 private:
  static constexpr std::uint64_t kRingBytes = 64;

  void Record(std::size_t i) {
    // As the recorder does it.
    std::uint16_t number = number_.load(std::memory_order_acquire);
    if (number == 0) {
      number = table_.Register(number_, {"service", "operation"});
    }
    numbers_[i] = number;
    ring::RecordHeader header{};
    header.size = 8;
    header.site = number;
    header.status = ring::RecordStatus::kCompleted;
    std::uint8_t* to = rings_[i].Reserve(8);
    ModelSync::WillWrite(to, 8);
    std::memcpy(to, &header, 8);
    rings_[i].Commit(8);
  }

  void Drain(ring::BasicRing<ModelSync>& ring) {
    ring.Refresh();
    while (const ring::RecordHeader* record = ring.Peek()) {
      const ring::CallSiteNames names = table_.NamesOf(record->site);
      Check(names.service == "service" && names.operation == "operation", "a name is not whole");
      ++looked_up_;
      ring.Advance(record);
    }
    ring.GiveBack();
  }

  struct alignas(64) Buffer {
    std::array<std::uint8_t, kRingBytes> bytes{};
  };

  CallSiteSeen* const seen_;
  ModelTable table_;
  ModelSync::Atomic<std::uint16_t> number_{0};
  std::array<Buffer, 2> buffers_{};
  std::array<ring::BasicRing<ModelSync>, 2> rings_;

  std::array<std::uint16_t, 2> numbers_{};  // Each recorder's own.
  int looked_up_ = 0;                       // The drainer's.
};

inline Report ExploreCallSite(CallSiteSeen* seen, const ExploreOptions& options = {}) {
  return Explore([&] { return std::make_unique<CallSiteScenario>(seen); }, options);
}

}  // namespace spanring::model
