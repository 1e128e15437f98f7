// Compiled twice with SPANRING_ENABLED=0, with and without spans; the two must not differ.
#include <cstdint>

#include "spanring/spanring.h"

namespace {

#if WITH_SPANS
constinit spanring::CallSite kSite("runner", "runner.execute_question");
#endif

}  // namespace

std::int64_t WorkOfTheHost(std::int64_t n);

std::int64_t execute_question(std::int64_t n) {
#if WITH_SPANS
  spanring::Tracer tracer = spanring::Tracer::FromEnvironment();
  spanring::Span span = tracer.StartSpan(kSite, {{"attempt", 1}, {"name", "x"}});
  span.SetExecutionContext("job-7", n, "llama-3-70b", "eu-west");
  spanring::Scope scope(span);
  const std::int64_t result = spanring::BindContext(WorkOfTheHost)(n);
  span.SetAttribute("result", result);
  span.Complete();
#else
  const std::int64_t result = WorkOfTheHost(n);
#endif
  return result;
}

std::int64_t execute_named(std::int64_t n) {
#if WITH_SPANS
  spanring::Tracer tracer;
  spanring::Span parent = tracer.StartSpan("runner", "parent");
  spanring::Span span = tracer.StartSpan(parent.context(), "runner", "child");
  span.SetStartTime(absl::UnixEpoch());
#endif
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
#if WITH_SPANS
    spanring::Span inner = tracer.StartSpan(spanring::TraceId(), std::nullopt, kSite);
    if (i == 3) inner.CompleteWithError("an error", "its type");
    inner.Next(kSite);
#endif
    sum += WorkOfTheHost(i);
  }
#if WITH_SPANS
  tracer.CompleteSpan(span, "timeout");
  if (tracer.enabled() || span.is_recording() || tracer.GetStats().started != 0) sum = 0;
#endif
  return sum;
}
