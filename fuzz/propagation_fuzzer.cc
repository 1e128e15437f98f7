// Whatever comes as headers: what goes on is printable, bounded, and read the same again. The
// input's first two NULs part traceparent, tracestate and baggage.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "spanring/propagation.h"

namespace {

using spanring::RemoteParent;
using Headers = std::map<std::string, std::string, std::less<>>;

RemoteParent Read(const Headers& headers) {
  return RemoteParent::FromHeaders([&](std::string_view name) -> std::string_view {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string_view() : found->second;
  });
}

Headers Written(const RemoteParent& parent, const spanring::SpanContext& span) {
  Headers headers;
  parent.ToHeaders(
      [&](std::string_view name, std::string_view value) {
        if (value.empty() || !headers.emplace(name, value).second) std::abort();
        const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
        if (!std::ranges::all_of(value, printable)) std::abort();
      },
      span);
  return headers;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  Headers headers;
  for (const char* name : {"traceparent", "tracestate", "baggage"}) {
    const std::size_t end =
        std::string_view(name) == "baggage" ? rest.size() : std::min(rest.find('\0'), rest.size());
    headers.emplace(name, rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const RemoteParent parent = Read(headers);
  if (parent.tracestate().size() > RemoteParent::kTracestateBytes) std::abort();
  if (parent.baggage().size() > RemoteParent::kBaggageBytes) std::abort();
  if (!parent.context().is_valid() && !parent.tracestate().empty()) std::abort();

  const Headers passed_on = Written(parent, {});
  const RemoteParent again = Read(passed_on);
  if (again.context() != parent.context() || again.tracestate() != parent.tracestate() ||
      again.baggage() != parent.baggage()) {
    std::abort();
  }
  const spanring::SpanContext other{spanring::TraceId(1, 2), spanring::SpanId(3), true};
  if (parent.context().trace_id != other.trace_id &&
      Written(parent, other).contains("tracestate")) {
    std::abort();
  }
  return 0;
}
