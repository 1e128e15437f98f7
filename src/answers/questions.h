// What the programs ask, as SQL: each returns one row with one cell of JSON, NULL where there is no
// such thing. The answers come from the SQL objects; here they only become JSON.
// Threads: constants.
// Memory: constants.
// Errors: none.
// Design: docs/web.md
#pragma once

namespace spanring::answers {

// $1 how many; filters, NULL for any: $2 statuses by comma, $3 job, $4 model, $5 region, $6
// service, $7 from, $8 to, $9 at least so many ms; $10, $11 behind this start and execution id;
// $12 among these ids.
extern const char kExecutions[];

// $1 an execution id.
extern const char kExecution[];
extern const char kDiagnosis[];
extern const char kRootCause[];
extern const char kNetwork[];

// $1 an execution id, or NULL and $2 a trace id: spans in display order with skew-adjusted times,
// gaps, critical path, and what was dropped meanwhile.
extern const char kTrace[];

// $1 an execution id, $2 how many.
extern const char kSimilar[];

// $1, $2 execution ids.
extern const char kComparison[];

// $1 from, $2 to: per service and operation, from the rollups; $3 a service or NULL.
extern const char kOperations[];

extern const char kHealth[];

// Jaeger's query API, in its envelopes. Of a service: $1. A search: $1 from, $2 to, $3 service,
// $4 operation, $5 attributes as a JSON object of texts, $6 and $7 at least and at most so many ns,
// $8 how many. A trace: $1 an array of ids.
extern const char kJaegerServices[];
extern const char kJaegerOperationNames[];
extern const char kJaegerOperations[];
extern const char kJaegerSearch[];
extern const char kJaegerTraces[];
extern const char kJaegerDependencies[];  // $1 from, $2 to
extern const char kJaegerServicesV3[];
extern const char kJaegerOperationsV3[];
extern const char kJaegerSearchV3[];
extern const char kJaegerTracesV3[];
extern const char kJaegerSummaries[];

}  // namespace spanring::answers
