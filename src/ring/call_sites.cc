#include "ring/call_sites.h"

#include <atomic>

namespace spanring::ring {
namespace {

// Untouched pages of it cost nothing.
constinit CallSiteEntry g_entries[kMaxCallSites] = {};
constinit std::atomic<std::uint32_t> g_used{1};  // 0 means: no number.

}  // namespace

std::uint16_t RegisterCallSite(internal::CallSiteData& site) noexcept {
  return GiveNumber<StdSync>(g_entries, kMaxCallSites, g_used, site.number, site.service,
                             site.operation);
}

CallSiteNames LookupCallSite(std::uint16_t number) noexcept {
  return NamesOf<StdSync>(g_entries, kMaxCallSites, number);
}

}  // namespace spanring::ring
