// The first program: one question, traced. Run it with
//   ENABLE_DB_TRACING=true DATABASE_URL=postgresql://... ./quick_start
// and see it with `spanring waterfall 42`. Without the first variable nothing is recorded.
#include <cstdlib>

#include "spanring/spanring.h"

int main() {
  spanring::Tracer tracer = spanring::Tracer::FromEnvironment();
  spanring::Span question = tracer.StartSpan("runner", "runner.execute_question");
  question.SetExecutionContext("job-7", 42, "llama-3-70b", "eu-west");
  {
    spanring::Scope scope(question);  // Spans that this thread starts in here are its children.
    spanring::Span call = tracer.StartSpan("runner", "runner.hybrid_router_call");
    call.SetExecutionContext("job-7", 42, "llama-3-70b", "eu-west");
    call.SetAttribute("attempt", 1);
    call.CompleteWithError("connection refused", "ECONNREFUSED");
  }
  question.Complete("failed");
  const bool delivered = tracer.Flush(absl::Seconds(5)).ok();
  return delivered || !tracer.enabled() ? EXIT_SUCCESS : EXIT_FAILURE;
}
