// The names of call sites, by number, so that a record can refer to them.
// Threads: Register from any thread, at any time; Lookup of a number that was read from a record.
// Memory: static; the texts are copied, so a plugin that is unloaded leaves its names behind. Equal
//   names have one number, so a plugin that is loaded again uses no new ones.
// Errors: a full table gives 0, and spans of that site carry their names themselves.
// Design: docs/architecture.md#record
#pragma once

#include <cstdint>
#include <functional>

#include "ring/call_site_table.h"
#include "spanring/internal/runtime_api.h"

namespace spanring::ring {

inline constexpr std::uint16_t kMaxCallSites = 4096;

// Gives the site the number of its names: once per site, on its first span.
std::uint16_t RegisterCallSite(internal::CallSiteData& site) noexcept;

// Calls `look(number, names)` for all that were given. No other thread may be giving one.
void ForEachCallSite(const std::function<void(std::uint16_t, const CallSiteNames&)>& look);

// Both empty for a number that was never given.
CallSiteNames LookupCallSite(std::uint16_t number) noexcept;

}  // namespace spanring::ring
