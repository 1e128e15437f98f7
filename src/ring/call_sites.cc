#include "ring/call_sites.h"

#include "ring/this_thread.h"

namespace spanring::ring {
namespace {

// Untouched pages of it cost nothing.
constinit CallSiteTable<StdSync, kMaxCallSites> g_table;

}  // namespace

std::uint16_t RegisterCallSite(internal::CallSiteData& site) noexcept {
  Registry* registry = CurrentRegistry();
  return g_table.Register(site.number, {site.service, site.operation},
                          [=](std::uint16_t number, const CallSiteNames& names) {
                            return registry == nullptr || registry->AddNames(number, names);
                          });
}

void ForEachCallSite(const std::function<void(std::uint16_t, const CallSiteNames&)>& look) {
  for (std::uint32_t number = 1; number < g_table.used() && number < kMaxCallSites; ++number) {
    const CallSiteNames names = g_table.NamesOf(static_cast<std::uint16_t>(number));
    look(static_cast<std::uint16_t>(number), names);
  }
}

CallSiteNames LookupCallSite(std::uint16_t number) noexcept { return g_table.NamesOf(number); }

}  // namespace spanring::ring
