// Loads and unloads a traced plugin a hundred times: plugin_host PLUGIN. Built twice: as a host
// that traces too (HOST_TRACES=1), and as one that knows nothing of tracing, whose plugin brings
// the library. Traced as its environment says; the exit status is 0 where every count is exact.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

#include "runtime/plugin.h"
#if HOST_TRACES
#include "spanring/spanring.h"
#endif

namespace {

constexpr int kLoads = 100;
std::uint64_t g_expected = 0;

void Require(bool condition, int line) {
  if (condition) return;
  std::fprintf(stderr, "plugin_host.cc:%d\n", line);
  std::_Exit(100);
}
#define REQUIRE(condition) Require((condition), __LINE__)

class Plugin {
 public:
  explicit Plugin(const char* path) : path_(path), handle_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) std::fprintf(stderr, "%s\n", dlerror());
    REQUIRE(handle_ != nullptr);
    calls_ = static_cast<const spanring::PluginCalls*>(dlsym(handle_, spanring::kPluginSymbol));
    REQUIRE(calls_ != nullptr);
  }
  ~Plugin() {
    REQUIRE(dlclose(handle_) == 0);
    // It is really gone, not just closed.
    REQUIRE(dlopen(path_, RTLD_NOW | RTLD_NOLOAD) == nullptr);
  }
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  const spanring::PluginCalls* operator->() const { return calls_; }

 private:
  const char* path_;
  void* handle_;
  const spanring::PluginCalls* calls_;
};

#if HOST_TRACES
constinit spanring::CallSite g_site("host", "host.work");

void RecordInHost() {
  spanring::Tracer().StartSpan(g_site).Complete();
  ++g_expected;
}
#else
void RecordInHost() {}
#endif

}  // namespace

int main(int argc, char** argv) {
  REQUIRE(argc == 2);
  RecordInHost();
  std::uint64_t numbers = 0;
  for (int i = 0; i < kLoads; ++i) {
#if HOST_TRACES
    spanring::Span open;
#endif
    {
      Plugin plugin(argv[1]);
      REQUIRE(plugin->started() == g_expected);
      plugin->record();
      g_expected += spanring::kPluginSites + 1;
      RecordInHost();
#if HOST_TRACES
      plugin->leave_open(&open);
      ++g_expected;
      REQUIRE(plugin->open() == 1);
#endif
      REQUIRE(plugin->started() == g_expected && plugin->numbers() != 0);
      // Loaded again, it uses up no new numbers.
      if (i == 0) numbers = plugin->numbers();
      REQUIRE(plugin->numbers() == numbers);
    }
    RecordInHost();
#if HOST_TRACES
    open.SetAttribute("ended", "after dlclose");
    open.Complete();
    const spanring::Stats stats = spanring::Tracer().GetStats();
    REQUIRE(stats.started == g_expected && stats.open == 0 && stats.dropped == 0);
#endif
  }
  return 0;
}
