// A plugin that traces: see plugin.h.
#include "runtime/plugin.h"

#include "spanring/spanring.h"

namespace {

using spanring::CallSite;
using spanring::Span;
using spanring::Tracer;

#define SITES(tens)                                                                               \
  {"plugin", "plugin." tens "0"}, {"plugin", "plugin." tens "1"}, {"plugin", "plugin." tens "2"}, \
      {"plugin", "plugin." tens "3"}, {"plugin", "plugin." tens "4"},                             \
      {"plugin", "plugin." tens "5"}, {"plugin", "plugin." tens "6"},                             \
      {"plugin", "plugin." tens "7"}, {"plugin", "plugin." tens "8"},                             \
      {"plugin", "plugin." tens "9"}
constinit CallSite g_sites[spanring::kPluginSites] = {SITES("0"), SITES("1"), SITES("2"),
                                                      SITES("3"), SITES("4")};
constinit CallSite g_left_open("plugin", "plugin.left_open");

void Record() {
  Tracer tracer;
  for (CallSite& site : g_sites) tracer.StartSpan(site, {{"by", "a plugin"}}).Complete();
  char service[] = "plugin";
  char operation[] = "plugin.text";
  tracer.StartSpan(service, operation).Complete();
}

void LeaveOpen(void* span) { *static_cast<Span*>(span) = Tracer().StartSpan(g_left_open); }

std::uint64_t Numbers() {
  std::uint64_t sum = 0;
  for (CallSite& site : g_sites) {
    const std::uint16_t number = site.data().number.load();
    if (number == 0) return 0;
    sum += number;
  }
  return sum;
}

std::uint64_t Started() { return Tracer().GetStats().started; }
std::uint64_t Open() { return Tracer().GetStats().open; }

}  // namespace

extern "C" SPANRING_EXPORT const spanring::PluginCalls spanring_test_plugin;
const spanring::PluginCalls spanring_test_plugin = {Record, LeaveOpen, Numbers, Started, Open};
