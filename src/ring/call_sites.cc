#include "ring/call_sites.h"

namespace spanring::ring {
namespace {

// Untouched pages of it cost nothing.
constinit CallSiteTable<StdSync, kMaxCallSites> g_table;

}  // namespace

std::uint16_t RegisterCallSite(internal::CallSiteData& site) noexcept {
  return g_table.Register(site.number, {site.service, site.operation});
}

CallSiteNames LookupCallSite(std::uint16_t number) noexcept { return g_table.NamesOf(number); }

}  // namespace spanring::ring
