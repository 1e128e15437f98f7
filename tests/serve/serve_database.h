// A service upon a database with two executions, one failed at Modal.
// Threads: one. Memory: the database lives as long as the suite. Errors: GoogleTest's.
// Design: docs/web.md
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "serve/service.h"
#include "support/database.h"

namespace spanring::serve {

// A question that failed at Modal, one that went well, and one that is under way.
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
    (20, 2, 'router', 'route', 1, 8900, 'failed', NULL, NULL,
     '{"attempt": 2, "ratio": 0.5, "deep": {"a": [1]}, "yes": true, "none": null, "resource": {"host.name": "h"}}'),
    (20, 3, 'modal', 'infer', 5, 8000, 'failed', 'CUDAError', 'CUDA <b>out</b> of memory',
     '{"events": [{"name": "exception", "time_unix_nano": 1700000000000000000,
       "attributes": {"exception.type": "CUDAError"}}], "span.kind": "server"}'),
    (40, 1, 'runner', 'execute', 60000, 900, 'completed', NULL, NULL, NULL),
    (40, 2, 'router', 'route', 60001, 800, 'completed', NULL, NULL, NULL)
) AS span (e, i, s, op, o, d, st, et, em, md))";

class ServeTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    database_ = new test::TestDatabase();
    database_->Run(kSpans);
    database_->Run(
        "SELECT trace_fold_day((now() AT TIME ZONE 'UTC')::date - days) FROM generate_series(0, 1)"
        " AS days");
  }
  static void TearDownTestSuite() {
    delete database_;
    database_ = nullptr;
  }

  http::Response Get(const std::string& target, http::Fields headers = {{"host", "localhost"}}) {
    http::Request request;
    request.method = "GET";
    request.headers = std::move(headers);
    EXPECT_TRUE(http::ParseTarget(target, &request)) << target;
    return service_.Answer(request);
  }

  nlohmann::json Json(const std::string& target, int status = 200) {
    const http::Response response = Get(target);
    EXPECT_EQ(response.status, status) << target << " " << response.body;
    EXPECT_EQ(response.content_type, "application/json");
    return nlohmann::json::parse(response.body);
  }

  static inline test::TestDatabase* database_ = nullptr;
  answers::Reader reader_{{.conninfo = database_->conninfo(), .as_reader = true}};
  ServiceOptions options_ = {
      .token = "", .hosts = {"spans.example"}, .counts = [] { return http::ServerCounts(); }};
  Service service_{&reader_, options_};
};

}  // namespace spanring::serve
