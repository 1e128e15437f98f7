// The first program: one question, traced. Run it with
//   ENABLE_DB_TRACING=true DATABASE_URL=postgresql://... ./quick_start
// and see it with `spanring waterfall 42`. Without the first variable nothing is recorded.
#include <spanring/spanring.h>

#include <cstdlib>
#include <string>

static constinit spanring::CallSite kQuestion("runner", "runner.execute_question");

int main() {
  spanring::Tracer tracer = spanring::Tracer::FromEnvironment();
  spanring::Span question = tracer.StartSpan(kQuestion, {{"attempt", 1}});
  question.SetExecutionContext("job-7", 42, "llama-3-70b", "eu-west");
  spanring::Scope scope(question);  // Spans that this thread starts below are its children.

  spanring::Span call = tracer.StartSpan("runner", "runner.hybrid_router_call");
  const std::string header = call.context().ToTraceparent();  // For the router's request.
  call.CompleteWithError("connection refused", "ECONNREFUSED");
  question.Complete("failed");

  const bool delivered = tracer.Flush(absl::Seconds(5)).ok();
  return delivered || !tracer.enabled() ? EXIT_SUCCESS : EXIT_FAILURE;
}
