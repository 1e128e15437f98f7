// Spanring: distributed tracing into PostgreSQL. Include this one.
// Threads, Memory, Errors: said in each header.
// Design: docs/architecture.md
//
//   spanring::Tracer tracer = spanring::Tracer::FromEnvironment();
//   static constinit spanring::CallSite kQuestion("runner", "runner.execute_question");
//   spanring::Span span = tracer.StartSpan(kQuestion, {{"attempt", 1}});
//   span.SetExecutionContext("job-7", 2193, "llama-3-70b", "eu-west");
//   spanring::Scope scope(span);      // Spans below are its children.
//   ...
//   span.Complete();
#pragma once

#include "spanring/attribute.h"    // IWYU pragma: export
#include "spanring/config.h"       // IWYU pragma: export
#include "spanring/context.h"      // IWYU pragma: export
#include "spanring/id.h"           // IWYU pragma: export
#include "spanring/options.h"      // IWYU pragma: export
#include "spanring/propagation.h"  // IWYU pragma: export
#include "spanring/span.h"         // IWYU pragma: export
#include "spanring/stats.h"        // IWYU pragma: export
#include "spanring/tracer.h"       // IWYU pragma: export
