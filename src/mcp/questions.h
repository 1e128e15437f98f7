// What the tools ask, as SQL: each returns one row with one cell of JSON, NULL where there is no
// such thing. The answers come from the SQL objects; here they are chosen, bounded and made JSON.
// Threads: constants.
// Memory: constants.
// Errors: none.
// Design: docs/mcp.md
#pragma once

namespace spanring::mcp {

// $1 an execution id, $2 how many operations.
extern const char kDiagnosis[];
// $1 an execution id, or NULL and $2 a job's id: its newest execution that timed out, else failed.
extern const char kTimeout[];
// $1 an execution id, $2 how many operations: beside one that went well and is alike.
extern const char kComparison[];
// $1 how many.
extern const char kFailures[];
// $1 hours, $2 a model or NULL, $3 a region or NULL.
extern const char kPerformance[];
// $1 a trace id, $2 how many.
extern const char kGaps[];
// $1 an execution id, or NULL and $2 a trace id; $3 how many spans: failures and the longest first.
extern const char kTrace[];
// $1 hours, $2 a service or NULL, $3 how many.
extern const char kOperations[];
extern const char kHealth[];
// What a reader may ask of: relations with columns, functions, and their comments.
extern const char kSchema[];

}  // namespace spanring::mcp
