#include "ring/call_sites.h"

#include <atomic>
#include <cstring>

#include "base/utf8.h"
#include "ring/record.h"

namespace spanring::ring {
namespace {

struct Entry {
  std::uint8_t service_length;
  std::uint8_t operation_length;
  char text[2 * kMaxNameBytes];
};

// Untouched pages of it cost nothing.
constinit Entry g_entries[kMaxCallSites] = {};
constinit std::atomic<std::uint32_t> g_used{1};  // 0 means: no number.

}  // namespace

std::uint16_t RegisterCallSite(internal::CallSiteData& site) noexcept {
  // relaxed: only the number's uniqueness matters. Checked first so that a full table stays full.
  if (g_used.load(std::memory_order_relaxed) >= kMaxCallSites) return 0;
  const std::uint32_t number = g_used.fetch_add(1, std::memory_order_relaxed);
  if (number >= kMaxCallSites) return 0;
  const std::string_view service = base::Truncate(site.service, kMaxNameBytes);
  const std::string_view operation = base::Truncate(site.operation, kMaxNameBytes);
  Entry& entry = g_entries[number];
  entry.service_length = static_cast<std::uint8_t>(service.size());
  entry.operation_length = static_cast<std::uint8_t>(operation.size());
  if (!service.empty()) std::memcpy(entry.text, service.data(), service.size());
  if (!operation.empty()) {
    std::memcpy(entry.text + service.size(), operation.data(), operation.size());
  }
  // acq_rel: the release publishes the entry to every thread that reads the number (acquire, in the
  // recorder); of two threads at the same site the first wins, the other's entry stays unused.
  std::uint16_t expected = 0;
  if (site.number.compare_exchange_strong(expected, static_cast<std::uint16_t>(number),
                                          std::memory_order_acq_rel, std::memory_order_acquire)) {
    return static_cast<std::uint16_t>(number);
  }
  return expected;
}

CallSiteNames LookupCallSite(std::uint16_t number) noexcept {
  if (number == 0 || number >= kMaxCallSites) return {};
  const Entry& entry = g_entries[number];
  return {{entry.text, entry.service_length},
          {entry.text + entry.service_length, entry.operation_length}};
}

}  // namespace spanring::ring
