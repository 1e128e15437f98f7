#include <string>
#include <string_view>

#include "spanring/spanring.h"

bool RecordsCompiledOut();
std::string PassedOnCompiledOut(std::string_view traceparent);

bool RecordsCompiledOut() {
  static constinit spanring::CallSite site("off", "operation");
  spanring::Tracer tracer;
  spanring::Span span = tracer.StartSpan(site, {{"key", "value"}});
  const spanring::Scope scope(span);
  const bool recording = span.is_recording();
  span.Complete();
  return recording;
}

// What a service that is compiled without tracing sends to the next one.
std::string PassedOnCompiledOut(std::string_view traceparent) {
  const auto caller = spanring::RemoteParent::FromHeaders(
      [&](std::string_view name) { return name == "baggage" ? "k=v" : traceparent; });
  spanring::Tracer tracer;
  const spanring::Span span = tracer.StartSpan(caller.context(), "off", "operation");
  std::string headers;
  caller.ToHeaders(
      [&](std::string_view name, std::string_view value) {
        headers.append(name).append(": ").append(value).append("\n");
      },
      span.context());
  return headers;
}
