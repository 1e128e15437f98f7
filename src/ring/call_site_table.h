// How a call site gets its number: once, from whichever thread is first.
// Threads: GiveNumber from any; NamesOf by who got the number, however it came to him.
// Memory: the caller's entries; the texts are copied.
// Errors: full, it gives 0.
// Design: docs/memory-model.md
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/utf8.h"
#include "ring/record.h"
#include "ring/sync.h"

namespace spanring::ring {

struct CallSiteEntry {
  std::uint8_t service_length;
  std::uint8_t operation_length;
  char text[2 * kMaxNameBytes];
};

// `used` counts entries, from 1: 0 means no number. `number` is the site's own, 0 until now.
template <typename Sync>
std::uint16_t GiveNumber(CallSiteEntry* entries, std::uint16_t most,
                         typename Sync::template Atomic<std::uint32_t>& used,
                         typename Sync::template Atomic<std::uint16_t>& number_of_site,
                         std::string_view service, std::string_view operation) noexcept {
  // relaxed: only the number's uniqueness matters. Checked first so that a full table stays full.
  if (used.load(std::memory_order_relaxed) >= most) return 0;
  const std::uint32_t number = used.fetch_add(1, std::memory_order_relaxed);
  if (number >= most) return 0;
  service = base::Truncate(service, kMaxNameBytes);
  operation = base::Truncate(operation, kMaxNameBytes);
  CallSiteEntry& entry = entries[number];
  Sync::WillWrite(&entry, 2 + service.size() + operation.size());
  entry.service_length = static_cast<std::uint8_t>(service.size());
  entry.operation_length = static_cast<std::uint8_t>(operation.size());
  if (!service.empty()) std::memcpy(entry.text, service.data(), service.size());
  if (!operation.empty()) {
    std::memcpy(entry.text + service.size(), operation.data(), operation.size());
  }
  // acq_rel: the release publishes the entry to every thread that reads the number (acquire, in the
  // recorder); of two threads at the same site the first wins, the other's entry stays unused.
  // acquire, where it fails: the number is the winner's, and so is the entry.
  std::uint16_t expected = 0;
  if (number_of_site.compare_exchange_strong(expected, static_cast<std::uint16_t>(number),
                                             std::memory_order_acq_rel,
                                             std::memory_order_acquire)) {
    return static_cast<std::uint16_t>(number);
  }
  return expected;
}

struct CallSiteNames {
  std::string_view service;
  std::string_view operation;
};

// Both empty for a number that was never given.
template <typename Sync>
CallSiteNames NamesOf(const CallSiteEntry* entries, std::uint16_t most,
                      std::uint16_t number) noexcept {
  if (number == 0 || number >= most) return {};
  const CallSiteEntry& entry = entries[number];
  Sync::WillRead(&entry, 2);
  Sync::WillRead(entry.text, std::size_t{entry.service_length} + entry.operation_length);
  return {{entry.text, entry.service_length},
          {entry.text + entry.service_length, entry.operation_length}};
}

}  // namespace spanring::ring
