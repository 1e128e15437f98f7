#include "spanring/spanring.h"

bool RecordsWithTracing();

bool RecordsWithTracing() {
  static constinit spanring::CallSite site("on", "operation");
  spanring::Tracer tracer;
  spanring::Span span = tracer.StartSpan(site, {{"key", "value"}});
  const spanring::Scope scope(span);
  const bool recording = span.is_recording();
  span.Complete();
  return recording;
}
