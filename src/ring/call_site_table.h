// How a call site gets the number of its names.
// Threads: Register from any; NamesOf by who got the number, however it came to him.
// Memory: its own; the texts are copied, and stay.
// Errors: a full table gives 0.
// Design: docs/memory-model.md
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/utf8.h"
#include "platform/random.h"
#include "ring/record.h"
#include "ring/sync.h"

namespace spanring::ring {

struct CallSiteNames {
  std::string_view service;
  std::string_view operation;
};

// Numbers from 1 to kMost - 1. Equal names have one number: a plugin that is loaded again has new
// call sites, but uses no new numbers (in a full table it gets none). Neither locks nor waits: the
// caller may be in a signal handler, and a fork may come at any moment.
template <typename Sync, std::uint16_t kMost>
class CallSiteTable {
 public:
  // Sets `number_of_site`, and returns it; 0, and not set, when all numbers are given, or where
  // `before(number, names)`, called before anybody can see the number at the site, is false.
  template <typename Before>
  std::uint16_t Register(typename Sync::template Atomic<std::uint16_t>& number_of_site,
                         const CallSiteNames& names, Before before) noexcept {
    // relaxed: a stale value costs a search. In a full table there is none: what stays without a
    // number comes here with every span.
    if (used_.load(std::memory_order_relaxed) >= kMost) return 0;
    const std::uint16_t number = FindOrAdd({base::Truncate(names.service, kMaxNameBytes),
                                            base::Truncate(names.operation, kMaxNameBytes)});
    if (number != 0 && !before(number, NamesOf(number))) return 0;
    // release: publishes the entry, pairs with the acquire in the recorder. relaxed, where it
    // fails: another thread at the same site has set the same.
    std::uint16_t none = 0;
    if (number != 0) {
      number_of_site.compare_exchange_strong(none, number, std::memory_order_release,
                                             std::memory_order_relaxed);
    }
    return number;
  }

  // Both empty for a number that was never given.
  CallSiteNames NamesOf(std::uint16_t number) const noexcept {
    if (number == 0 || number >= kMost) return {};
    const Entry& entry = entries_[number];
    Sync::WillRead(&entry, 2);
    Sync::WillRead(entry.text, std::size_t{entry.service_length} + entry.operation_length);
    return {{entry.text, entry.service_length},
            {entry.text + entry.service_length, entry.operation_length}};
  }

  std::uint16_t Register(typename Sync::template Atomic<std::uint16_t>& number_of_site,
                         const CallSiteNames& names) noexcept {
    return Register(number_of_site, names,
                    [](std::uint16_t, const CallSiteNames&) { return true; });
  }

  // relaxed: a count.
  std::uint32_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

  // Twice the numbers, so that some are always empty and a search ends.
  static constexpr std::size_t kBuckets = std::size_t{2} * kMost;

 private:
  struct Entry {
    std::uint8_t service_length;
    std::uint8_t operation_length;
    char text[2 * kMaxNameBytes];
  };

  static std::size_t BucketOf(const CallSiteNames& names) noexcept {
    std::uint64_t hash = names.service.size();
    for (const std::string_view text : {names.service, names.operation}) {
      for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    return platform::Mix(hash) % kBuckets;
  }

  std::uint16_t FindOrAdd(const CallSiteNames& names) noexcept {
    std::uint16_t added = 0;
    for (std::size_t i = BucketOf(names);; i = (i + 1) % kBuckets) {
      // acquire: pairs with the release below, so that the entry is seen whole.
      std::uint16_t number = buckets_[i].load(std::memory_order_acquire);
      if (number == 0) {
        if (added == 0) added = Add(names);
        if (added == 0) return 0;
        // release: publishes the entry, pairs with the acquire above. acquire, where it fails: as
        // above. Another thread was faster, perhaps with the same names: ours is lost then.
        if (buckets_[i].compare_exchange_strong(number, added, std::memory_order_release,
                                                std::memory_order_acquire)) {
          return added;
        }
      }
      const CallSiteNames there = NamesOf(number);
      if (there.service == names.service && there.operation == names.operation) return number;
    }
  }

  // A number of its own for these names; 0 when all are given.
  std::uint16_t Add(const CallSiteNames& names) noexcept {
    // relaxed: only the number's uniqueness matters.
    const std::uint32_t number = used_.fetch_add(1, std::memory_order_relaxed);
    if (number >= kMost) return 0;
    Entry& entry = entries_[number];
    Sync::WillWrite(&entry, 2 + names.service.size() + names.operation.size());
    entry.service_length = static_cast<std::uint8_t>(names.service.size());
    entry.operation_length = static_cast<std::uint8_t>(names.operation.size());
    names.service.copy(entry.text, names.service.size());
    names.operation.copy(entry.text + names.service.size(), names.operation.size());
    return static_cast<std::uint16_t>(number);
  }

  typename Sync::template Atomic<std::uint32_t> used_{1};
  // The numbers by a hash of the names, open addressing; nothing is ever removed.
  std::array<typename Sync::template Atomic<std::uint16_t>, kBuckets> buckets_{};
  std::array<Entry, kMost> entries_{};
};

}  // namespace spanring::ring
