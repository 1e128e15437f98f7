// What a traced plugin offers to its host: plugin.cc is loaded and unloaded by plugin_host.cc.
// Threads: one at a time. Memory: none. Errors: none.
// Design: docs/architecture.md#life
#pragma once

#include <cstdint>

namespace spanring {

inline constexpr int kPluginSites = 50;

struct PluginCalls {
  // One span of each of the plugin's call sites, and one named by a text of the plugin's.
  void (*record)();
  // Leaves a span open, at `span`, a spanring::Span of the host's.
  void (*leave_open)(void* span);
  // The sum of the numbers of its call sites; 0 where one has none.
  std::uint64_t (*numbers)();
  std::uint64_t (*started)();
  std::uint64_t (*open)();
};

// The one symbol that a host looks up: `extern "C" const PluginCalls spanring_test_plugin`.
inline constexpr char kPluginSymbol[] = "spanring_test_plugin";

}  // namespace spanring
