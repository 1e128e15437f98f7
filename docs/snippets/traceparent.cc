// The context of a span, out to another service and in from one, as W3C's traceparent header:
// https://www.w3.org/TR/trace-context/#traceparent-header
#include <cstdio>
#include <cstdlib>
#include <string>

#include "spanring/spanring.h"

namespace {

// The service that calls: what it sends is text. It is "" while tracing is off.
std::string HeaderFor(const spanring::Span& call) { return call.context().ToTraceparent(); }

// The service that is called: a header that is missing or malformed gives the root of a new trace.
spanring::Span HandleRequest(spanring::Tracer& tracer, const std::string& traceparent) {
  const auto caller = spanring::SpanContext::FromTraceparent(traceparent);
  return tracer.StartSpan(caller.value_or(spanring::SpanContext()), "router",
                          "router.inference_request");
}

}  // namespace

int main() {
  spanring::Tracer tracer = spanring::Tracer::FromEnvironment();
  spanring::Span call = tracer.StartSpan("runner", "runner.hybrid_router_call");
  const std::string header = HeaderFor(call);
  spanring::Span handled = HandleRequest(tracer, header);
  std::printf("traceparent: %s\n", header.c_str());
  // Both are of one trace; with tracing off both contexts are empty.
  return call.context().trace_id == handled.context().trace_id ? EXIT_SUCCESS : EXIT_FAILURE;
}
