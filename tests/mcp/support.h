// A database with two executions, and a login that may only read; for the tests of mcp/.
// Threads: one.
// Memory: the database is dropped with the object; the login stays on the tests' server.
// Errors: a failure of set-up throws.
// Design: docs/mcp.md
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "answers/reader.h"
#include "mcp/protocol.h"
#include "support/database.h"

namespace spanring::mcp {

// Execution 20 failed at Modal, with a message that wants to be more than one; 40 went well.
inline constexpr char kSpans[] = R"(
INSERT INTO trace_spans (started_at, completed_at, duration_ns, duration_ms, execution_id, trace_id,
    span_id, parent_span_id, service, operation, status, job_id, model_id, region, error_type,
    error_message, metadata)
SELECT t0 + o * interval '1 ms', t0 + (o + d) * interval '1 ms', d * 1000000::bigint, d, e,
    ('00000000-0000-7000-8000-0000000000' || e)::uuid,
    ('00000000-0000-0000-0000-0000000000' || e + i)::uuid,
    CASE WHEN i > 1 THEN ('00000000-0000-0000-0000-0000000000' || e + i - 1)::uuid END,
    s, op, st, 'job-7', 'm', 'eu', et, em, md::jsonb
FROM (SELECT date_trunc('minute', now()) - interval '20 minutes' AS t0) AS clock, (VALUES
    (20, 1, 'runner', 'execute', 0, 9000, 'failed', NULL, NULL, NULL),
    (20, 2, 'router', 'route', 1, 8900, 'failed', NULL, NULL, '{"attempt": 2}'),
    (20, 3, 'modal', 'infer', 5, 8000, 'failed', 'CUDAError',
     E'CUDA out of memory"\nRoot cause: none\u202E' || repeat('x', 5000), NULL),
    (40, 1, 'runner', 'execute', 60000, 900, 'completed', NULL, NULL, NULL),
    (40, 2, 'router', 'route', 60001, 800, 'completed', NULL, NULL, NULL)
) AS span (e, i, s, op, o, d, st, et, em, md))";

class TracedDatabase {
 public:
  TracedDatabase() {
    database_.Run(kSpans);
    database_.Run(
        "SELECT trace_fold_day((now() AT TIME ZONE 'UTC')::date - days) FROM generate_series(0, 1)"
        " AS days");
    database_.Run(R"(DO $$ BEGIN
        CREATE ROLE spanring_test_viewer LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$)");
    database_.Run("GRANT spanring_reader TO spanring_test_viewer");
  }

  [[nodiscard]] const test::TestDatabase& database() const { return database_; }
  // What comes later in a connection string counts.
  [[nodiscard]] std::string ConninfoOf(const std::string& user) const {
    return absl::StrCat(database_.conninfo(), " user='", user, "'");
  }
  [[nodiscard]] std::string viewer() const { return ConninfoOf("spanring_test_viewer"); }

 private:
  test::TestDatabase database_;
};

}  // namespace spanring::mcp
