#include "spanring/spanring.h"

bool RecordsCompiledOut();

bool RecordsCompiledOut() {
  static constinit spanring::CallSite site("off", "operation");
  spanring::Tracer tracer;
  spanring::Span span = tracer.StartSpan(site, {{"key", "value"}});
  const spanring::Scope scope(span);
  const bool recording = span.is_recording();
  span.Complete();
  return recording;
}
